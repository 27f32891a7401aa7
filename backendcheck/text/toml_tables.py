"""Changing the tables of a TOML file in place: what is not changed stays as it is, byte for byte.

A parsed file no longer knows its lines, comments and spacing. Here a file is cut into statements instead: the fewest lines that
parse by themselves. Comments directly above a table belong to it; those after a blank line do not.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from backendcheck.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One ``[name]`` or ``[[name]]`` table. Lines count from 0, and each end is past the last line.

    `first` is its first line, comments directly above included; `values` maps its keys to their lines.
    """

    name: str
    first: int
    header: int
    end: int
    values: Mapping[str, tuple[int, int]]


def tables(text: str) -> list[Table]:
    """The tables of a file that parses, in order.

    Raises:
        UsageError: if tables stand in another form than under a header of their own.
    """
    lines = text.splitlines(keepends=True)
    parsed: list[Table] = []
    for start, end, content in _statements(lines):
        if lines[start].lstrip().startswith("["):
            parsed.append(Table(name=_name(content), first=_first(lines, start), header=start, end=end, values={}))
        elif parsed:
            last = parsed[-1]
            key = next(iter(content))
            parsed[-1] = Table(
                name=last.name, first=last.first, header=last.header, end=end, values={**last.values, key: (start, end)}
            )  # fmt: skip
        else:
            message = f"line {start + 1}: expected tables under a [header], got {lines[start].strip()}."
            raise UsageError(message)
    return parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEdit:
    """A change of one table: it is `removed`, or gets `values` (as TOML; None removes a key) and another table after it."""

    table: Table
    values: Mapping[str, str | None] = field(default_factory=dict)
    followed_by: str = ""
    removed: bool = False


def edited(text: str, edits: Sequence[TableEdit]) -> str:
    """The file with these changes. A table goes with the comments directly above it and the blank lines after it."""
    lines = text.splitlines(keepends=True)
    for edit in sorted(edits, key=lambda edit: -edit.table.header):  # from the end, so that lines keep their numbers
        table = edit.table
        if edit.removed:
            end = table.end
            while end < len(lines) and not lines[end].strip():
                end += 1
            del lines[table.first : end]
            continue
        added = [f"{key} = {value}\n" for key, value in edit.values.items() if key not in table.values and value is not None]
        added += ["\n", edit.followed_by] if edit.followed_by else []
        if added and not lines[table.end - 1].endswith("\n"):
            lines[table.end - 1] += "\n"
        lines[table.end : table.end] = added
        for key, (start, end) in sorted(table.values.items(), key=lambda item: -item[1][0]):
            if key in edit.values:
                value = edit.values[key]
                lines[start:end] = [] if value is None else [f"{key} = {value}\n"]
    while any(edit.removed for edit in edits) and lines and not lines[-1].strip():
        lines.pop()
    return "".join(lines)


def _statements(lines: Sequence[str]) -> Iterator[tuple[int, int, dict[str, object]]]:
    """Each statement with its lines and what it parses to; comments and blank lines are left out."""
    start = 0
    while start < len(lines):
        for end in range(start + 1, len(lines) + 1):
            try:
                content = tomllib.loads("".join(lines[start:end]))
            except tomllib.TOMLDecodeError:
                continue
            if content:
                yield start, end, content
            break
        else:
            message = f"line {start + 1}: is not TOML. Correct it."
            raise UsageError(message)
        start = end


def _name(content: dict[str, object]) -> str:
    """``cause.ID`` of what ``[cause.ID]`` parses to."""
    names = []
    value: object = content
    while isinstance(value, dict) and value:
        name, value = next(iter(value.items()))
        names.append(name)
    return ".".join(names)


def _first(lines: Sequence[str], header: int) -> int:
    first = header
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return first
