"""Compare two arrays: structure before values, everything in float64, the excess kept for passes too."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backendcheck.compare.findings import Comparison, Finding, Pairing
from backendcheck.compare.tolerances import Allowed
from backendcheck.vocabulary.findings import FindingKind
from backendcheck.vocabulary.observations import Observation, ObservationName

_LONGEST_ORDER = 12  # names that a line can hold


def compare_observations(
    pairing: Pairing, values: tuple[Observation, Observation], allowance: Allowed, reference: np.ndarray | None = None
) -> list[Comparison]:
    """Compare two recorded observations. There are two findings where dtype and values both differ.

    Only what `reference` expects, if it is given, may be NaN or infinite.
    """
    left, right = values
    if left.value.shape != right.value.shape:
        message = f"shape {left.value.shape} on {pairing.left}, {right.value.shape} on {pairing.right}"
        return [pairing.structural(FindingKind.SHAPE, message)]
    comparisons: list[Comparison] = [*compare_dtypes(pairing, values)]
    if comparisons and (left.is_text or right.is_text):
        return comparisons
    if left.is_text or not (left.is_float or right.is_float):
        comparisons.append(_compare_exactly(pairing, left.value, right.value))
    else:
        comparisons.append(compare_numbers(pairing, left.value, right.value, allowance, reference))
    return comparisons


def compare_dtypes(pairing: Pairing, values: tuple[Observation, Observation]) -> list[Finding]:
    """A finding if the dtypes differ."""
    left, right = values
    if left.dtype == right.dtype:
        return []
    message = f"dtype {left.dtype} on {pairing.left}, {right.dtype} on {pairing.right}"
    return [pairing.structural(FindingKind.DTYPE, message)]


def _compare_exactly(pairing: Pairing, left: np.ndarray, right: np.ndarray) -> Comparison:
    """Ints, bools, text, classes and orders: equal or not."""
    different = np.asarray(left != right)
    n_different = int(np.count_nonzero(different))
    measured: dict[str, Any] = {"n_elements": left.size, "n_different": n_different}
    if not n_different:
        return pairing.passed(**measured)
    index = tuple(int(i) for i in np.argwhere(different)[0])
    measured |= {"worst_index": index, "worst_left": _plain(left[index]), "worst_right": _plain(right[index])}
    kind = FindingKind.ORDER if _is_order(pairing.observation, left, right) else FindingKind.VALUE
    at = f" at {list(index)}" if index else ""
    message = (
        f"{n_different} of {left.size} differ, first{at}: "
        f"{_plain(left[index])!r} on {pairing.left}, {_plain(right[index])!r} on {pairing.right}"
    )
    if kind is FindingKind.ORDER and left.ndim == 1 and left.size <= _LONGEST_ORDER:
        message = f"{', '.join(map(str, left))} on {pairing.left}; {', '.join(map(str, right))} on {pairing.right}"
    return pairing.finding(kind, message, **measured)


def _is_order(name: str, left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two lists hold the same names in another order: names of outputs, vocabularies, class maps."""
    if ObservationName.parse(name).is_order:
        return True
    return left.dtype == object and left.ndim == 1 and sorted(map(str, left)) == sorted(map(str, right))


