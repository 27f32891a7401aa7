"""Results in, reports out: JSON, HTML, Markdown, JUnit XML, SARIF, a badge and terminal text.

`views` computes the values that reports show, once for all formats. A format only lays them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from backendcheck.report.views.moment import Moment
    from backendcheck.results.results import Results

__all__ = ["NAMES", "Renderer", "files_of", "filled_files", "frames_of", "write_files", "write_reports"]


NAMES = frozenset({"report.json", "index.html", "summary.md", "junit.xml", "report.sarif", "badge.json"})


class Renderer(Protocol):
    """A report format: the text of one file."""

    def __call__(self, results: Results, /) -> str: ...


def write_reports(results: Results, out: Path) -> list[Path]:
    """Write report.json, index.html, summary.md, junit.xml, report.sarif and badge.json into `out`; return their paths.

    All are rendered before the first is written, so that a directory never contains the reports of two runs.

    Raises:
        OutputInTheWay: if `out` cannot be written.
    """
    return write_files(files_of(results), out)


def files_of(results: Results) -> dict[str, str]:
    """The text of each file by its name."""
    from backendcheck.report.views.moment import Moment

    return filled_files(frames_of(results), Moment.of(results))


def frames_of(results: Results) -> dict[str, str]:
    """The frame of each file by its name, with marks for what concerns the run alone."""
    from backendcheck.report.formats import badge, github, junit, sarif
    from backendcheck.report.formats import json as json_report
    from backendcheck.report.html import page as html_report

    renderers: Mapping[str, Renderer] = {
        "report.json": json_report.frame,
        "index.html": html_report.frame,
        "summary.md": github.render,
        "junit.xml": junit.frame,
        "report.sarif": sarif.render,
        "badge.json": badge.render,
    }
    return {name: render(results) for name, render in renderers.items()}


def filled_files(frames: dict[str, str], moment: Moment) -> dict[str, str]:
    """The text of each file: its frame with what concerns the run filled in.

    The frames are taken out of `frames` one by one, so that a large report is not held twice.
    """
    from backendcheck.report.formats.moment import in_json, in_junit
    from backendcheck.report.html.moment import in_html
    from backendcheck.report.views.moment import filled

    texts = {"report.json": in_json(moment), "index.html": in_html(moment), "junit.xml": in_junit(moment)}
    return {name: filled(frames.pop(name), texts.get(name, {})) for name in [*frames]}


def write_files(texts: Mapping[str, str], out: Path) -> list[Path]:
    """Write texts by the name of their file into `out`; return the paths.

    Raises:
        OutputInTheWay: if `out` cannot be written.
    """
    from backendcheck.files import write_atomically

    for name, text in texts.items():
        write_atomically(out / name, text.encode())
    return [out / name for name in texts]
