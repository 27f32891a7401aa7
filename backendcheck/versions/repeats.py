"""Second recordings of the cases that change: what is not the same twice is not a change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from backendcheck.case_files import PREFIX, builtin_cases, case_names, find_case_files
from backendcheck.compare.tolerances import Override
from backendcheck.recordings.legs import Leg, find_legs, read_legs
from backendcheck.recordings.recording import Recording
from backendcheck.results.results import Results
from backendcheck.sessions.request import RecordingRequest
from backendcheck.verdicts.verdict import Verdict
from backendcheck.versions.changes import Pair, changes_of

AGAIN = "again"  # folder of the second recordings, in the directory of an upgrade


def confirmed_changes(
    pair: Pair, requests: Sequence[RecordingRequest], legs: Sequence[Leg], overrides: Sequence[Override],
    record: Callable[[Sequence[RecordingRequest]], Sequence[Path]],
) -> Results:  # fmt: skip
    """The results of one backend. Where a case changes, it is recorded again on both legs, and judged with that.

    `record` records legs, and returns the directories of those that are there.
    """
    results = changes_of(pair, legs, overrides)
    changed = [result.case for result in results.cases if result.verdict is Verdict.FAILED]
    repeats = record_again(requests, changed, requests[0].out / AGAIN, record) if changed else {}
    return changes_of(pair, legs, overrides, repeats) if repeats else results


def record_again(
    requests: Sequence[RecordingRequest], cases: Sequence[str], out: Path,
    record: Callable[[Sequence[RecordingRequest]], Sequence[Path]],
) -> Mapping[str, Mapping[str, Recording]]:  # fmt: skip
    """Record these cases once more on each leg, into `out`; returns the recordings by case and leg.

    A case that is not recorded this time is left out.
    """
    nodes = list(node_ids(cases, requests[0].paths))
    again = [replace(request, paths=nodes, out=out, fresh=True, store=None, overwrite=True, first=()) for request in requests]
    legs = record(again)
    by_case: dict[str, dict[str, Recording]] = {}
    for leg in read_legs(find_legs(legs)) if legs else ():
        for case, recording in leg.recordings.items():
            by_case.setdefault(case, {})[leg.label] = recording
    return by_case


def node_ids(cases: Sequence[str], paths: Sequence[str]) -> Iterator[str]:
    """The pytest node ids of cases in these paths; without any, of built-in cases."""
    files = find_case_files([*paths] or [str(builtin_cases())])
    for case in cases:
        stem, _, name = case.partition("/")
        for file in files:
            if file.stem == stem and PREFIX + name.partition("[")[0] in case_names(file):
                yield f"{file}::{PREFIX}{name}"

