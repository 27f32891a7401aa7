"""What the page says of a run alone, for the marks in its frame. It needs neither results nor recordings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from backendcheck.report.views.environment import environment_rows
from backendcheck.report.views.moment import CREATED, ENVIRONMENTS, Moment
from backendcheck.text.escape import block


def in_html(moment: Moment) -> Mapping[str, str]:
    """When the page was made and what was kept, and the table of environments."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("backendcheck.report.html"), autoescape=True, undefined=jinja2.StrictUndefined,
        finalize=harmless,
    )  # fmt: skip
    parts: Any = environment.get_template("moment.html.jinja").module
    rows = environment_rows(moment.environments.values())
    return {CREATED: parts.made(moment), ENVIRONMENTS: parts.environments(rows, list(moment.environments))}


def harmless(value: Any) -> Any:
    """`value` without control characters and lone surrogates; the template then escapes it for HTML."""
    return block(value) if isinstance(value, str) and not isinstance(value, Markup) else value
