"""The files of merged legs: where they may be put, and writing them so that an unfinished leg is never taken for a whole one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from backendcheck.errors import OutputInTheWay, UnreadableInput
from backendcheck.files import read_bytes, write_atomically
from backendcheck.recordings.earlier_report import runs_in
from backendcheck.recordings.files import ENVIRONMENT, read_environment, write_environment
from backendcheck.recordings.leg_directory import clear_leg, describe, legs_below, make_writable
from backendcheck.recordings.merge import MergedLeg
from backendcheck.recordings.noise import noise_path
from backendcheck.recordings.paths import alike, is_alike, recording_path
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS
from backendcheck.vocabulary.leg_names import folder_of
from backendcheck.vocabulary.states import ExitState

_REMEDY = "Choose another --out, or use --overwrite."


def check_place(out: Path, legs: Sequence[MergedLeg], *, overwrite: bool) -> None:
    """Check that `out` holds at most what an earlier merge of the same parts has written.

    Raises:
        OutputInTheWay: if it holds anything else.
    """
    runs = {folder_of(leg.environment.backend): leg.environment.run for leg in legs}
    for path in _places(out, legs):
        if overwrite or not path.exists():
            continue
        if not (path / ENVIRONMENT).is_file():
            message = f"{path}: not a leg; expected nothing, or the leg that was merged from these parts before. {_REMEDY}"
            raise OutputInTheWay(message)
        earlier = read_environment(path)
        if earlier.run != runs.get(path.name):
            message = f"{path}: holds another leg: {describe(earlier)}. {_REMEDY}"
            raise OutputInTheWay(message)
    reported = runs_in(out)
    if not overwrite and reported is not None and reported != {*runs.values()}:
        message = f"{out}: holds the report of another run. {_REMEDY}"
        raise OutputInTheWay(message)
    make_writable(out)


def write_legs(out: Path, legs: Sequence[MergedLeg]) -> list[Path]:
    """Write merged legs below `out`, in place of earlier ones; returns their directories.

    Raises:
        OutputInTheWay: if they cannot be written.
        UnreadableInput: if a recording has changed since it was read.
    """
    for path in _places(out, legs):
        for old in (path, *(noise for noise in out.glob(f".noise/*/{path.name}") if noise.is_dir())):
            if old.is_dir():
                clear_leg(old)
    written = []
    for leg in legs:
        path = out / folder_of(leg.environment.backend)
        write_leg(path, leg)
        for name, noise in leg.noise.items():
            write_leg(noise_path(path, name), noise)
        written.append(path)
    return written


def _places(out: Path, legs: Sequence[MergedLeg]) -> list[Path]:
    """Where legs lie below `out`, or would lie: those of an earlier merge too."""
    names = [backend.value for backend in DEFAULT_BACKENDS] + [folder_of(leg.environment.backend) for leg in legs]
    return list(dict.fromkeys([*(out / name for name in names), *legs_below(out)]))


def write_leg(path: Path, leg: MergedLeg) -> None:
    """Write one merged leg into its directory, where nothing of another leg may be left.

    Raises:
        OutputInTheWay: if it cannot be written.
        UnreadableInput: if a recording has changed since it was read.
    """
    # Until the last recording is there the leg is one that was not finished, which no command takes for a whole one.
    write_environment(path, replace(leg.environment, exit_state=ExitState.RUNNING))
    names = alike({*leg.environment.cases, *leg.files})
    for case, file in leg.files.items():
        content = read_bytes(file)
        if hashlib.sha256(content).hexdigest() != leg.environment.digests[case]:
            message = f"{file}: has changed while it was read. Merge again when nothing writes there any more."
            raise UnreadableInput(message)
        write_atomically(recording_path(path, case, distinct=is_alike(case, names)), content)
    write_environment(path, leg.environment)
