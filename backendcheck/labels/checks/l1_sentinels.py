"""L102: values that commonly stand for a missing label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from backendcheck.labels.contract.finding import LabelFinding, Severity
from backendcheck.labels.inputs.encoding import Encoding
from backendcheck.labels.inputs.output_labels import OutputLabels
from backendcheck.labels.inputs.values import first_indices, number_text, value_counts

_COMMON = frozenset({
    -1, -2, -9, -99, -100, -128, -255, -999, -9999, -99999, -32768, -2147483648, 99, 255, 999, 9999, 65535, 99999, 999999, 32767,
    2147483647, 4294967295,
})  # fmt: skip
_FAR = 99  # among measured numbers, only a value this large (or a negative one among positive ones) can be a sentinel


def is_sentinel(value: Any, labels: OutputLabels) -> bool:
    """Whether an integer label commonly stands for a missing label, and lies outside the classes and far from them."""
    if float(value) not in _COMMON:
        return False
    if value < 0:
        return True
    numbers = labels.numbers
    if numbers is None:
        return False
    if labels.columns is not None:
        return bool(value > labels.columns) and not np.any(numbers == value - 1)  # one of many labels outside: L103
    other_numbers = numbers[np.isfinite(numbers) & (numbers != value)]
    return bool(other_numbers.size) and bool(np.all(other_numbers < value / 2))


def find_sentinels(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L102, for class indices, for 0 and 1, for signs, and for numbers."""
    numbers = labels.numbers
    if numbers is None:
        return
    values, counts = value_counts(numbers)
    common = np.array([float(value) in _COMMON for value in values], bool)
    if not common.any():
        return
    if labels.encoding in (Encoding.INTEGER, Encoding.LETTERS):
        is_missing = [bool(known) and is_sentinel(value, labels) for value, known in zip(values, common, strict=True)]
        sentinels = np.array(is_missing, bool)
    elif labels.encoding in (Encoding.BINARY, Encoding.ONE_HOT, Encoding.SIGN):
        valid = {-1.0, 1.0} if labels.encoding is Encoding.SIGN else {0.0, 1.0}
        occurring = set(values.tolist())
        if not valid & occurring or occurring <= {-1.0, 1.0} or occurring <= {0.0, 255.0}:
            return  # another way to write two classes: L109, L406
        sentinels = common & ~np.isin(values, list(valid))
    elif labels.encoding is Encoding.NUMBER:
        sentinels = _isolated(values, counts) & common
    else:
        return
    for value, n in zip(values[sentinels], counts[sentinels], strict=True):
        yield _sentinel(labels, numbers, value, int(n))


def _sentinel(labels: OutputLabels, numbers: np.ndarray, value: Any, n: int) -> LabelFinding:
    evidence: dict[str, Any] = {"value": float(value), "n": n, "of": int(numbers.size), "first": first_indices(numbers == value)}
    text, ignored = number_text(value), labels.option("ignore_class")
    problem = f"{n} of {numbers.size} {'is' if n == 1 else 'are'} {text}"
    if ignored is not None and float(ignored) == float(value):
        return labels.finding(
            "L102", f"{problem}, which the loss ignores (ignore_class={text})", severity=Severity.INFO, variant=None,
            remedy="Metrics still count these labels, unless they have ignore_class too.", ignored=True, **evidence,
        )  # fmt: skip
    has_option = labels.loss is not None and labels.loss.name == "sparse_categorical_crossentropy"
    instead = f"pass ignore_class={text}" if has_option else "give these examples a valid label and a sample weight of 0"
    return labels.finding(
        "L102", f"{problem}, which often means missing", variant=text,
        expected=f"only labels that {labels.loss_name('the loss')} can train on, got {text}",
        remedy=f"If {text} means missing, {instead}.", ignored=False, **evidence,
    )  # fmt: skip


def _isolated(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Which of the sorted `values` occur more than once, and are farther from the others than those are from one another."""
    isolated = np.zeros(len(values), bool)
    if len(values) < 3:  # noqa: PLR2004 - the others need a range
        return isolated
    with np.errstate(all="ignore"):
        low_gap, low_range = values[1] - values[0], values[-1] - values[1]
        high_gap, high_range = values[-1] - values[-2], values[-2] - values[0]
    isolated[0] = counts[0] > 1 and low_gap > low_range
    isolated[-1] = counts[-1] > 1 and high_gap > high_range
    isolated &= (np.abs(values) >= _FAR) | ((values < 0) & (values[-1] > 0))
    return isolated
