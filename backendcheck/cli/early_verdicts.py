"""Verdicts while a run still records: each case is judged once its last leg has recorded it, and failures are told.

That is only for telling. The report is made from the files when all legs have ended, as `compare` makes it. Nothing of a case is
held until then, so that the process stays small however many there are.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from backendcheck.cli.terminal import color_choice, styled
from backendcheck.progress.progress import Progress
from backendcheck.text.escape import one_line, visible
from backendcheck.text.words import error_line

if TYPE_CHECKING:
    from backendcheck.compare.tolerances import Override
    from backendcheck.recordings.recording import Recording
    from backendcheck.results.case_result import CaseResult
    from backendcheck.verdicts.known import EntriesByCase

_HEADING = "failing cases, as they are found; the summary at the end has them all"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    """What verdicts depend on besides recordings."""

    entries: EntriesByCase
    overrides: Sequence[Override]


class EarlyVerdicts(Progress):
    """Passes all events on to a display, and tells it verdicts.

    `legs` are the directories of all legs that a verdict needs, by name; those in `ended` are not recorded now.
    """

    def __init__(self, shown: Progress, legs: Mapping[str, Path], known_files: Sequence[Path], ended: Iterable[str] = ()) -> None:
        self._shown = shown
        self._legs = legs
        self._known_files = known_files
        self._collected = set(ended)
        self._recorded: dict[str, set[str]] = {}  # by case the legs that have recorded it in this run
        self._judged: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._rules: _Rules | None = None
        self._n_told = 0
        self._works = True

    def __enter__(self) -> Self:
        self._shown.__enter__()
        return self

    def __exit__(self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._shown.__exit__(error_type, error, trace)

    def collected(self, leg: str, n_cases: int) -> None:
        self._shown.collected(leg, n_cases)
        self._collected.add(leg)
        import backendcheck.report.formats.text  # noqa: F401 - takes half a second, while other legs still import their backends

        for case in list(self._recorded):
            self._try(case)

    def started(self, leg: str, case: str) -> None:
        self._shown.started(leg, case)

    def finished(self, leg: str, n_done: int) -> None:
        self._shown.finished(leg, n_done)

    def recorded(self, leg: str, case: str) -> None:
        self._shown.recorded(leg, case)
        self._recorded.setdefault(case, set()).add(leg)
        self._try(case)

    def ended(self, leg: str, exit_code: int, message: str) -> None:
        self._shown.ended(leg, exit_code, message)

    def _try(self, case: str) -> None:
        """Judge a case. What is wrong with recordings or settings decides at the end; until then the run goes on."""
        try:
            if self._works:
                self._judge(case)
        except Exception as error:  # noqa: BLE001 - see above
            self._works = False
            problem = one_line(error_line(error)).rstrip(".")
            self._shown.tell([f"{visible(case)}: could not be judged yet ({problem}). Verdicts come at the end of the run."])

    def _judge(self, case: str) -> None:
        """Judge a case if all legs have it. Before a leg has collected, its directory may hold an earlier run."""
        if case in self._judged or not {*self._legs} <= self._collected:
            return
        if (recordings := self._recordings(case)) is None:
            return
        from backendcheck.report.formats.text import failing_early
        from backendcheck.report.views.case import FAILING

        self._judged.add(case)
        result = self._result(case, recordings)
        self._counts[result.verdict.value] += 1
        self._shown.judged(self._counts)
        if result.verdict in FAILING:
            heading = [] if self._n_told else [_HEADING]
            self._n_told += 1
            lines = [*heading, *failing_early(result, self._shown.width)]
            self._shown.tell(lines if color_choice() is False else map(styled, lines))

    def _recordings(self, case: str) -> dict[str, Recording] | None:
        """The recordings of a case by leg; None before all are written."""
        from backendcheck.recordings.files import is_written, read_if_written
        from backendcheck.sessions.resume import TRIED_AGAIN

        if not all(is_written(directory, case) for directory in self._legs.values()):
            return None
        now = self._recorded[case]
        recordings = {}
        for leg, directory in self._legs.items():
            recording = read_if_written(directory, case)
            # A resumed run may record once more what did not come to an end.
            if recording is None or (leg not in now and recording.status in TRIED_AGAIN):
                return None
            recordings[leg] = recording
        return recordings

    def _result(self, case: str, recordings: Mapping[str, Recording]) -> CaseResult:
        from backendcheck.results.case_result import case_result

        rules = self._rules = self._rules or self._read_rules()
        return case_result(case, recordings, list(self._legs), rules.entries(case), rules.overrides, only_failing=True)

    def _read_rules(self) -> _Rules:
        """The known divergences and tolerances in force, for the environments that the legs have noted."""
        from backendcheck.config import load_configuration
        from backendcheck.recordings.files import read_environment
        from backendcheck.recordings.legs import Leg
        from backendcheck.results.results import in_force
        from backendcheck.verdicts.known_files import known_in_force

        configuration = load_configuration(Path.cwd())
        legs = [
            Leg(label=leg, path=directory, environment=read_environment(directory), recordings={})
            for leg, directory in self._legs.items()
        ]
        known = known_in_force(legs, configuration.known, self._known_files)
        today = datetime.datetime.now(datetime.UTC).date()
        return _Rules(entries=in_force(known, legs, today), overrides=configuration.tolerances)
