"""How long a leg will take, from the pace so far; and from how long each case took in an earlier run, where there was one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Pace:
    """The pace of one leg. It begins with the first case: the time to import a backend does not count.

    `earlier_s` maps cases to the seconds that they took in an earlier run of the leg. Only their relations are used: the machine
    may be another, and busier.
    """

    earlier_s: Mapping[str, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    n_cases: int = 0
    n_done: int = 0
    _began: float | None = None
    _running: list[str] = field(default_factory=list)
    _done: float = 0.0

    def collected(self, n_cases: int) -> None:
        self.n_cases = n_cases

    def started(self, case: str) -> None:
        if self._began is None:
            self._began = self.clock()
        self._running.append(case)

    def finished(self, n_done: int) -> None:
        """One more case is done; which one is not reported, so the one that has run longest is assumed."""
        self.n_done = n_done
        if self._running:
            self._done += self._weight(self._running.pop(0))

    def _weight(self, case: str) -> float:
        return self.earlier_s.get(case, self._mean)

    @property
    def _mean(self) -> float:
        return sum(self.earlier_s.values()) / len(self.earlier_s) if self.earlier_s else 1.0

    def left_s(self) -> float | None:
        """Seconds until the last case is done; None before one is."""
        if self._began is None or self._done <= 0 or not self.n_cases:
            return None
        all_of_it = self._mean * self.n_cases  # cases that are new since then count as any other
        elapsed = self.clock() - self._began
        return max(0.0, elapsed * (all_of_it - self._done) / self._done)


def in_words(seconds: float) -> str:
    """A time left, no more exact than it is: ``25 s``, ``1 min 40 s``, ``12 min``, ``2 h 10 min``."""
    if seconds < 55:  # noqa: PLR2004 - then it is a minute
        return f"{max(5, 5 * round(seconds / 5))} s"
    if seconds < 570:  # noqa: PLR2004 - below ten minutes
        minutes, rest = divmod(10 * round(seconds / 10), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004
