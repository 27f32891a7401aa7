"""L102: values that elsewhere mean *missing*."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from backendcheck.labels.contract.finding import LabelFinding, Severity
from backendcheck.labels.inputs.encoding import Encoding
from backendcheck.labels.inputs.output_labels import OutputLabels, first_places, plain, values_in_words
from backendcheck.labels.inputs.unique_values import distinct

_USUAL = frozenset({
    -1, -2, -9, -99, -100, -128, -255, -999, -9999, -99999, -32768, -2147483648, 99, 255, 999, 9999, 65535, 99999, 999999, 32767,
    2147483647, 4294967295,
})  # fmt: skip
_FAR = 99  # from here on, a number that stands alone beyond the others of a target is none of them


def is_sentinel(value: Any, labels: OutputLabels) -> bool:
    """Whether a value among integer labels is a usual sign for *missing*: outside the classes, and apart from them."""
    if float(value) not in _USUAL:
        return False
    if value < 0:
        return True
    if labels.columns is not None:
        return bool(value > labels.columns)
    numbers = labels.numbers
    if numbers is None:
        return False
    other_numbers = numbers[np.isfinite(numbers) & (numbers != value)]
    return bool(other_numbers.size) and bool(np.all(other_numbers < value / 2))


def find_sentinels(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L102 on classes, on yes and no, and on numbers."""
    numbers = labels.numbers
    if numbers is None:
        return
    values, n_of = distinct(numbers)
    usual = np.array([float(value) in _USUAL for value in values], bool)
    if not usual.any():
        return
    ignored = labels.option("ignore_class")
    if labels.encoding in (Encoding.INTEGER, Encoding.LETTERS):
        meant = np.array([bool(known) and is_sentinel(value, labels) for value, known in zip(values, usual, strict=True)], bool)
    elif labels.encoding in (Encoding.BINARY, Encoding.ONE_HOT, Encoding.SIGN):
        plain_values = {-1.0, 1.0} if labels.encoding is Encoding.SIGN else {0.0, 1.0}
        meant = usual & ~np.isin(values, list(plain_values))
        if not plain_values & set(values.tolist()) or set(values.tolist()) <= {-1.0, 1.0} or set(values.tolist()) <= {0.0, 255.0}:
            return  # another way to say yes and no: L109, L406
    elif labels.encoding is Encoding.NUMBER:
        meant = _alone(values, n_of) & usual
    else:
        return
    for value, n in zip(values[meant], n_of[meant], strict=True):
        yield _sentinel(labels, value, int(n), ignored)


def _sentinel(labels: OutputLabels, value: Any, n: int, ignored: Any) -> LabelFinding:
    numbers = labels.numbers if labels.numbers is not None else np.empty(0)
    evidence: dict[str, Any] = {"value": float(value), "n": n, "of": int(numbers.size), "first": first_places(numbers == value)}
    shown = values_in_words([value], [n])
    if ignored is not None and float(ignored) == float(value):
        return labels.finding(
            "L102", f"{n} of {numbers.size} {'is' if n == 1 else 'are'} {plain(value)}, which the loss ignores "
            f"(ignore_class={plain(value)})", severity=Severity.INFO, kind=None,
            remedy="Metrics count them all the same, unless they have an ignore_class, too.", ignored=True, **evidence,
        )  # fmt: skip
    takes = labels.loss.name if labels.loss is not None else "the loss"
    has_option = labels.loss is not None and labels.loss.name == "sparse_categorical_crossentropy"
    instead = f"ignore_class={plain(value)}" if has_option else "a valid label with a sample weight of 0"
    remedy = f"If it means missing: {instead}."
    return labels.finding(
        "L102", f"{n} of {numbers.size} {'is' if n == 1 else 'are'} {plain(value)}, which looks like a sign for missing",
        kind=plain(value), expected=f"no such value where {takes} does not ignore it, got {shown}", remedy=remedy,
        ignored=False, **evidence,
    )  # fmt: skip


def _alone(values: np.ndarray, n_of: np.ndarray) -> np.ndarray:
    """Which of sorted `values` repeat, and are farther from all others than these are from each other."""
    alone = np.zeros(len(values), bool)
    if len(values) < 3:  # noqa: PLR2004 - two others at least, which have a range
        return alone
    with np.errstate(all="ignore"):
        low_gap, low_range = values[1] - values[0], values[-1] - values[1]
        high_gap, high_range = values[-1] - values[-2], values[-2] - values[0]
    alone[0] = n_of[0] > 1 and low_gap > low_range
    alone[-1] = n_of[-1] > 1 and high_gap > high_range
    alone &= (np.abs(values) >= _FAR) | ((values < 0) & (values[-1] > 0))
    return alone
