"""What the page says of a run alone, for the marks in its frame. It needs neither results nor recordings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backendcheck.report.html.escaping import environment
from backendcheck.report.views.environment import environment_rows
from backendcheck.report.views.moment import CREATED, ENVIRONMENTS, Moment


def in_html(moment: Moment) -> Mapping[str, str]:
    """When the page was made and what was kept, and the table of environments."""
    parts: Any = environment().get_template("moment.html.jinja").module
    rows = environment_rows(moment.environments.values())
    return {CREATED: parts.made(moment), ENVIRONMENTS: parts.environments(rows, list(moment.environments))}
