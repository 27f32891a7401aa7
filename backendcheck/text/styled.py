"""A line of text that knows which parts of it have what style. Whoever prints it decides whether there are colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from rich.cells import cell_len, set_cell_size

_SHORTEST_CUT = 8  # below this nothing of an end would be left to read

Part = tuple[str, str]  # text, and its style: a verdict, ``dim``, ``bold`` or nothing


class Painted(str):
    """The text of its parts; `parts` says how each is styled."""

    __slots__ = ("parts",)
    parts: tuple[Part, ...]

    def __new__(cls, parts: Iterable[Part]) -> Self:
        """The line that `parts` make; spaces at its end are cut off."""
        given = [part for part in parts if part[0]]
        while given and not given[-1][0].strip(" "):
            given.pop()
        if given:
            given[-1] = (given[-1][0].rstrip(" "), given[-1][1])
        line = super().__new__(cls, "".join(text for text, _ in given))
        line.parts = tuple(given)
        return line


def fitted(text: str, width: int) -> str:
    """`text` in exactly `width` columns of a terminal, where some characters take two; what is cut off leaves two dots."""
    if cell_len(text) <= width:
        return text + " " * (width - cell_len(text))
    return set_cell_size(text, max(width - 2, 0)) + ".."[:width]


def fitted_name(text: str, width: int) -> str:
    """The same for the name of a case: cut in its middle, for names of one topic begin alike and end in their parameters."""
    if cell_len(text) <= width or width < _SHORTEST_CUT:
        return fitted(text, width)
    kept = width - 2
    end = kept // 2
    start = next(start for start in range(len(text)) if cell_len(text[start:]) <= end)
    return fitted(set_cell_size(text, kept - cell_len(text[start:])) + ".." + text[start:], width)


def columns(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    return cell_len(text)
