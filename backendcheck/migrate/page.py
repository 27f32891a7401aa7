"""migrate.html: the decision on one page, which opens offline and escapes all that it shows."""

from __future__ import annotations

import json
from pathlib import Path

from backendcheck.files import write_atomically
from backendcheck.migrate.decision import Migration
from backendcheck.migrate.decisions import MOST_EXAMPLES
from backendcheck.report import write_reports
from backendcheck.report.charts import training_curves
from backendcheck.report.formats.strict_json import plain
from backendcheck.report.html.escaping import environment
from backendcheck.report.html.page import style_sheet
from backendcheck.report.views.environment import versions_line

NAME = "migrate.html"
_STATES = {0: "PASSED", 1: "FAILED", 3: "ERROR"}


def render(migration: Migration) -> str:
    """The whole page."""
    text: str = environment().get_template("migrate.html.jinja").render(
        migration=migration,
        state=_STATES[migration.exit_code],
        css=style_sheet(),
        versions=versions_line(migration.results),
        charts=list(training_curves(migration.result)) if migration.result else [],
        most=MOST_EXAMPLES,
    )
    return text


def write_pages(migration: Migration, directory: Path) -> str:
    """Write migrate.html, migrate.json and the reports of the recordings; returns the JSON.

    Raises:
        OutputInTheWay: if `directory` cannot be written.
    """
    content = json.dumps(plain(migration.as_json()), indent=1)
    write_reports(migration.results, directory)
    write_atomically(directory / NAME, render(migration).encode())
    write_atomically(directory / "migrate.json", f"{content}\n".encode())
    return content
