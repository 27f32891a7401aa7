"""A self-test on disk: a leg for each backend, and below ``faults`` one for each fault and backend."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from backendcheck.recordings.files import ENVIRONMENT, INJECTED, INJECTION_NOTES
from backendcheck.recordings.legs import Leg, find_legs, read_legs
from backendcheck.results.results import analyze
from backendcheck.results.selftest import SelfTest, compare_again, false_alarms, try_fault
from backendcheck.verdicts.known_files import known_in_force
from backendcheck.vocabulary.faults import NO_FAULT, Fault
from backendcheck.vocabulary.leg_names import LegName, folder_of


def read_injected(directory: Path, fault: str, leg: str) -> Leg | None:
    """The leg recorded with `fault` injected on `leg`; None if it does not exist.

    Raises:
        UnreadableInput: if it is damaged.
    """
    path = directory / INJECTED / fault / folder_of(leg)
    return read_legs([path])[0] if (path / ENVIRONMENT).is_file() else None


def judge(directory: Path, pairs: Sequence[tuple[Fault, LegName]]) -> SelfTest:
    """Score the faults on the legs of `pairs` by what is recorded in `directory`.

    Raises:
        UsageError: if no leg is found.
        UnreadableInput: if one is damaged.
    """
    legs = read_legs(find_legs([directory]))
    known = known_in_force(legs, ())
    clean = analyze(legs, known=known)
    alarms, problems = false_alarms(clean), list(map(str, clean.problems))
    for leg in legs:
        again = read_injected(directory, NO_FAULT, leg.label)
        if again is None:
            problems.append(f"{leg.label}: was not recorded twice")
            continue
        new_alarms, changed = compare_again(leg, again)
        alarms += new_alarms
        problems += changed
    trials = []
    for fault, on in pairs:
        name = on.value
        faulty = read_injected(directory, fault.name, name)
        run = next((leg.environment.run for leg in legs if leg.label == name), "")
        if faulty is not None and faulty.environment.run != run:
            problems.append(f"{faulty.path}: is not of the run that recorded {directory / on.folder}; record both again")
        notes = _notes(directory / INJECTED / fault.name / on.folder)
        trials += try_fault(fault, faulty, notes, clean, backend=name, known=known)
    return SelfTest(trials=tuple(trials), false_alarms=tuple(alarms), problems=tuple(problems), n_clean=len(clean.cases))


def _notes(leg: Path) -> dict[str, dict[str, int]]:
    """What the faults of a leg counted, by case."""
    lines = [line for file in leg.glob(f"{INJECTION_NOTES}-*") for line in file.read_text(encoding="utf-8").splitlines()]
    return {note.pop("case"): note for note in map(json.loads, lines)}
