"""How far the legs are, in a notebook: a bar per backend that is drawn over and over, and gone when all have ended."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

_EVERY_S = 0.2  # a notebook draws no faster than anyone can read


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook. Imports nothing."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


class Cells:
    """Bars in the output of the running cell."""

    def __init__(self, backends: Sequence[str]) -> None:
        self._total: dict[str, int | None] = dict.fromkeys(backends)
        self._done = dict.fromkeys(backends, 0)
        self._doing = dict.fromkeys(backends, "starting")
        self._drawn_s = 0.0
        self._handle: Any = None

    def __enter__(self) -> Self:
        from IPython.display import HTML, display

        self._handle = display(HTML(self._bars()), display_id=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._draw("")

    def _draw(self, text: str) -> None:
        from IPython.display import HTML

        self._handle.update(HTML(text))

    def _bars(self) -> str:
        rows = []
        for backend, total in self._total.items():
            value = f' value="{self._done[backend]}" max="{total}"' if total else ""
            words = html.escape(f"{self._done[backend]} of {total or '?'} {self._doing[backend]}")
            rows.append(f"<tr><td>{backend}</td><td><progress{value}></progress></td><td>{words}</td></tr>")
        return f"<table>{''.join(rows)}</table>"

    def _update(self, backend: str, doing: str, *, now: bool = False) -> None:
        self._doing[backend] = doing
        if now or time.monotonic() - self._drawn_s > _EVERY_S:
            self._drawn_s = time.monotonic()
            self._draw(self._bars())

    def collected(self, backend: str, n_cases: int) -> None:
        self._total[backend] = n_cases
        self._update(backend, "")

    def started(self, backend: str, case: str) -> None:
        self._update(backend, case[:80])

    def finished(self, backend: str, n_done: int) -> None:
        self._done[backend] = n_done
        self._update(backend, "")

    def ended(self, backend: str, exit_code: int, message: str) -> None:  # noqa: ARG002 - told by whoever asked
        words = {0: "recorded", 3: "recorded, incomplete"}.get(exit_code, f"failed with exit code {exit_code}")
        self._update(backend, words, now=True)