def compare_numbers(
    pairing: Pairing, left: np.ndarray, right: np.ndarray, allowance: Allowed, reference: np.ndarray | None = None,
    evidence: dict[str, Any] | None = None,
) -> Comparison:  # fmt: skip
    """Numbers in float64: ``allowed = atol + rtol * max(|left|, |right|)``, of the element, or as `Allowed.scale` has it.

    NaN or Inf on both sides alike is a finding as well, unless `reference` has the same at that place.
    """
    tolerance, size = allowance.tolerance, left.size
    measured: dict[str, Any] = {"n_elements": size, "tolerance": tolerance, "origin": allowance.origin}
    if evidence is not None:
        measured["evidence"] = evidence
    if size == 0:
        return pairing.passed(**measured)
    if size == 1 and (comparison := _compare_two(pairing, left, right, allowance, measured)) is not None:
        return comparison
    # Most arrays are equal. A file stores equal arrays once, so that the two sides of a variant are mostly the same array.
    if (left is right or (left.dtype == right.dtype and _all(left == right))) and _all(np.isfinite(left)):
        return pairing.passed(**measured, excess=0.0, max_abs=0.0, max_rel=0.0)
    left, right = left.astype(np.float64, copy=False), right.astype(np.float64, copy=False)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # numbers so far apart differ by infinity
        difference = np.abs(left - right)
        place = int(difference.argmax())
        if not math.isfinite(difference.item(place)):  # the largest one; if it is finite, so are both sides
            if (finding := _non_finite(pairing, left, right, reference, measured)) is not None:
                return finding
            finite = np.isfinite(left) & np.isfinite(right)
            if not finite.all():  # the reference expects NaN or Inf at the other places
                if not finite.any():
                    return pairing.passed(**measured, excess=0.0)
                left, right = np.where(finite, left, 0.0), np.where(finite, right, 0.0)
                difference = np.abs(left - right)
                place = int(difference.argmax())
        largest = difference.item(place)
        if allowance.norm_wise:  # one bound for all elements: the largest difference is the worst, and division can wait
            scale = max(_magnitude(left), _magnitude(right), allowance.magnitude)
            permitted = tolerance.atol + tolerance.rtol * scale
            excess = _quotient(largest, permitted)
            n_different = int(np.count_nonzero(difference / permitted > 1.0)) if excess > 1.0 else 0
            relative = _quotient(largest, scale)
        else:
            scales = np.maximum(np.abs(left), np.abs(right))
            excesses = _quotients(difference, tolerance.atol + tolerance.rtol * scales)
            place = int(excesses.argmax())
            excess, n_different = excesses.item(place), int(np.count_nonzero(excesses > 1.0))
            relative = float(_quotients(difference, scales).max())
    measured |= {
        "excess": excess, "n_different": n_different, "max_abs": largest, "max_rel": relative,
        "worst_index": tuple(map(int, np.unravel_index(place, left.shape))), "worst_left": float(left.item(place)),
        "worst_right": float(right.item(place)),
    }  # fmt: skip
    return _within_or_not(pairing, measured)


def _compare_two(
    pairing: Pairing, left: np.ndarray, right: np.ndarray, allowance: Allowed, measured: dict[str, Any]
) -> Comparison | None:
    """Two numbers by the same rule, without arrays, which take ten times as long; None if their difference is not finite."""
    first, second = float(left.item()), float(right.item())
    difference = abs(first - second)
    if not math.isfinite(difference):
        return None
    if first == second and left.dtype == right.dtype:
        return pairing.passed(**measured, excess=0.0, max_abs=0.0, max_rel=0.0)
    scale = max(abs(first), abs(second), allowance.magnitude if allowance.norm_wise else 0.0)
    permitted = allowance.tolerance.atol + allowance.tolerance.rtol * scale
    excess = _quotient(difference, permitted)
    measured |= {
        "excess": excess, "n_different": int(excess > 1.0), "max_abs": difference,
        "max_rel": _quotient(difference, scale), "worst_index": (0,) * left.ndim, "worst_left": first,
        "worst_right": second,
    }  # fmt: skip
    return _within_or_not(pairing, measured)


def _within_or_not(pairing: Pairing, measured: dict[str, Any]) -> Comparison:
    """The comparison of numbers that are not equal, by what was measured."""
    worst, excess, size = measured["worst_index"], measured["excess"], measured["n_elements"]
    if excess <= 1.0:
        return pairing.passed(**measured)
    at = f" at {list(worst)}" if worst else ""
    count = f"{measured['n_different']} of {size} differ, worst{at}: " if size > 1 else ""
    message = (
        f"{count}{measured['worst_left']:.7g} on {pairing.left}, {measured['worst_right']:.7g} on {pairing.right} "
        f"(|d| {measured['max_abs']:.3g}, excess {excess:.2g})"
    )
    return pairing.finding(FindingKind.VALUE, message, **measured)


def _all(condition: np.ndarray) -> bool:
    """Whether it holds everywhere. The method `all` of small arrays takes twice as long."""
    return bool(np.logical_and.reduce(condition, axis=None))


def _magnitude(values: np.ndarray) -> float:
    """The largest |value| of an array that is finite and not empty."""
    return max(float(values.max()), -float(values.min()))


def _quotient(difference: float, by: float) -> float:
    """`difference` / `by`; 0 where the difference is 0, whatever it is divided by."""
    if not difference:
        return 0.0
    return difference / by if by else math.inf


def _quotients(differences: np.ndarray, by: np.ndarray) -> np.ndarray:
    """`_quotient` for each element."""
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


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
