"""Lines of text with styled parts, and text fitted to the columns of a terminal. What prints a line decides about color."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from rich.cells import cell_len, set_cell_size

_SHORTEST_CUT = 8  # a narrower text has no room for a readable end

Part = tuple[str, str]  # text, and its style: a verdict, ``dim``, ``bold`` or nothing


class StyledLine(str):
    """The text of its parts; `parts` says how each is styled."""

    __slots__ = ("parts",)
    parts: tuple[Part, ...]

    def __new__(cls, parts: Iterable[Part]) -> Self:
        """The line of `parts`, without spaces at its end."""
        kept = [part for part in parts if part[0]]
        while kept and not kept[-1][0].strip(" "):
            kept.pop()
        if kept:
            kept[-1] = (kept[-1][0].rstrip(" "), kept[-1][1])
        line = super().__new__(cls, "".join(text for text, _ in kept))
        line.parts = tuple(kept)
        return line


def fitted(text: str, width: int) -> str:
    """`text` in exactly `width` columns of a terminal, where some characters take two; two dots stand for the end cut off."""
    if cell_len(text) <= width:
        return text + " " * (width - cell_len(text))
    return set_cell_size(text, max(width - 2, 0)) + ".."[:width]


def fitted_name(text: str, width: int) -> str:
    """The same for the name of a case, cut in the middle: names of one topic begin alike and end in their parameters."""
    if cell_len(text) <= width or width < _SHORTEST_CUT:
        return fitted(text, width)
    kept = width - 2
    end = kept // 2
    start = next(start for start in range(len(text)) if cell_len(text[start:]) <= end)
    return fitted(set_cell_size(text, kept - cell_len(text[start:])) + ".." + text[start:], width)


def columns(text: str) -> int:
    """The number of columns that `text` takes in a terminal."""
    return cell_len(text)
