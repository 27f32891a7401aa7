"""Annotations on GitHub: workflow commands that show a failure next to the line of its case."""

from __future__ import annotations

from collections.abc import Iterator

from backendcheck.report.views.case import FAILING, by_verdict
from backendcheck.results.results import Results
from backendcheck.text.escape import visible
from backendcheck.text.github import annotation

_MOST = 10  # GitHub shows no more of one step


def commands(results: Results) -> Iterator[str]:
    """One ``::error`` line for each failing case, worst first, ten at most; the last one counts the rest."""
    failing = by_verdict(results, *FAILING)
    shown = failing if len(failing) <= _MOST else failing[: _MOST - 1]
    for result in shown:
        title = f"backendcheck {result.verdict}: {visible(result.case)}"
        yield annotation("error", title, result.headline, file=result.file, line=result.line)
    if len(shown) < len(failing):
        yield annotation("error", "backendcheck", f"{len(failing) - len(shown)} more cases fail; see the report of this job.")
