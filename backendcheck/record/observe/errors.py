"""Exceptions that end the observation of a case. Each becomes the problem of its recording."""

from __future__ import annotations


class InvalidCase(Exception):
    """The case is written wrongly. This is a mistake of its author, not a finding about a backend."""


class NotSupported(Exception):
    """The backend has no way to do what the case needs, such as text. The message is a sentence without a full stop."""


class OutOfMemory(Exception):
    """The machine ran out of memory, so the recording says nothing about labels."""


class NotRecordable(TypeError):
    """A case returned something other than an array, a number, a bool or text."""
