"""How large the differences of a case are, passed or not, and which have moved by more than a factor since an earlier run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backendcheck.compare.findings import Comparison

FACTOR = 10.0
# Below this part of what is allowed, a difference is rounding, which another version may well order otherwise.
_LEAST_EXCESS = 0.01

Pair = tuple[str, str, str, str]  # oracle, observation, left, right


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The largest difference of one comparison, and the largest over what is allowed (rtol, atol). None if not measured."""

    max_abs: float | None
    excess: float | None
    tolerance: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """An observation whose figure is another one than before; `figure` names it: largest difference, or excess."""

    oracle: str
    observation: str
    left: str
    right: str
    figure: str
    before: float
    now: float

    @property
    def ratio(self) -> float:
        """The larger over the smaller; infinite from or to 0."""
        low, high = sorted((self.before, self.now))
        return high / low if low and math.isfinite(high) else math.inf


def figures_of(comparisons: Iterable[Comparison]) -> dict[Pair, Figure]:
    """The figures of comparisons as they are."""
    figures: dict[Pair, Figure] = {}
    for comparison in comparisons:
        pair = (str(comparison.oracle), comparison.observation, str(comparison.left), str(comparison.right))
        tolerance = comparison.tolerance
        figure = Figure(
            max_abs=_measured(comparison.max_abs), excess=_measured(comparison.excess),
            tolerance=(tolerance.rtol, tolerance.atol) if tolerance else (0.0, 0.0),
        )  # fmt: skip
        figures.setdefault(pair, figure)
    return figures


def figures_in(comparisons: Sequence[Mapping[str, Any]]) -> dict[Pair, Figure]:
    """The figures of comparisons in a report.json. Those that are not as expected are left out."""
    figures: dict[Pair, Figure] = {}
    for comparison in comparisons:
        try:
            oracle, observation, left, right = (str(comparison[key]) for key in ("oracle", "observation", "left", "right"))
            tolerance = comparison["tolerance"]
            excess = math.inf if comparison.get("excess_infinite") else _measured(comparison["excess"])
            figure = Figure(
                max_abs=_measured(comparison.get("max_abs")), excess=excess,
                tolerance=(float(tolerance["rtol"]), float(tolerance["atol"])),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
        figures.setdefault((oracle, observation, left, right), figure)
    return figures


def moved(before: Mapping[Pair, Figure], now: Mapping[Pair, Figure]) -> list[Moved]:
    """The observations whose largest difference is more than `FACTOR` times what it was, or less than a tenth. Largest first.

    Of several pairs of an observation, that which moved most. Earlier versions did not write the largest difference of what
    passed. Then the excess stands for it, if the tolerance is the same.
    """
    by_observation: dict[tuple[str, str], Moved] = {}
    for pair, figure in now.items():
        earlier = before.get(pair)
        candidate = None if earlier is None else _between(pair, earlier, figure)
        if candidate is None:
            continue
        key = pair[0], pair[1]
        if key not in by_observation or candidate.ratio > by_observation[key].ratio:
            by_observation[key] = candidate
    return sorted(by_observation.values(), key=lambda item: (-item.ratio, item.observation))


def _between(pair: Pair, before: Figure, now: Figure) -> Moved | None:
    excesses = [figure.excess for figure in (before, now) if figure.excess is not None]
    if excesses and max(excesses) < _LEAST_EXCESS:
        return None
    if before.max_abs is not None and now.max_abs is not None:
        name, values = "largest difference", (before.max_abs, now.max_abs)
    elif before.excess is not None and now.excess is not None and before.tolerance == now.tolerance:
        name, values = "excess", (before.excess, now.excess)
    else:
        return None
    if values[0] == values[1]:
        return None
    oracle, observation, left, right = pair
    item = Moved(
        oracle=oracle, observation=observation, left=left, right=right, figure=name, before=values[0], now=values[1]
    )
    return item if item.ratio > FACTOR else None


def _measured(value: Any) -> float | None:
    """A figure; None if it was not measured or is NaN, which is neither more nor less than another."""
    return None if value is None or isinstance(value, bool) or math.isnan(float(value)) else abs(float(value))
