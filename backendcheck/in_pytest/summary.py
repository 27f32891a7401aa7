"""The end of a session that compares: its reports, what the terminal says of them, what fails although no item has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from backendcheck.errors import BackendcheckError
from backendcheck.in_pytest.judge import undisturbed
from backendcheck.in_pytest.outcomes import PROPERTY
from backendcheck.in_pytest.settings import Settings
from backendcheck.recordings.legs import Leg, find_legs, read_legs
from backendcheck.report import write_reports
from backendcheck.report.views.case import counts_line, run_notes
from backendcheck.results.results import Results, analyse
from backendcheck.sessions.selected_items import SelectedItems
from backendcheck.text.escape import one_line
from backendcheck.verdicts.known_files import known_in_force
from backendcheck.vocabulary.case_ids import case_id, test_of

_PATIENCE_S = 120.0  # for recording sessions that are done with every item to end


class Ending:
    """Follows the items of a session to its end, and reports on them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.chosen: SelectedItems | None = None
        self.run: set[str] = set()  # items by the id of their case
        self.skipped: set[str] = set()  # of those, tests that their author has pytest skip
        self.results: Results | None = None
        self.problems: list[str] = []

    def see(self, report: pytest.TestReport) -> None:
        """Note what became of an item."""
        case = dict(report.user_properties).get(PROPERTY)
        if case is None:
            return
        if report.when == "call" or report.outcome != "passed":
            self.run.add(str(case))
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.add(str(case))

    @property
    def _all(self) -> set[str]:
        return {case_id(item.nodeid) for item in self.chosen.items} if self.chosen is not None else set()

    @property
    def patience_s(self) -> float:
        """How long recording sessions may take to end by themselves: no time where this one was stopped before all was judged."""
        return _PATIENCE_S if self._all <= self.run else 0.0

    def see_nothing(self) -> None:
        """Note that there was nothing to be recorded. That is wrong if somebody asked for it on the command line."""
        if self.settings.asked:
            self.problems.append("there is no case_* function and no test that takes backends_agree: nothing was compared.")

    @undisturbed()
    def report(self) -> None:
        """Write the reports."""
        try:
            self.results = self._analysed()
            write_reports(self.results, self.settings.out)
        except BackendcheckError as error:
            self.problems += str(error).splitlines()

    @property
    def is_wrong(self) -> bool:
        """Whether something is wrong that no item stands for."""
        return bool(self.problems) or (self.results is not None and bool(self.results.problems))

    def tell(self, terminal: Any) -> None:
        """Say how many of what there were, and where the report is."""
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

    def _analysed(self) -> Results:
        configuration = self.settings.configuration
        out = self.settings.out
        paths = [out / backend.value for backend in self.settings.backends if (out / backend.value).is_dir()]
        there = find_legs(paths) if paths else []
        legs = [self._of_this_session(leg) for leg in read_legs(there)] if there else []
        known = known_in_force(legs, configuration.known)
        whole = self.chosen is not None and not self.chosen.is_subset and self._all <= self.run
        return analyse(
            legs, expected=[backend.value for backend in self.settings.backends],
            expected_cases=configuration.cases if whole and self.settings.cases else (), known=known,
            overrides=configuration.tolerances,
        )  # fmt: skip

    def _of_this_session(self, leg: Leg) -> Leg:
        """The leg without what was not judged here: the session was stopped before, or a test skipped itself."""
        ids, wanted = self._all, self.run - self.skipped

        def judged(case: str) -> bool:
            return test_of(case, ids) in wanted

        environment = replace(leg.environment, cases=tuple(filter(judged, leg.environment.cases)))
        return replace(leg, environment=environment, recordings={k: v for k, v in leg.recordings.items() if judged(k)})
