"""Which cases come first: those that a person waits for. All legs record in the same order, so that verdicts come early."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backendcheck.errors import UnreadableInput
from backendcheck.recordings.earlier_report import failing_in
from backendcheck.recordings.files import read_environment
from backendcheck.sessions.source_files import changed_since
from backendcheck.vocabulary.leg_names import LegName


def first_cases(runs: Sequence[Path], backends: Sequence[LegName]) -> tuple[str, ...]:
    """The cases that failed in the first of `runs` that has a report, and the case files that have changed since then.

    A case is given by its id, a file by its name without ``.py``.
    """
    for run in runs:
        if (failed := failing_in(run)) is not None:
            break
    else:
        return ()
    sources: dict[str, str] = {}
    for backend in backends:
        try:
            sources |= read_environment(run / backend.folder).sources
        except UnreadableInput:  # this leg was not recorded, or not by this version
            continue
    changed = [Path(name).stem for name in changed_since(sources, Path.cwd()) if name.endswith(".py")]
    return tuple(dict.fromkeys([*failed, *changed]))
