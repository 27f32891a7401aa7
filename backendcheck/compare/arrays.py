"""Compare two arrays: structure before values, everything in float64, the excess kept for passes too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backendcheck.case import Tolerance
from backendcheck.compare.tolerances import Allowed
from backendcheck.recordings.noise import NoiseFloor
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import Observation, Quantity, quantity_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What an oracle saw of one observation on two sides; a finding if `kind` is not None.

    `left` and `right` are a backend (``jax``), one of its paths (``jax:evaluate``) or ``reference``. `excess` is the largest
    |difference| / allowed, or None where the comparison is exact or structural. `message` says in words what differs. `noise` is
    how far healthy noise moves the two sides, where that was measured.
    """

    oracle: Oracle
    observation: str
    left: str
    right: str
    kind: FindingKind | None = None
    message: str = ""
    excess: float | None = None
    tolerance: Tolerance | None = None
    origin: str = "exact"
    n_elements: int = 0
    n_different: int = 0
    max_abs: float | None = None
    max_rel: float | None = None
    worst_index: tuple[int, ...] | None = None
    worst_left: Any = None
    worst_right: Any = None
    evidence: dict[str, Any] = field(default_factory=dict)
    noise: NoiseFloor | None = None

    @property
    def sides(self) -> tuple[str, str]:
        return self.left, self.right

    @property
    def compared(self) -> bool:
        """Whether any element, or the structure, was really held against another."""
        return self.kind is not None or self.n_elements > 0


def compare_observations(
    oracle: Oracle,
    name: str,
    sides: tuple[str, str],
    values: tuple[Observation, Observation],
    allowance: Allowed,
    expected: np.ndarray | None = None,
) -> list[Comparison]:
    """Hold two recorded observations against each other; more than one finding where dtype and values both differ.

    `expected` is the reference for it, if there is one: only what that expects may be NaN or infinite.
    """
    left, right = values
    common: dict[str, Any] = {"oracle": oracle, "observation": name, "left": sides[0], "right": sides[1]}
    if left.value.shape != right.value.shape:
        message = f"shape {left.value.shape} on {sides[0]}, {right.value.shape} on {sides[1]}"
        return [Comparison(**common, kind=FindingKind.SHAPE, message=message, origin="structure")]
    found = []
    if left.dtype != right.dtype:
        message = f"dtype {left.dtype} on {sides[0]}, {right.dtype} on {sides[1]}"
        found.append(Comparison(**common, kind=FindingKind.DTYPE, message=message, origin="structure"))
        if left.is_text or right.is_text:
            return found
    if left.is_text or not (left.is_float or right.is_float):
        found.append(_compare_exactly(common, name, left.value, right.value))
    else:
        found.append(compare_numbers(common, left.value, right.value, allowance, expected))
    return found


def _compare_exactly(common: dict[str, Any], name: str, left: np.ndarray, right: np.ndarray) -> Comparison:
    """Ints, bools, text, classes and orders: equal or not."""
    different = np.asarray(left != right)
    n_different = int(np.count_nonzero(different))
    fields: dict[str, Any] = {"n_elements": left.size, "n_different": n_different}
    if not n_different:
        return Comparison(**common, **fields)
    index = tuple(int(i) for i in np.argwhere(different)[0])
    fields |= {"worst_index": index, "worst_left": _plain(left[index]), "worst_right": _plain(right[index])}
    kind = FindingKind.ORDER if _is_order(name, left, right) else FindingKind.VALUE
    at = f" at {list(index)}" if index else ""
    message = (
        f"{n_different} of {left.size} differ, first{at}: "
        f"{_quoted(left[index])} on {common['left']}, {_quoted(right[index])} on {common['right']}"
    )
    if kind is FindingKind.ORDER and left.ndim == 1 and left.size <= 12:  # noqa: PLR2004 - what a line can hold
        message = f"{', '.join(map(str, left))} on {common['left']}; {', '.join(map(str, right))} on {common['right']}"
    return Comparison(**common, **fields, kind=kind, message=message)


