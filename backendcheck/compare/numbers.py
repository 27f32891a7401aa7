"""Compare numbers: everything in float64, the excess kept for passes too.

A run has tens of thousands of small arrays, each of which is compared several times. So what costs is calls, not bytes: one that
NumPy writes in Python takes as long as five that it does not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backendcheck.compare.findings import Comparison, Finding, Pairing
from backendcheck.compare.tolerances import Allowed
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.sides import Side

_PIECE = 8192  # elements of a large array that are looked at together
_FLOAT64 = np.dtype(np.float64)  # `astype` takes four times as long by a type of NumPy, or with `copy=False`
_HUGE_FLOAT32 = 1e38  # differences of smaller numbers are finite in float32
_HUGE = 1e150  # sums, differences and squares of smaller numbers are finite


def compare_numbers(
    pairing: Pairing, left: np.ndarray, right: np.ndarray, allowance: Allowed, reference: np.ndarray | None = None,
    evidence: dict[str, Any] | None = None,
) -> Comparison:  # fmt: skip
    """Numbers in float64: ``allowed = atol + rtol * max(|left|, |right|)``, of the element, or as `Allowed.scale` has it.

    NaN or Inf on both sides alike is a finding as well, unless `reference` has the same at that place.
    """
    size = left.size
    if size == 1 and (comparison := _compare_two(pairing, left, right, allowance, evidence)) is not None:
        return comparison
    # Most arrays are equal. A file stores equal arrays once, so that the two sides of a variant are mostly the same array.
    if size and (left is right or _alike(left, right)) and is_finite(left):
        return equal_numbers(pairing.oracle, pairing.observation, (pairing.left, pairing.right), size, allowance, evidence)
    if size and allowance.norm_wise and (extremes := _extremes(left, right)) is not None:
        return _within_or_not(pairing, left, right, allowance, _by_tensor(left, right, allowance, extremes), evidence)
    measured: dict[str, Any] = {"n_elements": size, "tolerance": allowance.tolerance, "origin": allowance.origin}
    if evidence is not None:
        measured["evidence"] = evidence
    if size == 0:
        return pairing.passed(**measured)
    left, right = left.astype(_FLOAT64), right.astype(_FLOAT64)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # numbers so far apart differ by infinity
        difference = np.abs(left - right)
        if not math.isfinite(largest(difference)):  # if it is finite, so are both sides
            if (finding := _non_finite(pairing, left, right, reference, measured)) is not None:
                return finding
            finite = np.isfinite(left) & np.isfinite(right)
            if not finite.all():  # the reference expects NaN or Inf at the other places
                if not finite.any():
                    return pairing.passed(**measured, excess=0.0)
                left, right = np.where(finite, left, 0.0), np.where(finite, right, 0.0)
                difference = np.abs(left - right)
        if allowance.norm_wise:
            place = int(difference.argmax())
            extremes = place, difference.item(place), max(magnitude_of(left), magnitude_of(right))
            worst = _by_tensor(left, right, allowance, extremes)
        else:
            worst = _by_element(left, right, allowance, difference)
    return _within_or_not(pairing, left, right, allowance, worst, evidence)


def equal_numbers(
    oracle: Oracle, observation: str, sides: tuple[Side, Side], size: int, allowance: Allowed,
    evidence: dict[str, Any] | None = None,
) -> Comparison:  # fmt: skip
    """The comparison of numbers that are equal, and finite."""
    return Comparison(
        oracle=oracle, observation=observation, left=sides[0], right=sides[1], excess=0.0, tolerance=allowance.tolerance,
        origin=allowance.origin, n_elements=size, max_abs=0.0, max_rel=0.0, evidence={} if evidence is None else evidence,
    )  # fmt: skip


def _compare_two(
    pairing: Pairing, left: np.ndarray, right: np.ndarray, allowance: Allowed, evidence: dict[str, Any] | None
) -> Comparison | None:
    """Two numbers by the same rule, without arrays, which take ten times as long; None if their difference is not finite."""
    first, second = float(left.item()), float(right.item())
    difference = abs(first - second)
    if not math.isfinite(difference):
        return None
    if first == second and left.dtype == right.dtype:
        return equal_numbers(pairing.oracle, pairing.observation, (pairing.left, pairing.right), 1, allowance, evidence)
    scale = max(abs(first), abs(second), allowance.magnitude if allowance.norm_wise else 0.0)
    permitted = allowance.tolerance.atol + allowance.tolerance.rtol * scale
    excess = _quotient(difference, permitted)
    measured = 0, excess, int(excess > 1.0), difference, _quotient(difference, scale)
    return _within_or_not(pairing, left, right, allowance, measured, evidence)


# The flat index of the largest |difference| of two arrays, that difference, and the magnitude of the larger side.
_Extremes = tuple[int, float, float]


def _extremes(left: np.ndarray, right: np.ndarray) -> _Extremes | None:
    """None where a side is not finite, or so large that a difference may not be.

    Large arrays are taken a piece at a time: what is computed of a piece stays in the cache of the processor.
    """
    if "c" in (left.dtype.kind, right.dtype.kind):  # no backend records complex numbers as floats, but a file may hold any
        return None
    if left.size <= _PIECE:
        magnitude = _magnitude_of_both(left, right)
        return None if magnitude is None else (*_furthest(left, right), magnitude)
    left, right = left.ravel(), right.ravel()
    place, furthest, magnitude = 0, 0.0, 0.0
    for start in range(0, left.size, _PIECE):
        first, second = left[start : start + _PIECE], right[start : start + _PIECE]
        of_piece = _magnitude_of_both(first, second)
        if of_piece is None:
            return None
        magnitude = max(magnitude, of_piece)
        at, difference = _furthest_by_float32(first, second, of_piece)
        if difference > furthest:
            place, furthest = start + at, difference
    return place, furthest, magnitude


def _magnitude_of_both(left: np.ndarray, right: np.ndarray) -> float | None:
    """The largest |value| of two arrays; None if it is not below `_HUGE`, or one is NaN."""
    least, most = left.item(left.argmin()), left.item(left.argmax())
    least_right, most_right = right.item(right.argmin()), right.item(right.argmax())
    if least > -_HUGE and most < _HUGE and least_right > -_HUGE and most_right < _HUGE:
        return float(max(most, -least, most_right, -least_right))
    return None


def _furthest(left: np.ndarray, right: np.ndarray) -> tuple[int, float]:
    """The flat index of the largest |difference|, and that difference, in float64."""
    difference = left.astype(_FLOAT64) - right.astype(_FLOAT64)
    at = int(np.abs(difference, out=difference).argmax())
    return at, difference.item(at)


def _furthest_by_float32(left: np.ndarray, right: np.ndarray, magnitude: float) -> tuple[int, float]:
    """The same. Of float32, only what may be the largest is looked at in float64: rounding keeps the order of differences."""
    if not (left.dtype == right.dtype == np.float32 and magnitude < _HUGE_FLOAT32):
        return _furthest(left, right)
    rounded = left - right
    most = rounded[np.abs(rounded, out=rounded).argmax()]
    if not most:
        return 0, 0.0
    (places,) = np.nonzero(rounded >= np.nextafter(most, np.float32(0.0)))
    at, difference = _furthest(left[places], right[places])
    return int(places[at]), difference


# The flat index of the worst element, the excess there, how many differ, and the largest absolute and relative difference.
_Measured = tuple[int, float, int, float, float]


def _by_tensor(left: np.ndarray, right: np.ndarray, allowance: Allowed, extremes: _Extremes) -> _Measured:
    """One bound for all elements: the largest difference is the worst."""
    place, furthest, magnitude = extremes
    scale = max(magnitude, allowance.magnitude)
    permitted = allowance.tolerance.atol + allowance.tolerance.rtol * scale
    excess, n_different = _quotient(furthest, permitted), 0
    if excess > 1.0:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            differences = np.abs(left.astype(_FLOAT64) - right.astype(_FLOAT64))
            n_different = int(np.count_nonzero(differences / permitted > 1.0))
    return place, excess, n_different, furthest, _quotient(furthest, scale)


def _by_element(left: np.ndarray, right: np.ndarray, allowance: Allowed, difference: np.ndarray) -> _Measured:
    """A bound for each element."""
    scales = np.maximum(np.abs(left), np.abs(right))
    excesses = _quotients(difference, allowance.tolerance.atol + allowance.tolerance.rtol * scales)
    place = int(excesses.argmax())
    excess = excesses.item(place)
    n_different = int(np.count_nonzero(excesses > 1.0)) if excess > 1.0 else 0
    return place, excess, n_different, largest(difference), largest(_quotients(difference, scales))


def _within_or_not(
    pairing: Pairing, left: np.ndarray, right: np.ndarray, allowance: Allowed, measured: _Measured,
    evidence: dict[str, Any] | None,
) -> Comparison:  # fmt: skip
    """The comparison of numbers that are not the same bytes, by what was measured."""
    place, excess, n_different, max_abs, max_rel = measured
    worst, worst_left, worst_right = _index(place, left.shape), _number(left, place), _number(right, place)
    size, evidence = left.size, {} if evidence is None else evidence
    if excess <= 1.0:
        return Comparison(
            oracle=pairing.oracle, observation=pairing.observation, left=pairing.left, right=pairing.right, excess=excess,
            tolerance=allowance.tolerance, origin=allowance.origin, n_elements=size, n_different=n_different, max_abs=max_abs,
            max_rel=max_rel, worst_index=worst, worst_left=worst_left, worst_right=worst_right, evidence=evidence,
        )  # fmt: skip
    at = f" at {list(worst)}" if worst else ""
    count = f"{n_different} of {size} differ, worst{at}: " if size > 1 else ""
    message = (
        f"{count}{worst_left:.7g} on {pairing.left}, {worst_right:.7g} on {pairing.right} "
        f"(|d| {max_abs:.3g}, excess {excess:.2g})"
    )
    return pairing.finding(
        FindingKind.VALUE, message, excess=excess, tolerance=allowance.tolerance, origin=allowance.origin, n_elements=size,
        n_different=n_different, max_abs=max_abs, max_rel=max_rel, worst_index=worst, worst_left=worst_left,
        worst_right=worst_right, evidence=evidence,
    )  # fmt: skip


def _alike(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether both are of one dtype and equal, or, as a quick look, of the same bytes. One that is NaN may be either."""
    if left.dtype != right.dtype:
        return False
    return left.tobytes() == right.tobytes() if left.nbytes <= _PIECE else _all(left == right)


