"""Reports: what a run found, as JSON, HTML, Markdown, JUnit XML, SARIF and terminal text.

All are made from `Results` alone. What they show is worked out once, in `view` and its neighbours; each renderer only says how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from backendcheck.results.results import Results

__all__ = ["write_reports"]


def write_reports(results: Results, out: Path) -> list[Path]:
    """Write report.json, index.html, summary.md, junit.xml and report.sarif into `out`; returns their paths.

    All are rendered before the first is written, so that a directory never holds the reports of two runs.

    Raises:
        OutputInTheWay: if `out` cannot be written.
    """
    from backendcheck.files import write_atomically
    from backendcheck.report.formats import json as json_report
    from backendcheck.report.formats import junit, markdown, sarif
    from backendcheck.report.html import page as html_report

    rendered = {
        "report.json": json_report.render(results),
        "index.html": html_report.render(results),
        "summary.md": markdown.render(results),
        "junit.xml": junit.render(results),
        "report.sarif": sarif.render(results),
    }
    written = []
    for name, text in rendered.items():
        write_atomically(out / name, text.encode())
        written.append(out / name)
    return written
