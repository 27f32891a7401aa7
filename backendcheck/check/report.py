"""The results of `check_model` and `check_function`, for a program, a terminal or a notebook."""

from __future__ import annotations

import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.migrate.decision import Migration
from backendcheck.results.results import CaseResult, Results
from backendcheck.verdicts.verdict import Verdict


class Report:
    """What `check_model` and `check_function` return.

    It is true if every case PASSED or XFAILED and nothing is missing. Printed, it is the summary that `backendcheck run` prints;
    a notebook shows the backends side by side. `directory` contains the whole run: the case file, the recordings, ``index.html``
    and ``report.json``. A temporary directory is deleted together with the report.
    """

    def __init__(self, results: Results, directory: Path, *, temporary: bool = False) -> None:
        self.results = results
        self.directory = directory
        self.migration: Migration | None = None
        self._temporary = temporary
        if temporary:
            weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)

    @property
    def result(self) -> CaseResult:
        """The case, with its findings, diagnoses and recordings."""
        return self.results.cases[0]

    @property
    def verdict(self) -> str:
        """PASSED, FAILED, ERROR, XFAILED or XPASSED; ERROR also if a backend is missing."""
        if self.results.exit_code == 3 or not self.results.cases:  # noqa: PLR2004 - see the exit codes
            return Verdict.ERROR.value
        return self.result.verdict.value

    @property
    def headline(self) -> str:
        """The difference in one sentence; empty without a difference."""
        if self.results.problems:
            return str(self.results.problems[0])
        return self.result.headline if self.results.cases else ""

    @property
    def exit_code(self) -> int:
        """As for `backendcheck run`: 0 agreement, 1 a difference, 3 incomplete. Of a migration: 0 go, 1 no go, 3 no decision."""
        if self.migration is not None:
            return self.migration.exit_code
        return self.results.exit_code

    def __bool__(self) -> bool:
        return self.exit_code == 0

    def values(self, observation: str) -> dict[str, np.ndarray]:
        """The values of an observation (``loss``, ``predictions``, ``gradient/y_pred``, …) by backend.

        Raises:
            KeyError: if no backend has it, with the names of those recorded.
        """
        recordings = self.result.recordings
        values = {
            leg: recording.observations[observation].value
            for leg, recording in recordings.items() if observation in recording.observations
        }  # fmt: skip
        if not values:
            names = ", ".join(dict.fromkeys(name for recording in recordings.values() for name in recording.observations))
            expected = f"expected one of {names}" if names else "nothing was recorded"
            message = f"{observation}: no such observation; {expected}"
            raise KeyError(message)
        return values

    def lines(self, *, verbose: bool = False) -> list[str]:
        """The case in full, as printed by `backendcheck show`."""
        from backendcheck.report.formats import text

        if not self.results.cases:
            return list(text.summary(self.results))
        return list(text.case(self.result, self.results, verbose=verbose))

    def to_dict(self) -> dict[str, Any]:
        """The content of ``report.json``."""
        import json

        from backendcheck.report.formats import json as json_report

        content: dict[str, Any] = json.loads(json_report.render(self.results))
        return content

    @property
    def html(self) -> str:
        """The whole page."""
        from backendcheck.report.html import page as html_report

        return html_report.render(self.results)

    def raise_for_verdict(self) -> None:
        """Do nothing if the report is true.

        Raises:
            AssertionError: with the summary, if the report is false.
        """
        if not self:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        from backendcheck.report.formats import text

        return "\n".join(text.summary(self.results))

    def __repr__(self) -> str:
        return f"<Report {self.verdict}{f': {self.headline}' if self.headline else ''}>"

    def _repr_html_(self) -> str:
        """The verdict, what to do, and the backends side by side, in the colors of the notebook. `html` is the whole page."""
        from backendcheck.report.html import notebook

        return notebook.output(self.results, self.verdict, "" if self._temporary else str(self.directory / "index.html"))
