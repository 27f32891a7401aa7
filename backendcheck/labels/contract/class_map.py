"""Which class has which index, in a file that training, validation and serving are held against.

    {"schema": 1, "classes": ["cat", "dog", "fox"], "sha256": "…"}

``classes`` is a list, or a dict of lists by output. ``sha256`` is that of ``classes`` as JSON without spaces, keys sorted, UTF-8:
a file that was edited or damaged does not match it, and is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import write_atomically

SCHEMA = 1
_SHORT = 12  # digits of a hash in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMap:
    """The class names in the order of their indices, by output; a single unnamed output is ``""``."""

    classes: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, names: Sequence[str] | Mapping[str, Sequence[str]]) -> ClassMap:
        """A map of names in order, or of a dict of them by output.

        Raises:
            UsageError: if a name is no text, or there is none.
        """
        by_output = dict(names) if isinstance(names, Mapping) else {"": names}
        for output, listed in by_output.items():
            if isinstance(listed, str) or not listed or not all(isinstance(name, str) for name in listed):
                message = f"class map{f' of {output}' if output else ''}: {listed!r}; expected a list of one name or more."
                raise UsageError(message)
        return cls(classes={str(output): tuple(listed) for output, listed in by_output.items()})

    @property
    def sha256(self) -> str:
        """The hash of the classes: the same for the same names in the same order, wherever it is computed."""
        return hashlib.sha256(_canonical(self.plain).encode()).hexdigest()

    @property
    def short(self) -> str:
        """The first digits of the hash, for messages."""
        return self.sha256[:_SHORT]

    def names(self, output: str) -> tuple[str, ...] | None:
        """The names for an output; a map of one output is that of any single one."""
        if output in self.classes:
            return self.classes[output]
        return next(iter(self.classes.values())) if len(self.classes) == 1 and (not output or "" in self.classes) else None

    def write(self, path: str | Path) -> None:
        """Write the file, so that a reader sees all of it or nothing.

        Raises:
            OutputInTheWay: if it cannot be written.
        """
        content = {"schema": SCHEMA, "classes": self.plain, "sha256": self.sha256}
        write_atomically(Path(path), f"{json.dumps(content, indent=1, ensure_ascii=False)}\n".encode())

    @classmethod
    def read(cls, path: str | Path) -> ClassMap:
        """Read a file, and see that its hash is that of its classes.

        Raises:
            UsageError: if there is none.
            UnreadableInput: if it is damaged, was edited, is from a later version, or is no class map.
        """
        path = Path(path)
        remedy = "Write it again: backendcheck labels --data DATA --write-class-map FILE."
        if not path.is_file():
            message = f"{path}: no such file; expected a class map. {remedy}"
            raise UsageError(message)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            _canonical(content).encode()  # half a character, "\\ud800", is JSON and no text
        except (OSError, ValueError, RecursionError) as error:
            message = f"{path}: cannot be read as JSON ({error}). {remedy}"
            raise UnreadableInput(message) from error
        if not isinstance(content, dict) or not {"schema", "classes", "sha256"} <= set(content):
            message = f"{path}: is no class map; expected schema, classes and sha256. {remedy}"
            raise UnreadableInput(message)
        if content["schema"] != SCHEMA:
            message = f"{path}: has schema {content['schema']!r}; expected {SCHEMA}. Read it with the version that wrote it."
            raise UnreadableInput(message)
        if not _is_classes(content["classes"]):
            got = str(content["classes"])[:80]
            message = f"{path}: its classes are {got}; expected a list of names, or lists by output. {remedy}"
            raise UnreadableInput(message)
        class_map = cls.of(content["classes"])
        if class_map.sha256 != content["sha256"]:
            recorded = str(content["sha256"])[:_SHORT]
            message = (
                f"{path}: was edited or damaged: its classes have the hash {class_map.short}; expected {recorded}, as "
                f"it says itself. "
                f"Get it back, or write it again on purpose: --write-class-map {path}."
            )
            raise UnreadableInput(message)
        return class_map

    @property
    def plain(self) -> Any:
        """The classes as JSON has them: a list, or a dict of lists by output."""
        if set(self.classes) == {""}:
            return list(self.classes[""])
        return {output: list(listed) for output, listed in sorted(self.classes.items())}


def _canonical(plain: Any) -> str:
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _is_classes(classes: Any) -> bool:
    lists = list(classes.values()) if isinstance(classes, dict) else [classes]
    return bool(lists) and all(
        isinstance(names, list) and names and all(isinstance(name, str) for name in names) for names in lists
    )


def differences(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """How `ours` differs from `theirs`, in words: gone, added, renamed, reordered. Empty where they are the same."""
    if tuple(ours) == tuple(theirs):
        return []
    gone = [name for name in theirs if name not in ours]
    added = [name for name in ours if name not in theirs]
    renamed = [(theirs[index], ours[index]) for index in range(min(len(ours), len(theirs)))
               if theirs[index] in gone and ours[index] in added]  # fmt: skip
    gone = [name for name in gone if name not in {before for before, _ in renamed}]
    added = [name for name in added if name not in {after for _, after in renamed}]
    kept_ours, kept_theirs = [name for name in ours if name in theirs], [name for name in theirs if name in ours]
    moved = [(name, theirs.index(name), ours.index(name)) for name in kept_theirs if theirs.index(name) != ours.index(name)]
    words = [f"{before!r} is called {after!r}" for before, after in renamed[:3]]
    words += [f"{name!r} is gone" for name in gone[:3]]
    words += [f"{name!r} is new" for name in added[:3]]
    if kept_ours != kept_theirs or (moved and not (gone or added)):
        words += [f"{name!r} is {index}, was {before}" for name, before, index in moved[:3]]
    elif moved:
        words.append(f"{len(moved)} behind {'it' if len(gone) + len(added) == 1 else 'them'} have other indices")
    more = len(renamed) + len(gone) + len(added)
    return words if more <= 9 else [*words, f"{more} changes in all"]  # noqa: PLR2004 - three of each are named
