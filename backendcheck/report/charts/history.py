"""A strip with the verdicts of a case in earlier runs."""

from __future__ import annotations

from markupsafe import Markup

from backendcheck.report.charts import svg
from backendcheck.report.views.history import CaseHistory

_STEP, _WIDTH, _HEIGHT = 12, 9, 26
# What fails is tall, so that color alone carries no meaning.
_TALL = {"FAILED": 26, "ERROR": 26, "XPASSED": 18, "XFAILED": 12, "PASSED": 8}


def strip(history: CaseHistory) -> Markup:
    """A bar for each run, oldest first; a line where a run did not have the case."""
    marks = []
    for number, (name, verdict) in enumerate(history.marks):
        height = _TALL.get(verdict, 1)
        bar = svg.element(
            "rect", x=number * _STEP, y=_HEIGHT - height, width=_WIDTH, height=height, class_=f"run {verdict or 'none'}"
        )
        marks.append(svg.titled(bar, f"{verdict or 'not in this run'}: {name}"))
    return svg.picture(marks, width=_STEP * len(marks), height=_HEIGHT, label=history.words)
