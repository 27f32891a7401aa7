"""How far the legs are: a bar per backend on a terminal, a line now and then where there is none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

_LINE_EVERY_S = 20.0


class Bars:
    """A live progress bar per backend."""

    def __init__(self, backends: Sequence[str], console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.fields[backend]:<10}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            # Without markup: a case may be called whatever it likes.
            TextColumn("{task.fields[doing]}", style="dim", markup=False),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {
            name: self._progress.add_task("", total=None, backend=name, doing="starting") for name in backends
        }

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def collected(self, backend: str, n_cases: int) -> None:
        self._progress.update(self._tasks[backend], total=n_cases, doing="")

    def started(self, backend: str, case: str) -> None:
        self._progress.update(self._tasks[backend], doing=_short(case))

    def finished(self, backend: str, n_done: int) -> None:
        self._progress.update(self._tasks[backend], completed=n_done)

    def ended(self, backend: str, exit_code: int, message: str) -> None:
        first = message.splitlines()[0] if message and exit_code == 2 else ""  # noqa: PLR2004 - usage, see the exit codes
        words = {0: "recorded", 3: "recorded, incomplete"}.get(exit_code, f"failed {first}".strip())
        self._progress.update(self._tasks[backend], doing=_short(words))
        self._progress.stop_task(self._tasks[backend])


def _short(text: str, width: int = 80) -> str:
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text if len(text) <= width else f"{text[: width - 1]}…"


class Lines:
    """The same for a log: when a leg has collected, every twenty seconds, and when it has ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._total: dict[str, int] = {}
        self._last: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def collected(self, backend: str, n_cases: int) -> None:
        self._total[backend] = n_cases
        self._last[backend] = time.monotonic()
        self._print(f"{backend}: {n_cases} cases")

    def started(self, backend: str, case: str) -> None:
        pass

    def finished(self, backend: str, n_done: int) -> None:
        if time.monotonic() - self._last.get(backend, 0.0) > _LINE_EVERY_S:
            self._last[backend] = time.monotonic()
            self._print(f"{backend}: {n_done} of {self._total.get(backend, '?')}")

    def ended(self, backend: str, exit_code: int, message: str) -> None:  # noqa: ARG002 - told when all have ended
        words = {0: "recorded", 3: "recorded, incomplete"}.get(exit_code, f"failed with exit code {exit_code}")
        self._print(f"{backend}: {words}")
