"""Changing files of known divergences: the entries of a file as its tables, and an edit that is checked before it is written."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backendcheck.errors import UsageError
from backendcheck.files import write_atomically
from backendcheck.text.toml_tables import Table, TableEdit, edited, tables
from backendcheck.verdicts.known import Divergence

_WIDTH = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry as it stands in its file: its table, and a Divergence for each of its patterns."""

    path: Path
    table: Table
    patterns: tuple[Divergence, ...]

    @property
    def name(self) -> str:
        return f"{self.patterns[0].source}, entry {self.patterns[0].number}"


@dataclass(kw_only=True)
class FileEdits:
    """What is to change in files, and in words. Nothing is written before `write`."""

    edits: dict[Path, list[TableEdit]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def add(self, path: Path, edit: TableEdit, message: str) -> None:
        self.edits.setdefault(path, []).append(edit)
        self.messages.append(message)

    def texts(self) -> dict[Path, str]:
        """The changed files.

        Raises:
            UsageError: if one would not hold what it is to hold.
        """
        return {path: _checked(path, edits) for path, edits in self.edits.items()}

    def write(self) -> None:
        """Write all files, or none; a file of a folder that holds nothing any more is removed.

        Raises:
            UsageError: as `texts`.
            OutputInTheWay: if one cannot be written.
        """
        for path, text in self.texts().items():
            if not tables(text) and any(edit.removed for edit in self.edits[path]) and path.name != "known_divergences.toml":
                path.unlink()
            else:
                write_atomically(path, text.encode())


def entries_of(divergences: Sequence[Divergence]) -> list[Entry]:
    """The entries of the files that `divergences` were read from.

    Raises:
        UsageError: if a file has entries that do not stand under a [[divergence]] header.
    """
    patterns: dict[Path, dict[int, list[Divergence]]] = {}
    for divergence in divergences:
        patterns.setdefault(divergence.path, {}).setdefault(divergence.number, []).append(divergence)
    entries = []
    for path, by_number in patterns.items():
        of_file = [table for table in tables(path.read_text(encoding="utf-8")) if table.name == "divergence"]
        if len(of_file) < max(by_number):
            message = f"{path}: has entries that do not stand under [[divergence]]; expected that form. Edit the file by hand."
            raise UsageError(message)
        entries += [Entry(path=path, table=of_file[number - 1], patterns=tuple(same)) for number, same in by_number.items()]
    return entries


def toml_string(text: str) -> str:
    """A TOML string, in single quotes where that spares backslashes."""
    if '"' in text and "'" not in text and text.isprintable() and "\\" not in text:
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a TOML basic string


def toml_list(values: Sequence[str]) -> str:
    """A TOML array, on several lines where it is long."""
    short = f"[{', '.join(map(toml_string, values))}]"
    return short if len(short) < _WIDTH else "\n".join(["[", *(f"    {toml_string(value)}," for value in values), "]"])


def toml_inline(values: Mapping[str, str]) -> str:
    """A TOML inline table of strings."""
    return f"{{{', '.join(f'{key} = {toml_string(value)}' for key, value in values.items())}}}"


def _checked(path: Path, edits: Sequence[TableEdit]) -> str:
    before = path.read_text(encoding="utf-8")
    text = edited(before, edits)
    expected = _expected(before, edits)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        content = {}
    if content != expected:
        message = f"{path}: cannot be edited in place; expected a header for each table. Edit it by hand."
        raise UsageError(message)
    return text


def _expected(before: str, edits: Sequence[TableEdit]) -> dict[str, object]:
    """What the file has to parse to, worked out from its values instead of its lines."""
    content = tomllib.loads(before)
    entries = list(content.get("divergence", []))
    causes = dict(content.get("cause", {}))
    headers = [table.header for table in tables(before) if table.name == "divergence"]
    for edit in sorted(edits, key=lambda edit: -edit.table.header):
        changed = tomllib.loads("\n".join(f"{key} = {value}" for key, value in edit.values.items() if value is not None))
        if edit.table.name != "divergence":
            cause = causes.pop(name := edit.table.name.removeprefix("cause."))
            if not edit.removed:
                causes[name] = {**cause, **changed}
            continue
        place = headers.index(edit.table.header)
        if edit.removed:
            del entries[place]
            continue
        entry = {key: value for key, value in entries[place].items() if edit.values.get(key, "") is not None} | changed
        added = tomllib.loads(edit.followed_by).get("divergence", []) if edit.followed_by else []
        entries[place : place + 1] = [entry, *added]
    return {**({"divergence": entries} if entries else {}), **({"cause": causes} if causes else {})}
