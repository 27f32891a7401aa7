"""The directory of a leg: who may record into it, what an earlier recording there was of, how it is cleared."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backendcheck.backends import installed_version
from backendcheck.errors import OutputInTheWay
from backendcheck.record.request import Request
from backendcheck.recording import ENVIRONMENT, PLANTED, PLANTED_NOTES, RECORDINGS, Environment, read_environment

WORK = ".work"  # below the directory of a leg: what controller and workers tell each other


def claim_leg(request: Request) -> Path:
    """Make the directory of the leg; there may be an earlier recording of the same selection in it.

    Raises:
        OutputInTheWay: if it holds anything else, or cannot be written.
    """
    leg = request.leg
    check_leg(request)
    make_writable(leg)
    return leg


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


@contextlib.contextmanager
def alone_in(leg: Path) -> Iterator[None]:
    """Keep other sessions from recording into the same directory meanwhile.

    Raises:
        OutputInTheWay: if one does just that.
    """
    with contextlib.ExitStack() as stack:
        try:
            import fcntl

            handle = os.open(leg, os.O_RDONLY)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{leg}: is being recorded into by another process. Wait for it, or choose another --out."
            raise OutputInTheWay(message) from None
        except (OSError, ImportError):
            pass  # this system, or this file system, has no such locks
        yield


def check_leg(request: Request) -> None:
    """See that the directory of the leg is empty, may be overwritten, or holds an earlier recording of the same selection.

    Whether that can be resumed, if it is to be, is for `resume` to see.

    Raises:
        OutputInTheWay: saying what is there.
    """
    leg = request.leg
    try:
        there = leg.exists() and (not leg.is_dir() or any(leg.iterdir()))
    except OSError as error:
        message = f"{leg}: cannot be read ({error.strerror or error}). Choose another --out."
        raise OutputInTheWay(message) from error
    if there and not leg.is_dir():
        message = f"{leg}: is a file; expected a directory to record into. Choose another --out."
        raise OutputInTheWay(message)
    if there and not request.overwrite and not request.resume:
        _check_same_run(leg, request)


def _check_same_run(leg: Path, request: Request) -> None:
    remedy = "Choose another --out, or say --overwrite"
    if not (leg / ENVIRONMENT).exists():
        names = ", ".join(sorted(entry.name for entry in leg.iterdir())[:5])
        message = f"{leg}: holds what is no recording ({names}); expected an empty directory. {remedy}."
        raise OutputInTheWay(message)
    there = read_environment(leg)
    before = {"selection": there.selection, "keras": there.versions.get("keras"), "backend": there.versions.get(there.backend)}
    now = {"selection": request.selection, "keras": installed_version("keras"), "backend": request.backend.version()}
    if there.versions and before["selection"] == now["selection"]:
        same = before["keras"] == now["keras"] and release(before["backend"]) == release(now["backend"])
    else:
        same = before["selection"] == now["selection"]
    if not same:
        message = f"{leg}: holds another run: {describe(there)}. It is neither mixed with this one nor overwritten. {remedy}."
        raise OutputInTheWay(message)


def release(version: Any) -> str:
    """A version without what names its build."""
    return str(version or "").partition("+")[0]


def describe(environment: Environment) -> str:
    """A recorded leg in words: how many cases of what, when, on which versions."""
    selection = environment.selection
    paths = ", ".join(map(str, selection.get("paths", []))) or "unknown paths"
    chosen = "".join(f" {flag} {selection[key]!r}" for flag, key in (("-k", "keyword"), ("-m", "marks")) if selection.get(key))
    recorded = environment.versions
    versions = " ".join(f"{name} {recorded[name]}" for name in ("keras", environment.backend) if name in recorded)
    where = versions or environment.backend
    return f"{len(environment.cases)} cases of {paths}{chosen}, recorded {environment.started} on {where}"


def clear_leg(leg: Path) -> None:
    """Remove what a recording session writes, and nothing else."""
    for name in (RECORDINGS, WORK):
        shutil.rmtree(leg / name, ignore_errors=True)
    (leg / ENVIRONMENT).unlink(missing_ok=True)


def clear_planted_legs(request: Request) -> None:
    """Remove what an earlier session has recorded with faults planted, these or others."""
    for leg in (request.out.absolute() / PLANTED).glob(f"*/{request.backend.value}"):
        clear_leg(leg)
        for notes in leg.glob(f"{PLANTED_NOTES}-*"):
            notes.unlink()
