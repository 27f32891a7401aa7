"""The legs of a run that is still being recorded: the cases that every leg has, and how far each leg is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backendcheck.recordings.files import ENVIRONMENT, read_environment, recording_files
from backendcheck.recordings.leg_directory import folders_of_legs
from backendcheck.recordings.legs import Leg, find_legs, read_legs
from backendcheck.text.words import counted
from backendcheck.vocabulary.states import ExitState

_BESIDE = ("scripts", "layers")  # folders beside the legs that a report shows


@dataclass(frozen=True, slots=True, kw_only=True)
class SoFar:
    """The legs with the cases that can be judged by now. `n_cases` is how many there will be.

    `unfinished` says how far each leg is that is not complete; empty once all have ended. A recording that was killed looks like
    one that still goes on.
    """

    legs: tuple[Leg, ...]
    unfinished: tuple[str, ...]
    n_cases: int


def legs_so_far(directory: Path) -> SoFar:
    """Read the legs in `directory`, of which some may still be recorded.

    A case can be judged once every leg that is not complete has it. A leg that has only begun has none.

    Raises:
        UsageError: if the directory does not exist.
        UnreadableInput: naming every file that cannot be read.
    """
    if not directory.is_dir():
        find_legs([directory])  # says so
    begun = [name for name in _legs_begun(directory) if not _is_leg(directory / name)]
    legs = read_legs(find_legs([directory])) if any(map(_is_leg, _places(directory))) else []
    running = [leg for leg in legs if leg.environment.exit_state is ExitState.RUNNING]
    cases = list(dict.fromkeys(case for leg in legs for case in (*leg.environment.cases, *leg.recordings)))
    if legs and not running and not begun:
        return SoFar(legs=tuple(legs), unfinished=(), n_cases=len(cases))
    judged = [] if begun else [case for case in cases if all(case in leg.recordings for leg in running)]
    unfinished = [*(f"{name}: is starting" for name in begun), *map(_progress, running)]
    return SoFar(
        legs=tuple(_restricted(leg, judged, cases) for leg in legs), n_cases=len(cases),
        unfinished=tuple(unfinished) or (f"{directory}: nothing is recorded there yet",),
    )  # fmt: skip


def state_on_disk(directory: Path) -> tuple[tuple[str, int, int], ...]:
    """The name, time and size of every file that a report of the run is made from: another value says that something is new."""
    files = []
    legs = [directory / name for name in _legs_begun(directory)] or [directory]
    for leg in legs:
        files += [leg / ENVIRONMENT, *recording_files(leg)]  # files that are renamed meanwhile are seen next time
    for name in _BESIDE:
        folder = directory / name
        files += sorted(folder.rglob("*.json")) if folder.is_dir() else []
    states = []
    for file in files:
        try:
            status = file.stat()
        except OSError:  # not written yet, or just replaced
            continue
        states.append((str(file), status.st_mtime_ns, status.st_size))
    return tuple(states)


def is_recording(directory: Path) -> bool:
    """Whether a leg in `directory` has begun and not ended.

    Raises:
        UnreadableInput: if an environment file is damaged.
    """
    begun = [place for place in _places(directory) if place.is_dir()]
    return any(
        not _is_leg(place) or read_environment(place).exit_state is ExitState.RUNNING
        for place in begun
        if place != directory or _is_leg(place)
    )


def _legs_begun(directory: Path) -> list[str]:
    return [folder.name for folder in folders_of_legs(directory)]


def _is_leg(directory: Path) -> bool:
    return (directory / ENVIRONMENT).is_file()


def _places(directory: Path) -> list[Path]:
    return [directory, *folders_of_legs(directory)]


def _progress(leg: Leg) -> str:
    n_cases, n_recorded = len(leg.environment.cases), len(leg.recordings)
    of = f" of {counted(n_cases, 'case')}" if n_cases else ""
    return f"{leg.label}: is being recorded, or was killed; {n_recorded}{of} so far"


def _restricted(leg: Leg, judged: Sequence[str], cases: Sequence[str]) -> Leg:
    """The leg with the cases that can be judged. It still knows all, so that nothing is said to match none of them."""
    recordings = {case: leg.recordings[case] for case in judged if case in leg.recordings}
    all_cases = tuple(dict.fromkeys((*leg.environment.all_cases, *cases)))
    return replace(leg, recordings=recordings, environment=replace(leg.environment, cases=tuple(judged), all_cases=all_cases))
