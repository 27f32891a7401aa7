"""The directory of a leg: who may record into it, what an earlier recording there was of, how it is cleared."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from backendcheck.errors import OutputInTheWay, UnreadableInput
from backendcheck.recordings.environment import Environment
from backendcheck.recordings.files import ENVIRONMENT, read_environment
from backendcheck.recordings.paths import RECORDINGS
from backendcheck.text.words import counted, some_of
from backendcheck.vocabulary.backends import backends_by_name
from backendcheck.vocabulary.leg_names import backend_in, folder_of, leg_order

WORK = ".work"  # below the directory of a leg: what controller and workers tell each other
_MOST_PATHS = 3  # named in a message


def legs_below(directory: Path) -> list[Path]:
    """The directories of legs directly below a directory, in the order of reports.

    A folder that bears the name of no backend is a leg if its environment file says so.
    """
    return [folder for folder in folders_of_legs(directory) if is_leg(folder)]


def folders_of_legs(directory: Path) -> list[Path]:
    """The folders directly below a directory that bear the name of a leg, also those in which nothing was written yet."""
    folders = [folder for folder in directory.iterdir() if folder.is_dir()] if directory.is_dir() else []
    known = backends_by_name()
    legs = [folder for folder in folders if folder.name in known or (is_leg(folder) and _names_itself(folder))]
    return sorted(legs, key=lambda leg: leg_order(leg.name))


def is_leg(directory: Path) -> bool:
    """Whether a directory holds what a recording session writes."""
    return (directory / ENVIRONMENT).is_file() or (directory / RECORDINGS).is_dir()


def _names_itself(folder: Path) -> bool:
    try:
        return folder_of(read_environment(folder).backend) == folder.name
    except UnreadableInput:
        return False


def make_writable(directory: Path) -> None:
    """Make a directory, or see that it can be written.

    Raises:
        OutputInTheWay: if neither can be.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        message = f"{directory}: cannot be written ({error.strerror or error}). Choose another --out."
        raise OutputInTheWay(message) from error


def release(version: Any) -> str:
    """A version without what names its build."""
    return str(version or "").partition("+")[0]


def describe(environment: Environment) -> str:
    """A recorded leg in words: how many cases of what, when, on which versions."""
    selection = environment.selection
    paths = some_of(selection.paths, _MOST_PATHS) or "unknown paths"
    expressions = (("-k", selection.keyword), ("-m", selection.marks))
    chosen = "".join(f" {flag} {expression!r}" for flag, expression in expressions if expression)
    recorded = environment.versions
    versions = " ".join(f"{name} {recorded[name]}" for name in ("keras", backend_in(environment.backend)) if name in recorded)
    where = versions or environment.backend
    return f"{counted(len(environment.cases), 'case')} of {paths}{chosen}, recorded {environment.started} on {where}"


def clear_work(leg: Path) -> None:
    """Remove what a session that was killed at its very end has left of the notes of its processes."""
    shutil.rmtree(leg / WORK, ignore_errors=True)


def clear_leg(leg: Path) -> None:
    """Remove what a recording session writes, and nothing else."""
    for name in (RECORDINGS, WORK):
        shutil.rmtree(leg / name, ignore_errors=True)
    (leg / ENVIRONMENT).unlink(missing_ok=True)
