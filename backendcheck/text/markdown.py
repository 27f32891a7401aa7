"""Text from outside in Markdown."""

from __future__ import annotations

import re

from backendcheck.text.escape import one_line

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "`": "&#96;", "@": "&#64;", "$": "&#36;"}
_SPECIAL = re.compile(r"[&<>|`@$\\*\[\]~#!]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])|://|(?<=\bwww)\.")


def escape(text: str) -> str:
    """`text` in one line in which Markdown on GitHub finds no markup, no link, no mention and no end of a table cell."""
    return _SPECIAL.sub(lambda match: _ENTITIES.get(match.group(), _escaped(match.group())), one_line(text))


def _escaped(special: str) -> str:
    return {"://": "&#58;//", ".": "&#46;"}.get(special, f"\\{special}")
