"""Workflow commands of GitHub: annotations with their text escaped."""

from __future__ import annotations

from backendcheck.text.escape import one_line


def annotation(level: str, title: str, message: str) -> str:
    """One workflow command without a place: `level` is error, warning or notice."""
    return f"::{level} title={_property(title)}::{_data(one_line(message))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(one_line(text)).replace(":", "%3A").replace(",", "%2C")
