"""The layout of plain text: labels in a column, items in a row, within a width. All text is escaped for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from backendcheck.text.escape import block, visible

_LABEL = 12  # columns, "odd one out" and a space
_GAP = " " * 6


def labeled(label: str, items: Sequence[str], width: int | None, *, whole: bool = False) -> Iterator[str]:
    """`items` after `label`, as many in a line as `width` allows; a wider item is wrapped, unless `whole`."""
    hang = " " * (2 + _LABEL)
    line = f"  {label:<{_LABEL}}"
    started = False
    for item in map(visible, items):
        if started and (width is None or len(line) + len(_GAP) + len(item) <= width):
            line += _GAP + item
            continue
        if started:
            yield line
            line = hang
        first = line if not started else hang
        *full, line = [first + item] if whole else wrapped(item, width, first=first, hang=hang) or [first]
        yield from full
        started = True
    if started:
        yield line.rstrip()


def wrapped(text: str, width: int | None, first: str = "", hang: str = "") -> list[str]:
    """`text` after `first`, wrapped at spaces, later lines after `hang`; in one line if `width` is None."""
    text = visible(text)
    if width is None or len(first) + len(text) <= width:
        return [first + text]
    return textwrap.wrap(
        text, max(width, len(hang) + 20), initial_indent=first, subsequent_indent=hang,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def quoted(text: str, width: int | None, indent: str) -> Iterator[str]:
    """Text of many lines from outside (a message, a traceback), each line after a bar."""
    for line in block(text).strip("\n").split("\n"):
        yield from wrapped(line.replace("\t", "    ").rstrip(), width, first=f"{indent}| ", hang=f"{indent}|   ")


def table(rows: Iterable[Sequence[str]], indent: str, *, right: bool = False) -> Iterator[str]:
    """Rows in columns as wide as their widest cell; all columns but the first are right-aligned if `right`."""
    cells = [[visible(cell) for cell in row] for row in rows]
    if not cells:
        return
    widths = [max(len(row[column]) if column < len(row) else 0 for row in cells) for column in range(max(map(len, cells)))]
    for row in cells:
        padded = [
            cell.rjust(wide) if right and column else cell.ljust(wide)
            for column, (cell, wide) in enumerate(zip(row, widths, strict=False))
        ]
        yield (indent + "  ".join(padded)).rstrip()
