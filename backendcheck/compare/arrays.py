"""Compare two arrays: structure before values, everything in float64, the excess kept for passes too."""

from __future__ import annotations

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
    pairing: Pairing, left: np.ndarray, right: np.ndarray, allowance: Allowed, reference: np.ndarray | None = None
) -> Comparison:
    """Numbers in float64: ``allowed = atol + rtol * max(|left|, |right|)``, of the element, or as `Allowed.scale` has it.

    NaN or Inf on both sides alike is a finding as well, unless `reference` has the same at that place.
    """
    tolerance = allowance.tolerance
    measured: dict[str, Any] = {"n_elements": left.size, "tolerance": tolerance, "origin": allowance.origin}
    if left.size == 0:
        return pairing.passed(**measured)
    if left.dtype == right.dtype and (left == right).all() and np.isfinite(left).all():
        return pairing.passed(**measured, excess=0.0, max_abs=0.0, max_rel=0.0)
    left64, right64 = left.astype(np.float64), right.astype(np.float64)
    if (finding := _non_finite(pairing, left64, right64, reference, measured)) is not None:
        return finding
    finite = np.isfinite(left64) & np.isfinite(right64)
    if not finite.all():  # the reference expects NaN or Inf at the other places
        if not finite.any():
            return pairing.passed(**measured, excess=0.0)
        left64, right64 = np.where(finite, left64, 0.0), np.where(finite, right64, 0.0)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # numbers so far apart differ by infinity
        difference = np.abs(left64 - right64)
        scale = allowance.scale(np.maximum(np.abs(left64), np.abs(right64)))
        if allowance.norm_wise:
            scale = scale.flat[0]
        permitted = tolerance.atol + tolerance.rtol * scale
        if allowance.norm_wise:  # one bound for all elements: the largest difference is the worst, and division can wait
            worst = _index(difference)
            excess = _quotient(difference[worst], permitted)
            n_different = int(np.count_nonzero(difference / permitted > 1.0)) if excess > 1.0 else 0
            relative = _quotient(difference[worst], scale)
        else:
            excesses = _quotient(difference, permitted)
            worst = _index(excesses)
            excess, n_different = excesses[worst], int(np.count_nonzero(excesses > 1.0))
            relative = _quotient(difference, scale).max()
    max_abs, excess, worst_values = float(difference.max()), float(excess), (float(left64[worst]), float(right64[worst]))
    measured |= {
        "excess": excess, "n_different": n_different, "max_abs": max_abs, "max_rel": float(relative), "worst_index": worst,
        "worst_left": worst_values[0], "worst_right": worst_values[1],
    }  # fmt: skip
    if excess <= 1.0:
        return pairing.passed(**measured)
    at = f" at {list(worst)}" if worst else ""
    count = f"{n_different} of {left.size} differ, worst{at}: " if left.size > 1 else ""
    message = (
        f"{count}{worst_values[0]:.7g} on {pairing.left}, {worst_values[1]:.7g} on {pairing.right} "
        f"(|d| {max_abs:.3g}, excess {excess:.2g})"
    )
    return pairing.finding(FindingKind.VALUE, message, **measured)


def _index(array: np.ndarray) -> tuple[int, ...]:
    """The index of the largest element."""
    return tuple(map(int, np.unravel_index(int(np.argmax(array)), array.shape)))


def _quotient(difference: Any, by: Any) -> Any:
    """`difference` / `by`; 0 where the difference is 0, whatever it is divided by."""
    return np.divide(difference, by, out=np.zeros_like(difference), where=difference > 0.0)


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
