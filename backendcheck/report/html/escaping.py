"""The templates of this package, with every value escaped."""

from __future__ import annotations

from typing import Any

import jinja2
from markupsafe import Markup

from backendcheck.text.escape import block


def environment() -> jinja2.Environment:
    """Where templates are loaded from; all that they show is escaped, and a name that is not defined is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("backendcheck.report.html"), autoescape=True, undefined=jinja2.StrictUndefined,
        finalize=harmless,
    )  # fmt: skip


def harmless(value: Any) -> Any:
    """`value` without control characters and lone surrogates; the template then escapes it for HTML."""
    return block(value) if isinstance(value, str) and not isinstance(value, Markup) else value
