"""Annotations on GitHub: workflow commands that put what fails beside the line of its case."""

from __future__ import annotations

from collections.abc import Iterator

from backendcheck.report.views.case import FAILING, by_verdict
from backendcheck.results.results import Results
from backendcheck.text.escape import one_line, visible
from backendcheck.text.github import _data, _property

_MOST = 10  # of one step GitHub shows no more


def commands(results: Results) -> Iterator[str]:
    """One ``::error`` line for each failing case, worst first, ten at most; the last says how many there are beyond."""
    failing = by_verdict(results, *FAILING)
    shown = failing if len(failing) <= _MOST else failing[: _MOST - 1]
    for result in shown:
        place = f"file={_property(result.file)},line={max(result.line, 1)}," if result.file else ""
        title = _property(f"backendcheck {result.verdict}: {visible(result.case)}")
        yield f"::error {place}title={title}::{_data(one_line(result.headline))}"
    if len(shown) < len(failing):
        yield f"::error title=backendcheck::{len(failing) - len(shown)} more cases fail; the report of this job has them."
