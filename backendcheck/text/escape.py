r"""Text from outside made harmless. Case ids, messages and tracebacks may hold anything, terminal commands too.

There is one rule for everything that is printed, shown on a page or written into a comment. A character that controls a terminal,
turns the direction of writing, is invisible or cannot be encoded is written as Python writes it, such as ``\x1b``, ``\n`` or
``\u202e``. All other characters stay, also those of other scripts and the joiners that these need.
"""

from __future__ import annotations

import re

# Control characters, marks of direction, invisible separators and fillers, lone surrogates, non-characters and tags.
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_HARMFUL_IN_BLOCKS = re.compile(_HARMFUL.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
# None of them is printable for Python, which is much quicker to see.


def visible(text: str) -> str:
    """`text` in one line, by the rule of this module."""
    return text if text.isprintable() else _HARMFUL.sub(_escaped, text)


def block(text: str) -> str:
    """`text` of many lines by the same rule, except that newlines and tabs stay."""
    return text if text.isprintable() else _HARMFUL_IN_BLOCKS.sub(_escaped, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """`text` of many lines in one, each run of white space as a space, then by the same rule."""
    return visible(" ".join(text.split()))


def decoded(text: str | bytes) -> str:
    r"""Text from an array, which may hold bytes; those that are not UTF-8 are written as ``\xff``."""
    return text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text


def _escaped(match: re.Match[str]) -> str:
    return repr(match.group())[1:-1]
