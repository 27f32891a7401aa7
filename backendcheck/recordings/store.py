"""The store of kept recordings: a folder for each set of conditions, with an index of what each recording depends on.

    .backendcheck_cache/recordings/<backend>-<conditions>/index.json    a checksum, and below it the index
    .backendcheck_cache/recordings/<backend>-<conditions>/recordings/   the recordings, as in the directory of a leg

Everything in it can be made again. What is damaged, or written by another version, counts as not there. A file is replaced at
once and never changed, so that readers need no lock; writers lock the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backendcheck.errors import OutputInTheWay
from backendcheck.files import files_below, locked, read_bytes, write_atomically
from backendcheck.recordings.codec import Codec
from backendcheck.recordings.dependencies import Now, digest_of, is_installed_unchanged
from backendcheck.recordings.paths import SUFFIX
from backendcheck.vocabulary.states import Status

CODEC = Codec({})
FORMAT = 1
CACHE = ".backendcheck_cache"  # in the directory in which a command is started
_MOST_SETS = 4  # of conditions, for each backend
_MOST_BYTES = 2 * 2**30
_INDEX = "index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecording:
    """One recording: its run, its file, its digest and identity, and the number of the set of rows that it depends on."""

    run: str
    started: str
    status: Status
    file: str
    path: str
    sha256: str
    size: int
    mtime_ns: int
    seconds: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The cases that one selection has collected, and the number of the set of rows that this depends on.

    `seconds` is how long they took then. Later sessions with another selection leave it as it is.
    """

    files: tuple[str, ...]
    cases: tuple[str, ...]
    all_cases: tuple[str, ...]
    sources: Mapping[str, str]
    rows: int
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What a folder of the store holds. `rows` are dependencies: key, value, and the identity of a file. `sets` are sets of them.

    `environment` is what a worker noted about versions and settings; `installed` has the modules of packages that were loaded.
    `cases` has the recordings by case, `plans` the lists of cases by selection, `not_kept` why a case is not there.
    """

    environment: Mapping[str, Any] = field(default_factory=dict)
    installed: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[tuple[str, str, str], ...] = ()
    sets: tuple[tuple[int, ...], ...] = ()
    cases: Mapping[str, StoredRecording] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    not_kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def unchanged(self, now: Now) -> frozenset[int]:
        """The numbers of the sets of which no row has changed; none if a package has changed."""
        if not all(is_installed_unchanged(path, value) for path, value in self.installed.items()):
            return frozenset()
        changed = {number for number, row in enumerate(self.rows) if not now.is_unchanged(*row)}
        return frozenset(number for number, rows in enumerate(self.sets) if changed.isdisjoint(rows))


@dataclass(frozen=True, slots=True)
class Store:
    """The recordings of one backend under one set of conditions."""

    root: Path
    backend: str
    conditions: Mapping[str, str]

    @property
    def folder(self) -> Path:
        digest = digest_of(f"{name}\0{value}" for name, value in sorted(self.conditions.items()))
        return self.root / "recordings" / f"{self.backend}-{digest[:16]}"

    def read(self) -> Index:
        """The index; an empty one if it is not there, or cannot be read."""
        try:
            checksum, _, text = read_bytes(self.folder / _INDEX).partition(b"\n")
            if checksum.decode() != hashlib.sha256(text).hexdigest():
                return Index()
            content = json.loads(text)
            return CODEC.decode(Index, content["index"]) if content["format"] == FORMAT else Index()
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return Index()

    def write(self, index: Index) -> None:
        """Replace the index.

        Raises:
            OutputInTheWay: if it cannot be written.
        """
        text = json.dumps({"format": FORMAT, "index": CODEC.encode(index)}).encode()
        write_atomically(self.folder / _INDEX, hashlib.sha256(text).hexdigest().encode() + b"\n" + text)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder, and keep other writers out of it.

        Raises:
            OutputInTheWay: if it cannot be made, or another process writes there.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (ignore := self.root / ".gitignore").exists():
                ignore.write_text("# Made by backendcheck. The whole folder can be removed at any time.\n*\n", encoding="utf-8")
        except OSError as error:
            message = f"{self.root}: cannot be written ({error.strerror or error})."
            raise OutputInTheWay(message) from error
        with locked(self.folder, f"{self.folder}: is being written by another process."):
            yield

    def prune(self, index: Index) -> None:
        """Remove files that the index does not name, and the sets of conditions that were not used for longest."""
        named = {self.folder / recording.path for recording in index.cases.values()}
        with contextlib.suppress(OSError):
            for path in files_below(self.folder, SUFFIX):
                if path not in named:
                    path.unlink()
            sets = sorted((self.root / "recordings").iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
            n_bytes, n_sets = 0, 0
            for path in sets:
                n_sets += path.name.startswith(f"{self.backend}-")
                n_bytes += sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
                is_one_too_many = path.name.startswith(f"{self.backend}-") and n_sets > _MOST_SETS
                if path != self.folder and (is_one_too_many or n_bytes > _MOST_BYTES):
                    shutil.rmtree(path, ignore_errors=True)


def place(source: Path, target: Path) -> None:
    """Have the file `source` at `target` as well, by a link where the system has links.

    Raises:
        OSError: if it cannot be done.
    """
    try:
        os.link(source, target)
    except OSError:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
