"""badge.json: the state of a run in a few words, for a badge in a README (https://shields.io/badges/endpoint-badge)."""

from __future__ import annotations

import json

from backendcheck.results.results import Results

_WORDS = {
    "ERROR": "without a result", "FAILED": "failed", "XPASSED": "passed unexpectedly", "PASSED": "passed", "XFAILED": "known",
}  # fmt: skip
_COLORS = {0: "brightgreen", 1: "red"}


def render(results: Results) -> str:
    """The text of badge.json: ``12 passed, 3 known``, or only what fails and what is missing."""
    counts = results.counts
    shown = ("PASSED", "XFAILED") if results.exit_code == 0 else ("ERROR", "FAILED", "XPASSED")
    parts = [f"{counts[name]} {_WORDS[name]}" for name in shown if counts[name]]
    if results.exit_code not in _COLORS:
        parts.insert(0, "incomplete")
    if not parts:
        parts = ["known divergences out of date"] if results.cases else ["no cases"]
    badge = {
        "schemaVersion": 1, "label": "backendcheck", "message": ", ".join(parts),
        "color": _COLORS.get(results.exit_code, "orange"), "isError": results.exit_code != 0,
    }  # fmt: skip
    return json.dumps(badge, indent=1) + "\n"
