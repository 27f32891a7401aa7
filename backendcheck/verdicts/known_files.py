"""Where known divergences are: which files and folders are in force for the case files of a run.

Entries stand in `known_divergences.toml`, or in the files of a folder `known_divergences`, one for each case file. Both are found
beside the case files, below a directory that was asked for, and above it up to the root of the project.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from backendcheck.case_files import BUILT_IN, SKIPPED_FOLDERS, builtin_cases, split_node_id
from backendcheck.errors import UsageError
from backendcheck.recordings.legs import Leg
from backendcheck.recordings.paths import no_device
from backendcheck.verdicts.known import Divergence
from backendcheck.verdicts.known_entries import load

FILE_NAME = "known_divergences.toml"
FOLDER_NAME = "known_divergences"
_PROJECT_FILES = ("pyproject.toml", ".git")


def find_known(legs: Sequence[Leg], configured: Sequence[Path]) -> list[Path]:
    """The files and folders in force for `legs`: those configured, and those beside or above the recorded case files.

    Raises:
        UsageError: if a configured path does not exist.
    """
    return [path for path, _ in _in_force(_recorded_paths(legs), configured)]


def find_known_of_paths(paths: Sequence[str], configured: Sequence[Path]) -> list[Path]:
    """The files and folders in force for the case files at `paths`, as a command line has them."""
    return [path for path, _ in _in_force(paths, configured)]


def known_in_force(legs: Sequence[Leg], configured: Sequence[Path], files: Sequence[Path] = ()) -> list[Divergence]:
    """All entries in force for `legs`; `files` stand instead of those that would be looked for.

    Raises:
        UsageError: if a path does not exist or cannot be read.
    """
    return known_of_paths(_recorded_paths(legs), configured, files)


def known_of_paths(paths: Sequence[str], configured: Sequence[Path], files: Sequence[Path] = ()) -> list[Divergence]:
    """All entries in force for the case files at `paths`, as a command line has them."""
    in_force = [(file, False) for file in files] or _in_force(paths, configured)
    return [replace(entry, found_above=above) if above else entry for path, above in in_force for entry in load(path)]


def known_place(legs: Sequence[Leg], configured: Sequence[Path] = ()) -> Path:
    """Where an entry about `legs` belongs: the first file or folder in force, or a new file beside their case files.

    Raises:
        UsageError: if a configured path does not exist.
    """
    paths = _recorded_paths(legs)
    folders = [_folder(path) for path in paths]
    return next(iter(find_known(legs, configured)), (folders[0] if folders else Path()) / FILE_NAME)


def file_for(place: Path, case: str) -> Path:
    """The file for entries about `case`: the one of its case file in a folder, or the file itself.

    Case files that differ only in upper and lower case share a file. Some systems cannot hold two.
    """
    if not place.is_dir():
        return place
    stem = case.partition("/")[0]
    names = {entry.name for entry in place.iterdir()}
    if f"{stem}.toml" in names:
        return place / f"{stem}.toml"
    file = no_device(f"{stem}.toml")
    return place / next((name for name in sorted(names) if name.lower() == file.lower()), file)


def _recorded_paths(legs: Sequence[Leg]) -> list[str]:
    return list(dict.fromkeys(path for leg in legs for path in leg.environment.selection.paths))


def _in_force(paths: Sequence[str], configured: Sequence[Path]) -> list[tuple[Path, bool]]:
    """Each path once, with whether it lies above all that was asked for."""
    for path in configured:
        if not path.exists():
            message = f"{path}: no such file; expected the known divergences that pyproject.toml names."
            raise UsageError(message)
    folders = list(dict.fromkeys(map(_folder, paths)))
    in_force: dict[Path, tuple[Path, bool]] = {path.resolve(): (path, False) for path in configured}
    for place in (place for folder in folders for below in _below(folder) for place in _known_in(below)):
        in_force.setdefault(place.resolve(), (place, False))
    for place in (place for folder in folders for parent in _parents(folder) for place in _known_in(parent)):
        in_force.setdefault(place.resolve(), (place, True))
    return list(in_force.values())


def _folder(path: str) -> Path:
    place = builtin_cases() if path == BUILT_IN else split_node_id(path)[0]
    return place if place.is_dir() else place.parent


def _known_in(folder: Path) -> Iterator[Path]:
    if (folder / FILE_NAME).is_file():
        yield folder / FILE_NAME
    if (folder / FOLDER_NAME).is_dir():
        yield folder / FOLDER_NAME


def _below(folder: Path) -> Iterator[Path]:
    """The folder and those in it, where case files are looked for too."""
    for parent, names, files in os.walk(folder):
        if "pyvenv.cfg" in files:
            names.clear()
            continue
        names[:] = sorted(name for name in names if not name.startswith(".") and name not in SKIPPED_FOLDERS | {FOLDER_NAME})
        yield Path(parent)


def _parents(folder: Path) -> list[Path]:
    """The folders above, up to the root of the built-in cases or of the project; empty without such a root."""
    above = list(folder.absolute().parents)
    builtin = builtin_cases().absolute()
    if builtin in above:
        return above[: above.index(builtin) + 1]
    if any((folder / name).exists() for name in _PROJECT_FILES):
        return []
    roots = [place for place, parent in enumerate(above) if any((parent / name).exists() for name in _PROJECT_FILES)]
    return above[: roots[0] + 1] if roots else []
