"""The end of a session that compares: reports, the terminal summary, and problems that belong to no item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from backendcheck.errors import BackendcheckError
from backendcheck.in_pytest.judge import ignoring_warnings
from backendcheck.in_pytest.outcomes import PROPERTY
from backendcheck.in_pytest.settings import Settings
from backendcheck.recordings.legs import Leg, find_legs, read_legs
from backendcheck.report import write_reports
from backendcheck.report.views.case import counts_line, run_notes
from backendcheck.results.results import Results, analyze
from backendcheck.sessions.selected_items import SelectedItems
from backendcheck.text.escape import one_line
from backendcheck.verdicts.known_files import known_in_force
from backendcheck.vocabulary.case_ids import case_id, test_of

_PATIENCE_S = 120.0  # for recording sessions to end after the last item


class Summary:
    """Collects the outcomes of the items, and reports at the end of the session."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.selected: SelectedItems | None = None
        self.run: set[str] = set()  # case ids of the items that were run
        self.skipped: set[str] = set()  # of those, the tests that were skipped by their own marks
        self.results: Results | None = None
        self.problems: list[str] = []

    def note(self, report: pytest.TestReport) -> None:
        """Note the outcome of an item."""
        case = dict(report.user_properties).get(PROPERTY)
        if case is None:
            return
        if report.when == "call" or report.outcome != "passed":
            self.run.add(str(case))
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.add(str(case))

    @property
    def _all(self) -> set[str]:
        return {case_id(item.nodeid) for item in self.selected.items} if self.selected is not None else set()

    @property
    def patience_s(self) -> float:
        """How long to wait for recording sessions to end; no time if this session was stopped before all items were judged."""
        return _PATIENCE_S if self._all <= self.run else 0.0

    def note_nothing_compared(self) -> None:
        """Note that the session had nothing to record; that is a problem if --backends is on the command line."""
        if self.settings.explicit:
            self.problems.append("nothing was compared: found no case_* function and no test that takes backends_agree.")

    @ignoring_warnings()
    def report(self) -> None:
        """Write the reports."""
        try:
            self.results = self._analyze()
            write_reports(self.results, self.settings.out)
        except BackendcheckError as error:
            self.problems += str(error).splitlines()

    @property
    def is_wrong(self) -> bool:
        """Whether there is a problem that belongs to no item."""
        return bool(self.problems) or (self.results is not None and bool(self.results.problems))

    def print_summary(self, terminal: Any) -> None:
        """Print the problems, the counts, and the path of the report."""
        lines = list(self._lines())
        if lines:
            terminal.write_sep("=", "backendcheck")
        for line in lines:
            terminal.write_line(line)

    def _lines(self) -> Iterator[str]:
        yield from (f"PROBLEM {one_line(problem)}" for problem in self.problems)
        if self.results is not None:
            notes = [("PROBLEM", str(problem)) for problem in self.results.problems] + run_notes(self.results)
            yield from (f"{label} {one_line(note)}" for label, note in notes)
            yield counts_line(self.results)
            yield f"report: {self.settings.place}/index.html"

    def _analyze(self) -> Results:
        configuration = self.settings.configuration
        out = self.settings.out
        paths = [out / backend.value for backend in self.settings.backends if (out / backend.value).is_dir()]
        leg_dirs = find_legs(paths) if paths else []
        legs = [self._of_this_session(leg) for leg in read_legs(leg_dirs)] if leg_dirs else []
        known = known_in_force(legs, configuration.known)
        is_complete = self.selected is not None and not self.selected.is_subset and self._all <= self.run
        return analyze(
            legs, expected=[backend.value for backend in self.settings.backends],
            expected_cases=configuration.cases if is_complete and self.settings.cases else (), known=known,
            overrides=configuration.tolerances,
        )  # fmt: skip

    def _of_this_session(self, leg: Leg) -> Leg:
        """The leg without cases that were not judged, because the session was stopped or the test was skipped."""
        ids, judged_ids = self._all, self.run - self.skipped

        def judged(case: str) -> bool:
            return test_of(case, ids) in judged_ids

        environment = replace(leg.environment, cases=tuple(filter(judged, leg.environment.cases)))
        recordings = {case: recording for case, recording in leg.recordings.items() if judged(case)}
        return replace(leg, environment=environment, recordings=recordings)
