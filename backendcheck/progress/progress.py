"""What recording processes report while they run, and what a display does with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from backendcheck.text.process_end import process_end

_ENDS = {0: "recorded", 3: "recorded, incomplete"}  # by exit code


class Progress:
    """Takes the events of recording processes by leg, and shows nothing. Displays override what they show.

    `width` is that of the lines that `tell` takes; None where they are not wrapped.
    """

    width: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Take the display away."""

    def collected(self, leg: str, n_cases: int) -> None:
        """A leg has found its cases."""

    def started(self, leg: str, case: str) -> None:
        """A case has begun."""

    def finished(self, leg: str, n_done: int) -> None:
        """One more case has ended; `n_done` have."""

    def recorded(self, leg: str, case: str) -> None:
        """The recording of a case is written."""

    def ended(self, leg: str, exit_code: int, message: str) -> None:
        """The process of a leg has ended."""

    def judged(self, counts: Mapping[str, int]) -> None:
        """One more case has a verdict; `counts` has how many have which."""

    def tell(self, lines: Iterable[str]) -> None:
        """Lines that stay."""


class Relabeled(Progress):
    """Passes the events on under the name of the leg with `suffix` behind it."""

    def __init__(self, progress: Progress, suffix: str) -> None:
        self._progress, self._suffix = progress, suffix

    def collected(self, leg: str, n_cases: int) -> None:
        self._progress.collected(f"{leg} {self._suffix}", n_cases)

    def started(self, leg: str, case: str) -> None:
        self._progress.started(f"{leg} {self._suffix}", case)

    def finished(self, leg: str, n_done: int) -> None:
        self._progress.finished(f"{leg} {self._suffix}", n_done)

    def ended(self, leg: str, exit_code: int, message: str) -> None:
        self._progress.ended(f"{leg} {self._suffix}", exit_code, message)


def verdicts_in_words(counts: Mapping[str, int]) -> str:
    """The verdicts so far: ``12 passed, 1 failed, 3 known``."""
    words = {"PASSED": "passed", "FAILED": "failed", "ERROR": "error", "XFAILED": "known", "XPASSED": "known, but gone"}
    return ", ".join(f"{n} {words[verdict]}" for verdict, n in counts.items() if n)


def end_in_words(exit_code: int, otherwise: str = "") -> str:
    """How a leg ended: ``recorded, incomplete``, or what `otherwise` says of a failure."""
    return _ENDS.get(exit_code, otherwise or f"failed: {process_end(exit_code)}")
