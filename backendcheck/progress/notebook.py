"""Progress in a notebook: a bar for each leg, drawn over and over, and removed when all legs have ended."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from backendcheck.progress.progress import Progress, end_in_words

_EVERY_S = 0.2  # often enough to read


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook. Imports nothing."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


class Cells(Progress):
    """Bars in the output of the running cell."""

    def __init__(self, legs: Sequence[str]) -> None:
        self._total: dict[str, int | None] = dict.fromkeys(legs)
        self._done = dict.fromkeys(legs, 0)
        self._doing = dict.fromkeys(legs, "starting")
        self._drawn_s = 0.0
        self._handle: Any = None

    def __enter__(self) -> Self:
        from IPython.display import HTML, display

        self._handle = display(HTML(self._bars()), display_id=True)
        return self

    def __exit__(self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._draw("")

    def _draw(self, text: str) -> None:
        from IPython.display import HTML

        self._handle.update(HTML(text))

    def _bars(self) -> str:
        rows = []
        for leg, total in self._total.items():
            value = f' value="{self._done[leg]}" max="{total}"' if total else ""
            words = html.escape(f"{self._done[leg]} of {total or '?'} {self._doing[leg]}")
            rows.append(f"<tr><td>{leg}</td><td><progress{value}></progress></td><td>{words}</td></tr>")
        return f"<table>{''.join(rows)}</table>"

    def _update(self, leg: str, doing: str, *, now: bool = False) -> None:
        self._doing[leg] = doing
        if now or time.monotonic() - self._drawn_s > _EVERY_S:
            self._drawn_s = time.monotonic()
            self._draw(self._bars())

    def collected(self, leg: str, n_cases: int) -> None:
        self._total[leg] = n_cases
        self._update(leg, "")

    def started(self, leg: str, case: str) -> None:
        self._update(leg, case[:80])

    def finished(self, leg: str, n_done: int) -> None:
        self._done[leg] = n_done
        self._update(leg, "")

    def ended(self, leg: str, exit_code: int, message: str) -> None:  # noqa: ARG002 - printed when all have ended
        self._update(leg, end_in_words(exit_code), now=True)