def _is_order(name: str, left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two lists hold the same names in another order: names of outputs, vocabularies, class maps."""
    if quantity_of(name) is Quantity.OUTPUT_ORDER or name.endswith(" (order)"):
        return True
    return left.dtype == object and left.ndim == 1 and sorted(map(str, left)) == sorted(map(str, right))


def compare_numbers(
    common: dict[str, Any], left: np.ndarray, right: np.ndarray, allowance: Allowed, expected: np.ndarray | None = None
) -> Comparison:
    """Numbers in float64: ``allowed = atol + rtol * max(|left|, |right|)``, of the element, or as `Allowed.scale` has it.

    NaN or Inf on both sides alike is a finding as well, unless `expected` (a reference) has the same at that place.
    """
    tolerance = allowance.tolerance
    fields: dict[str, Any] = {"n_elements": left.size, "tolerance": tolerance, "origin": allowance.origin}
    if left.size == 0:
        return Comparison(**common, **fields)
    if left.dtype == right.dtype and (left == right).all() and np.isfinite(left).all():
        return Comparison(**common, **fields, excess=0.0, max_abs=0.0, max_rel=0.0)
    left64, right64 = left.astype(np.float64), right.astype(np.float64)
    if (non_finite := _non_finite(common, left64, right64, expected, fields)) is not None:
        return non_finite
    finite = np.isfinite(left64) & np.isfinite(right64)
    if not finite.all():  # what is left of a reference that expects NaN or Inf
        if not finite.any():
            return Comparison(**common, **fields, excess=0.0)
        left64, right64 = np.where(finite, left64, 0.0), np.where(finite, right64, 0.0)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # numbers so far apart differ by infinity
        difference = np.abs(left64 - right64)
        scale = allowance.scale(np.maximum(np.abs(left64), np.abs(right64)))
        if allowance.norm_wise:
            scale = scale.flat[0]
        permitted = tolerance.atol + tolerance.rtol * scale
        if allowance.norm_wise:  # one for all elements: then the largest difference is the worst, and division can wait
            worst = _index(difference)
            excess = _quotient(difference[worst], permitted)
            n_different = int(np.count_nonzero(difference / permitted > 1.0)) if excess > 1.0 else 0
            relative = _quotient(difference[worst], scale)
        else:
            excesses = _quotient(difference, permitted)
            worst = _index(excesses)
            excess, n_different = excesses[worst], int(np.count_nonzero(excesses > 1.0))
            relative = _quotient(difference, scale).max()
    fields |= {
        "excess": float(excess),
        "n_different": n_different,
        "max_abs": float(difference.max()),
        "max_rel": float(relative),
        "worst_index": worst,
        "worst_left": float(left64[worst]),
        "worst_right": float(right64[worst]),
    }
    if fields["excess"] <= 1.0:
        return Comparison(**common, **fields)
    at = f" at {list(worst)}" if worst else ""
    count = f"{fields['n_different']} of {left.size} differ, worst{at}: " if left.size > 1 else ""
    message = (
        f"{count}{fields['worst_left']:.7g} on {common['left']}, {fields['worst_right']:.7g} on {common['right']} "
        f"(|d| {fields['max_abs']:.3g}, excess {fields['excess']:.2g})"
    )
    return Comparison(**common, **fields, kind=FindingKind.VALUE, message=message)


def _index(array: np.ndarray) -> tuple[int, ...]:
    """The index of the largest element."""
    return tuple(map(int, np.unravel_index(int(np.argmax(array)), array.shape)))


def _quotient(difference: Any, by: Any) -> Any:
    """`difference` / `by`; 0 where there is no difference, whatever it is divided by."""
    return np.divide(difference, by, out=np.zeros_like(difference), where=difference > 0.0)


def _non_finite(
    common: dict[str, Any], left: np.ndarray, right: np.ndarray, expected: np.ndarray | None, fields: dict[str, Any]
) -> Comparison | None:
    """A finding for NaN and Inf that no reference expects."""
    bad_left, bad_right = ~np.isfinite(left), ~np.isfinite(right)
    unexpected = bad_left | bad_right
    if expected is not None and expected.dtype != object and expected.shape == left.shape:
        unexpected &= ~(_same(left, right) & _same(left, expected))
    if not unexpected.any():
        return None
    index = tuple(int(i) for i in np.argwhere(unexpected)[0])
    seen = []
    for side, bad, values in ((common["left"], bad_left, left), (common["right"], bad_right, right)):
        n_bad = int(np.count_nonzero(bad & unexpected))
        what = "NaN" if np.isnan(values[bad & unexpected]).any() else "Inf"
        seen.append(f"{n_bad} of {left.size} are {what} on {side}" if n_bad else f"finite on {side}")
    return Comparison(
        **common,
        **fields,
        kind=FindingKind.NON_FINITE,
        n_different=int(np.count_nonzero(unexpected)),
        message=", ".join(seen),
        worst_index=index,
        worst_left=float(left[index]),
        worst_right=float(right[index]),
    )


def _same(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    same: np.ndarray = (left == right) | (np.isnan(left) & np.isnan(right))
    return same


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _quoted(value: Any) -> str:
    return repr(_plain(value))
