"""The directory of a leg: who may record into it, what an earlier recording there was of, how it is cleared."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from backendcheck.errors import OutputInTheWay
from backendcheck.recordings.environment import Environment
from backendcheck.recordings.files import ENVIRONMENT
from backendcheck.recordings.paths import RECORDINGS

WORK = ".work"  # below the directory of a leg: what controller and workers tell each other


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
    paths = ", ".join(selection.paths) or "unknown paths"
    expressions = (("-k", selection.keyword), ("-m", selection.marks))
    chosen = "".join(f" {flag} {expression!r}" for flag, expression in expressions if expression)
    recorded = environment.versions
    versions = " ".join(f"{name} {recorded[name]}" for name in ("keras", environment.backend) if name in recorded)
    where = versions or environment.backend
    return f"{len(environment.cases)} cases of {paths}{chosen}, recorded {environment.started} on {where}"


def clear_leg(leg: Path) -> None:
    """Remove what a recording session writes, and nothing else."""
    for name in (RECORDINGS, WORK):
        shutil.rmtree(leg / name, ignore_errors=True)
    (leg / ENVIRONMENT).unlink(missing_ok=True)
