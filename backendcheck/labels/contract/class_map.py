"""Class maps: which class has which index, in a file that training, validation and serving are compared with.

    {"schema": 1, "classes": ["cat", "dog", "fox"], "sha256": "…"}

``classes`` is a list, or a dict of lists by output. ``sha256`` is the hash of ``classes`` as JSON in UTF-8, without spaces, with
sorted keys. A file that does not match its hash was edited or damaged, and is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import read_text, write_atomically
from backendcheck.text.words import counted

SCHEMA = 1
_SHORT = 12  # digits of a hash in a message
_MOST_CLAUSES = 3  # of each sort of difference


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMap:
    """The class names in the order of their indices, by output; a single unnamed output is ``""``."""

    classes: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, names: Sequence[str] | Mapping[str, Sequence[str]]) -> ClassMap:
        """A class map of names in the order of their indices, or of a dict of such lists by output.

        Raises:
            UsageError: if a list is empty or a name is not text.
        """
        by_output = dict(names) if isinstance(names, Mapping) else {"": names}
        for output, listed in by_output.items():
            if isinstance(listed, str) or not listed or not all(isinstance(name, str) for name in listed):
                where = f"class map of {output}" if output else "class map"
                message = f"{where}: invalid class names; expected a list of one name or more, got {str(listed)[:80]!r}."
                raise UsageError(message)
            if half := next((name for name in listed if any("\ud800" <= letter <= "\udfff" for letter in name)), None):
                message = f"class name {half!r}: holds half a character, which no encoding can write. Rename the class."
                raise UsageError(message)
        return cls(classes={str(output): tuple(listed) for output, listed in by_output.items()})

    @classmethod
    def read(cls, path: str | Path) -> ClassMap:
        """Read a class map and check its hash.

        Raises:
            UsageError: if the file does not exist.
            UnreadableInput: if it is damaged, was edited, is not a class map or has a later schema.
        """
        path = Path(path)
        remedy = "Write it again: backendcheck labels --data DATA --write-class-map FILE."
        if not path.is_file():
            message = f"{path}: file not found; expected a class map. {remedy}"
            raise UsageError(message)
        try:
            content = json.loads(read_text(path))
            _canonical(content).encode()  # "\\ud800", half a character, is valid JSON but not valid text
        except (OSError, ValueError, RecursionError) as error:
            message = f"{path}: invalid JSON ({error}). {remedy}"
            raise UnreadableInput(message) from error
        if not isinstance(content, dict) or not {"schema", "classes", "sha256"} <= set(content):
            message = f"{path}: not a class map; expected an object with schema, classes and sha256. {remedy}"
            raise UnreadableInput(message)
        if content["schema"] != SCHEMA:
            got = content["schema"]
            message = f"{path}: unknown schema; expected {SCHEMA}, got {got!r}. Read it with the version that wrote it."
            raise UnreadableInput(message)
        if not _are_classes(content["classes"]):
            got = str(content["classes"])[:80]
            message = f"{path}: invalid classes; expected a list of names, or lists by output, got {got}. {remedy}"
            raise UnreadableInput(message)
        class_map = cls.of(content["classes"])
        if class_map.sha256 != content["sha256"]:
            message = (
                f"{path}: edited or damaged; expected classes with the hash {str(content['sha256'])[:_SHORT]}, got "
                f"{class_map.short}. Restore the file, or write it again on purpose: --write-class-map {path}."
            )
            raise UnreadableInput(message)
        return class_map

    def write(self, path: str | Path) -> None:
        """Write the file atomically.

        Raises:
            OutputInTheWay: if it cannot be written.
        """
        content = {"schema": SCHEMA, "classes": self.as_json, "sha256": self.sha256}
        write_atomically(Path(path), f"{json.dumps(content, indent=1, ensure_ascii=False)}\n".encode())

    def names(self, output: str) -> tuple[str, ...] | None:
        """The class names of an output; None if the map does not have it. A map of one output fits any single unnamed output."""
        if output in self.classes:
            return self.classes[output]
        return next(iter(self.classes.values())) if len(self.classes) == 1 and (not output or "" in self.classes) else None

    @property
    def sha256(self) -> str:
        """The hash of the classes; equal for the same names in the same order, on every machine."""
        return hashlib.sha256(_canonical(self.as_json).encode()).hexdigest()

    @property
    def short(self) -> str:
        """The first digits of the hash, for messages."""
        return self.sha256[:_SHORT]

    @property
    def as_json(self) -> Any:
        """The classes as JSON: a list for a single unnamed output, or else a dict of lists by output."""
        if set(self.classes) == {""}:
            return list(self.classes[""])
        return {output: list(names) for output, names in sorted(self.classes.items())}


def _canonical(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _are_classes(content: Any) -> bool:
    lists = list(content.values()) if isinstance(content, dict) else [content]
    return bool(lists) and all(isinstance(names, list) and names and all(map(_is_text, names)) for names in lists)


def _is_text(name: Any) -> bool:
    return isinstance(name, str)


def _first_places(names: Sequence[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for index, name in enumerate(names):
        places.setdefault(name, index)
    return places


def differences(names: Sequence[str], expected: Sequence[str]) -> list[str]:
    """How `names` differ from `expected`, one clause each: renamed, removed, added, moved. Empty if they are equal."""
    if tuple(names) == tuple(expected):
        return []
    place, expected_place = _first_places(names), _first_places(expected)
    removed = [name for name in expected if name not in place]
    added = [name for name in names if name not in expected_place]
    renamed = [
        (before, after) for before, after in zip(expected, names, strict=False)
        if before not in place and after not in expected_place
    ]  # fmt: skip
    renamed_before, renamed_after = {before for before, _ in renamed}, {after for _, after in renamed}
    removed = [name for name in removed if name not in renamed_before]
    added = [name for name in added if name not in renamed_after]
    common, expected_common = [name for name in names if name in expected_place], [name for name in expected if name in place]
    moved = [(name, expected_place[name], place[name]) for name in expected_common if expected_place[name] != place[name]]
    clauses = [f"{before!r} is now {after!r}" for before, after in renamed[:_MOST_CLAUSES]]
    clauses += [f"{name!r} was removed" for name in removed[:_MOST_CLAUSES]]
    clauses += [f"{name!r} was added" for name in added[:_MOST_CLAUSES]]
    if common != expected_common or (moved and not (removed or added)):
        clauses += [f"{name!r} moved from {before} to {after}" for name, before, after in moved[:_MOST_CLAUSES]]
    elif moved:
        several = len(moved) > 1
        clauses.append(f"{counted(len(moved), 'class')} behind {'have other indices' if several else 'has another index'}")
    n = len(renamed) + len(removed) + len(added)
    return clauses if n <= 3 * _MOST_CLAUSES else [*clauses, f"{n} changes in all"]
