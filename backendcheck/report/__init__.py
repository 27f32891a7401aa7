"""Results in, reports out: JSON, HTML, Markdown, JUnit XML, SARIF and terminal text.

`views` computes the values that reports show, once for all formats. A format only lays them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from backendcheck.results.results import Results

__all__ = ["Renderer", "write_reports"]


class Renderer(Protocol):
    """A report format: the text of one file."""

    def __call__(self, results: Results, /) -> str: ...


def write_reports(results: Results, out: Path) -> list[Path]:
    """Write report.json, index.html, summary.md, junit.xml and report.sarif into `out`; return their paths.

    All are rendered before the first is written, so that a directory never contains the reports of two runs.

    Raises:
        OutputInTheWay: if `out` cannot be written.
    """
    from backendcheck.files import write_atomically
    from backendcheck.report.formats import github, junit, sarif
    from backendcheck.report.formats import json as json_report
    from backendcheck.report.html import page as html_report

    renderers: Mapping[str, Renderer] = {
        "report.json": json_report.render,
        "index.html": html_report.render,
        "summary.md": github.render,
        "junit.xml": junit.render,
        "report.sarif": sarif.render,
    }
    texts = {out / name: render(results) for name, render in renderers.items()}
    for path, text in texts.items():
        write_atomically(path, text.encode())
    return list(texts)
