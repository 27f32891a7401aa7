"""Progress on standard error: a bar for each leg on a terminal, otherwise a line now and then."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

from backendcheck.progress.eta import Pace, in_words
from backendcheck.progress.notebook import Cells, in_notebook
from backendcheck.progress.progress import Progress, end_in_words, verdicts_in_words
from backendcheck.text.escape import visible
from backendcheck.text.words import cut, first_line

_LINE_EVERY_S = 20.0
_BAR = 24
_LONGEST = 80  # characters beside a bar
_NARROW = 100  # columns, below which the bar gives way to the case at hand
_VERDICTS = "verdicts"


class _Paced(Progress):
    """Keeps the pace of each leg. `earlier_s` has by leg the seconds that cases took in an earlier run."""

    def __init__(self, legs: Sequence[str], earlier_s: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self._paces = {leg: Pace(earlier_s=(earlier_s or {}).get(leg, {})) for leg in legs}

    def collected(self, leg: str, n_cases: int) -> None:
        self._paces[leg].collected(n_cases)

    def started(self, leg: str, case: str) -> None:
        self._paces[leg].started(case)

    def finished(self, leg: str, n_done: int) -> None:
        self._paces[leg].finished(n_done)

    def _left(self, leg: str) -> str:
        left = self._paces[leg].left_s()
        return "" if left is None else f"about {in_words(left)} left"


class Bars(_Paced):
    """A live progress bar for each leg."""

    def __init__(
        self, legs: Sequence[str], console: Console, earlier_s: Mapping[str, Mapping[str, float]] | None = None
    ) -> None:
        super().__init__(legs, earlier_s)
        self.width = console.width
        wide = console.width >= _NARROW
        cut = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        self._bars = RichProgress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.fields[leg]}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=_BAR if wide else _BAR // 3),
            MofNCompleteColumn(),
            *([TimeElapsedColumn()] if wide else []),
            TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True)),
            # Without markup: the name of a case may hold anything.
            TextColumn("{task.fields[doing]}", style="dim", markup=False, table_column=cut),
            console=console,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {
            leg: self._bars.add_task("", total=None, leg=leg, left="", doing="starting") for leg in legs
        }

    def judged(self, counts: Mapping[str, int]) -> None:
        if _VERDICTS not in self._tasks:
            self._tasks[_VERDICTS] = self._bars.add_task("", total=None, leg=_VERDICTS, left="", doing="")
        n_cases = max((pace.n_cases or 0 for pace in self._paces.values()), default=0) or None
        done, words = sum(counts.values()), verdicts_in_words(counts)
        self._bars.update(self._tasks[_VERDICTS], total=n_cases, completed=done, doing=words)

    def tell(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._bars.console.print(Text.from_ansi(line), highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def collected(self, leg: str, n_cases: int) -> None:
        super().collected(leg, n_cases)
        self._bars.update(self._tasks[leg], total=n_cases, doing="")

    def started(self, leg: str, case: str) -> None:
        super().started(leg, case)
        self._bars.update(self._tasks[leg], doing=_short(case))

    def finished(self, leg: str, n_done: int) -> None:
        super().finished(leg, n_done)
        self._bars.update(self._tasks[leg], completed=n_done, left=self._left(leg))

    def ended(self, leg: str, exit_code: int, message: str) -> None:
        first = first_line(message) if exit_code == 2 else ""  # noqa: PLR2004 - usage, see the exit codes
        words = end_in_words(exit_code, f"failed {first}".strip())
        self._bars.update(self._tasks[leg], doing=_short(words), left="")
        self._bars.stop_task(self._tasks[leg])


def _short(text: str) -> str:
    return cut(visible(text), _LONGEST)


class Lines(_Paced):
    """Lines for a log: when a leg has collected, every twenty seconds, and when it has ended."""

    def __init__(
        self, legs: Sequence[str], console: Console, earlier_s: Mapping[str, Mapping[str, float]] | None = None
    ) -> None:
        super().__init__(legs, earlier_s)
        self._console = console
        self._last: dict[str, float] = {}
        self._doing: dict[str, str] = {}
        self._judged_s = -_LINE_EVERY_S  # the first verdict is told at once

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def collected(self, leg: str, n_cases: int) -> None:
        super().collected(leg, n_cases)
        self._last[leg] = time.monotonic()
        self._print(f"{leg}: {n_cases} {'case' if n_cases == 1 else 'cases'}")

    def started(self, leg: str, case: str) -> None:
        super().started(leg, case)
        self._doing[leg] = case
        self._tell(leg)

    def finished(self, leg: str, n_done: int) -> None:
        super().finished(leg, n_done)
        self._tell(leg)

    def _tell(self, leg: str) -> None:
        if time.monotonic() - self._last.get(leg, 0.0) > _LINE_EVERY_S:
            self._last[leg] = time.monotonic()
            pace = self._paces[leg]
            at = f"at {_short(self._doing[leg])}" if leg in self._doing else ""
            words = [f"{pace.n_done} of {pace.n_cases or '?'}", self._left(leg), at]
            self._print(f"{leg}: {', '.join(filter(None, words))}")

    def judged(self, counts: Mapping[str, int]) -> None:
        if time.monotonic() - self._judged_s > _LINE_EVERY_S:
            self._judged_s = time.monotonic()
            self._print(f"{_VERDICTS}: {verdicts_in_words(counts)}")

    def tell(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._console.print(Text.from_ansi(line), highlight=False, soft_wrap=True)

    def ended(self, leg: str, exit_code: int, message: str) -> None:  # noqa: ARG002 - printed when all have ended
        self._print(f"{leg}: {end_in_words(exit_code)}")


def progress_of(
    legs: Sequence[str], *, quiet: bool = False, earlier_s: Mapping[str, Mapping[str, float]] | None = None
) -> Progress:
    """The display of the progress on standard error, or in the cell of a notebook; none with `quiet`.

    `earlier_s` has by leg the seconds that cases took in an earlier run, if there was one.
    """
    if quiet:
        return Progress()
    if in_notebook():
        return Cells(legs)
    # Not as rich decides it: to it FORCE_COLOR makes a terminal of a log, which bars would fill with a line for each case.
    live = sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    console = Console(stderr=True, force_terminal=live)
    return Bars(legs, console, earlier_s) if live else Lines(legs, console, earlier_s)
