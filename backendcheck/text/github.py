"""Workflow commands of GitHub: annotations, with their text escaped."""

from __future__ import annotations

from backendcheck.text.escape import one_line


def annotation(level: str, title: str, message: str, *, file: str = "", line: int = 0) -> str:
    """One annotation, next to a line of `file` if that is known: `level` is error, warning or notice."""
    place = f"file={_property(file)},line={max(line, 1)}," if file else ""
    return f"::{level} {place}title={_property(title)}::{_data(one_line(message))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(one_line(text)).replace(":", "%3A").replace(",", "%2C")
