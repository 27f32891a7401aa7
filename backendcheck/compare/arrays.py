"""Compare two observations: structure before values. What is no number is equal or not; `numbers` compares the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from backendcheck.compare.findings import Comparison, Finding, Pairing
from backendcheck.compare.numbers import compare_numbers
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
    of_dtype = [] if left.dtype == right.dtype else compare_dtypes(pairing, values)
    is_text = left.is_text or right.is_text
    if of_dtype and is_text:
        return [*of_dtype]
    if is_text or not (left.is_float or right.is_float):
        return [*of_dtype, _compare_exactly(pairing, left.value, right.value)]
    return [*of_dtype, compare_numbers(pairing, left.value, right.value, allowance, reference)]


def compare_dtypes(pairing: Pairing, values: tuple[Observation, Observation]) -> list[Finding]:
    """A finding if the dtypes differ."""
    left, right = values
    if left.dtype == right.dtype:
        return []
    message = f"dtype {left.dtype} on {pairing.left}, {right.dtype} on {pairing.right}"
    return [pairing.structural(FindingKind.DTYPE, message)]


def _compare_exactly(pairing: Pairing, left: np.ndarray, right: np.ndarray) -> Comparison:
    """Ints, bools, text, classes and orders: equal or not."""
    if left is right and left.dtype.kind in "biu":  # a file stores equal arrays once
        return pairing.passed(n_elements=left.size)
    different = np.asarray(left != right)
    n_different = int(np.count_nonzero(different))
    if not n_different:
        return pairing.passed(n_elements=left.size)
    measured: dict[str, Any] = {"n_elements": left.size, "n_different": n_different}
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


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
