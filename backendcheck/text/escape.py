"""Text from outside made harmless: case ids, messages and tracebacks may hold anything, terminal commands too."""

from __future__ import annotations

import re

# Control characters, what turns the direction of writing, invisible separators, lone surrogates and non-characters.
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)
_HARMFUL_IN_BLOCKS = re.compile(_HARMFUL.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))


def visible(text: str) -> str:
    r"""`text` with everything that is not plainly shown written out, an escape as ``\x1b``; stays one line."""
    return _HARMFUL.sub(_written_out, text)


def block(text: str) -> str:
    """`text` of many lines: as `visible`, but newlines and tabs stay."""
    return _HARMFUL_IN_BLOCKS.sub(_written_out, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """`text` of many lines as one: every run of white space is a space."""
    return visible(" ".join(text.split()))


def _written_out(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004 - as Python writes them