def is_finite(values: np.ndarray) -> bool:
    """Whether no number of an array that is not empty is NaN or infinite."""
    return math.isfinite(values.item()) if values.size == 1 else _all(np.isfinite(values))


# Methods such as `all` and `max` are written in Python and take five times as long for small arrays.
def _all(condition: np.ndarray) -> bool:
    return bool(condition.item(condition.argmin()))


def largest(values: np.ndarray) -> float:
    """The largest of numbers, of which there is one at least; NaN if one is NaN."""
    return float(values.item(values.argmax()))


def magnitude_of(values: np.ndarray) -> float:
    """The largest |value|; NaN if one is NaN."""
    most, least = float(values.item(values.argmax())), float(values.item(values.argmin()))
    return max(most, -least)


def _index(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """`np.unravel_index` for one place."""
    index = []
    for length in reversed(shape):
        place, remainder = divmod(place, length)
        index.append(remainder)
    return tuple(reversed(index))


def _number(values: np.ndarray, place: int) -> float:
    return float(values.item(place))


def _quotient(difference: float, by: float) -> float:
    """`difference` / `by`; 0 where the difference is 0, whatever it is divided by."""
    if not difference:
        return 0.0
    return difference / by if by else math.inf


def _quotients(differences: np.ndarray, by: np.ndarray) -> np.ndarray:
    """`_quotient` for each element."""
    if by.item(by.argmin()) > 0.0:
        return np.asarray(differences / by)
    quotients: np.ndarray = np.divide(differences, by, out=np.zeros(differences.shape), where=differences > 0.0)
    return quotients


def _non_finite(
    pairing: Pairing, left: np.ndarray, right: np.ndarray, reference: np.ndarray | None, measured: dict[str, Any]
) -> Finding | None:
    """A finding for NaN and Inf that no reference expects."""
    bad_left, bad_right = ~np.isfinite(left), ~np.isfinite(right)
    unexpected = bad_left | bad_right
    if reference is not None and reference.dtype != object and reference.shape == left.shape:
        unexpected &= ~(_same(left, right) & _same(left, reference))
    if not unexpected.any():
        return None
    index = tuple(int(i) for i in np.argwhere(unexpected)[0])
    same = bool(np.array_equal(bad_left & unexpected, bad_right & unexpected) and _same(left, right)[unexpected].all())
    parts = []
    for side, bad, values in ((pairing.left, bad_left, left), (pairing.right, bad_right, right)):
        n_bad = int(np.count_nonzero(bad & unexpected))
        what = "NaN" if np.isnan(values[bad & unexpected]).any() else "Inf"
        n_words = what if left.size == 1 else f"{n_bad} of {left.size} are {what}"
        parts.append(f"{n_words} on {side}" if n_bad else f"finite on {side}")
    message = f"{parts[0]} and {pairing.right}" if same else ", ".join(parts)
    return pairing.finding(
        FindingKind.NON_FINITE, message, **measured, n_different=int(np.count_nonzero(unexpected)), worst_index=index,
        worst_left=float(left[index]), worst_right=float(right[index]),
    )  # fmt: skip


def _same(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    same: np.ndarray = (left == right) | (np.isnan(left) & np.isnan(right))
    return same
