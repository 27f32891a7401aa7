"""What stops the observation of a case, and is its problem."""

from __future__ import annotations


class InvalidCase(Exception):
    """The case cannot be observed as it is written: an author's mistake, not a finding about a backend."""


class OutOfMemory(Exception):
    """The machine, not the case, said no: no statement about labels can be made."""


class NotRecordable(TypeError):
    """A case returned something that is no array, number, bool or text."""
