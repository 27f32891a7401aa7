"""What came of a question: the results of its run, to be read by a program, in a terminal or in a notebook."""

from __future__ import annotations

import html
import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.results.results import CaseResult, Results
from backendcheck.verdicts.verdict import Verdict

_FRAME_HEIGHT = 640  # pixels


class Report:
    """What `check_model` and `check_function` return.

    It is true where every case PASSED or XFAILED and nothing is missing. Printed it is the summary that `backendcheck run`
    prints, in a notebook a page. `directory` holds the whole run: the case file, the recordings, ``index.html``,
    ``report.json``; one that nobody named lasts as long as the report does.
    """

    def __init__(self, results: Results, directory: Path, *, temporary: bool = False) -> None:
        self.results = results
        self.directory = directory
        if temporary:
            weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)

    @property
    def result(self) -> CaseResult:
        """The one case that was asked about, with its findings, diagnoses and recordings."""
        return self.results.cases[0]

    @property
    def verdict(self) -> str:
        """PASSED, FAILED, ERROR, XFAILED or XPASSED; ERROR too where a backend is missing altogether."""
        if self.results.exit_code == 3 or not self.results.cases:  # noqa: PLR2004 - see the exit codes
            return Verdict.ERROR.value
        return self.result.verdict.value

    @property
    def headline(self) -> str:
        """What is wrong in one sentence; empty if nothing is."""
        if self.results.problems:
            return self.results.problems[0]
        return self.result.headline

    @property
    def exit_code(self) -> int:
        """As `backendcheck run` would have it: 0 agreement, 1 a difference, 3 incomplete."""
        return self.results.exit_code

    def __bool__(self) -> bool:
        return self.exit_code == 0

    def values(self, observation: str) -> dict[str, np.ndarray]:
        """What each backend computed for an observation (``loss``, ``predictions``, ``gradient/y_pred``, …).

        Raises:
            KeyError: if none has it, naming those that there are.
        """
        recordings = self.result.recordings
        found = {leg: one.observations[observation].value for leg, one in recordings.items() if observation in one.observations}
        if not found:
            there = ", ".join(dict.fromkeys(name for one in recordings.values() for name in one.observations))
            message = f"{observation}: no such observation; expected one of {there or 'none, nothing was recorded'}"
            raise KeyError(message)
        return found

    def lines(self, *, verbose: bool = False) -> list[str]:
        """The case in full, as `backendcheck show` prints it."""
        from backendcheck.report.formats import text

        if not self.results.cases:
            return list(text.summary(self.results))
        return list(text.case(self.result, self.results, verbose=verbose))

    def to_dict(self) -> dict[str, Any]:
        """What ``report.json`` holds."""
        import json

        from backendcheck.report.formats import json as json_report

        found: dict[str, Any] = json.loads(json_report.render(self.results))
        return found

    @property
    def html(self) -> str:
        """The whole page."""
        from backendcheck.report.html import page as html_report

        return html_report.render(self.results)

    def raise_for_verdict(self) -> None:
        """Do nothing where the report is true.

        Raises:
            AssertionError: with the summary, where it is not.
        """
        if not self:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        from backendcheck.report.formats import text

        return "\n".join(text.summary(self.results))

    def __repr__(self) -> str:
        return f"<Report {self.verdict}{f': {self.headline}' if self.headline else ''}>"

    def _repr_html_(self) -> str:
        """The summary, and the page in a frame of its own, so that neither reaches into the notebook."""
        colour = {"PASSED": "#1a6b3c", "XFAILED": "#1a6b3c"}.get(self.verdict, "#a61b1b")
        open_ = "" if self else " open"
        style = f"width:100%;height:{_FRAME_HEIGHT}px;border:0"
        page = html.escape(self.html)
        frame = f'<iframe title="backendcheck report" sandbox="allow-scripts" style="{style}" srcdoc="{page}"></iframe>'
        said = f"<pre>{html.escape(str(self))}</pre>"
        head = f'<b style="color:{colour}">{html.escape(self.verdict)}</b> {html.escape(self.headline)}'
        return f"<div>{head}{said}<details{open_}><summary>Report</summary>{frame}</details></div>"
