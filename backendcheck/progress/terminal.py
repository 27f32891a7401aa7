"""How far the legs are: a bar per backend on a terminal, a line now and then where there is none, nothing where nobody asks."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from backendcheck.progress.eta import Pace, in_words
from backendcheck.progress.notebook import Cells, in_notebook
from backendcheck.text.escape import visible
from backendcheck.text.words import cut, first_line

_LINE_EVERY_S = 20.0
_BAR = 24
_LONGEST = 80  # characters beside a bar
_NARROW = 100  # columns, below which the bar gives way to the case at hand


class _Legs:
    """The pace of each leg. `earlier_s` has by backend the seconds that cases took in an earlier run."""

    def __init__(self, backends: Sequence[str], earlier_s: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self._paces = {name: Pace(earlier_s=(earlier_s or {}).get(name, {})) for name in backends}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def collected(self, backend: str, n_cases: int) -> None:
        self._paces[backend].collected(n_cases)

    def started(self, backend: str, case: str) -> None:
        self._paces[backend].started(case)

    def finished(self, backend: str, n_done: int) -> None:
        self._paces[backend].finished(n_done)

    def ended(self, backend: str, exit_code: int, message: str) -> None:
        pass

    def _left(self, backend: str) -> str:
        left = self._paces[backend].left_s()
        return "" if left is None else f"about {in_words(left)} left"


class Silence(_Legs):
    """Nothing at all."""


class Bars(_Legs):
    """A live progress bar per backend."""

    def __init__(
        self, backends: Sequence[str], console: Console, earlier_s: Mapping[str, Mapping[str, float]] | None = None
    ) -> None:
        super().__init__(backends, earlier_s)
        wide = console.width >= _NARROW
        cut = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.fields[backend]}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=_BAR if wide else _BAR // 3),
            MofNCompleteColumn(),
            *([TimeElapsedColumn()] if wide else []),
            TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True)),
            # Without markup: a case may be called whatever it likes.
            TextColumn("{task.fields[doing]}", style="dim", markup=False, table_column=cut),
            console=console,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {
            name: self._progress.add_task("", total=None, backend=name, left="", doing="starting") for name in backends
        }

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def collected(self, backend: str, n_cases: int) -> None:
        super().collected(backend, n_cases)
        self._progress.update(self._tasks[backend], total=n_cases, doing="")

    def started(self, backend: str, case: str) -> None:
        super().started(backend, case)
        self._progress.update(self._tasks[backend], doing=_short(case))

    def finished(self, backend: str, n_done: int) -> None:
        super().finished(backend, n_done)
        self._progress.update(self._tasks[backend], completed=n_done, left=self._left(backend))

    def ended(self, backend: str, exit_code: int, message: str) -> None:
        first = first_line(message) if exit_code == 2 else ""  # noqa: PLR2004 - usage, see the exit codes
        words = {0: "recorded", 3: "recorded, incomplete"}.get(exit_code, f"failed {first}".strip())
        self._progress.update(self._tasks[backend], doing=_short(words), left="")
        self._progress.stop_task(self._tasks[backend])


def _short(text: str) -> str:
    return cut(visible(text), _LONGEST)


class Lines(_Legs):
    """The same for a log: when a leg has collected, every twenty seconds, and when it has ended."""

    def __init__(
        self, backends: Sequence[str], console: Console, earlier_s: Mapping[str, Mapping[str, float]] | None = None
    ) -> None:
        super().__init__(backends, earlier_s)
        self._console = console
        self._last: dict[str, float] = {}
        self._doing: dict[str, str] = {}

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def collected(self, backend: str, n_cases: int) -> None:
        super().collected(backend, n_cases)
        self._last[backend] = time.monotonic()
        self._print(f"{backend}: {n_cases} {'case' if n_cases == 1 else 'cases'}")

    def started(self, backend: str, case: str) -> None:
        super().started(backend, case)
        self._doing[backend] = case
        self._tell(backend)

    def finished(self, backend: str, n_done: int) -> None:
        super().finished(backend, n_done)
        self._tell(backend)

    def _tell(self, backend: str) -> None:
        if time.monotonic() - self._last.get(backend, 0.0) > _LINE_EVERY_S:
            self._last[backend] = time.monotonic()
            pace = self._paces[backend]
            at = f"at {_short(self._doing[backend])}" if backend in self._doing else ""
            words = [f"{pace.n_done} of {pace.n_cases or '?'}", self._left(backend), at]
            self._print(f"{backend}: {', '.join(filter(None, words))}")

    def ended(self, backend: str, exit_code: int, message: str) -> None:  # noqa: ARG002 - told when all have ended
        words = {0: "recorded", 3: "recorded, incomplete"}.get(exit_code, f"failed with exit code {exit_code}")
        self._print(f"{backend}: {words}")


def progress_of(
    backends: Sequence[str], *, quiet: bool = False, earlier_s: Mapping[str, Mapping[str, float]] | None = None
) -> Any:
    """Who shows on standard error, or in the cell of a notebook, how far recording has come.

    `earlier_s` has by backend the seconds that cases took in an earlier run, if there was one.
    """
    if quiet:
        return Silence(backends)
    if in_notebook():
        return Cells(backends)
    # Not as rich decides it: to it FORCE_COLOR makes a terminal of a log, which bars would fill with a line for each case.
    live = sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    console = Console(stderr=True, force_terminal=live)
    return Bars(backends, console, earlier_s) if live else Lines(backends, console, earlier_s)
