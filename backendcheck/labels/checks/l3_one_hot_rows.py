"""L3: one-hot rows, for classes of which exactly one holds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.labels.contract.finding import LabelFinding
from backendcheck.labels.inputs.encoding import Encoding
from backendcheck.labels.inputs.output_labels import OutputLabels
from backendcheck.labels.inputs.values import first_indices

_NEAR = 1e-3  # how far the sum of a row may be from 1 after a softmax or smoothing in float32
_NEAR_IN_HALF = 1e-2  # the same in float16 and bfloat16
_MULTI_HOT_SHARE = 0.05  # from this share of rows with several 1s on, labels are multi-hot and not mistyped


def find_in_rows(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L301 to L303. Multi-hot labels, with many rows of several 1s, are reported by L401 instead."""
    numbers = labels.numbers
    if (
        labels.encoding is not Encoding.ONE_HOT
        or numbers is None
        or labels.is_integer_instead
        or not numbers.size
        or labels.units == 1
    ):
        return
    if share_of_several(labels) >= _MULTI_HOT_SHARE:
        return
    sums, valid = _sums(labels)
    near = _NEAR_IN_HALF if str(labels.raw.dtype) in ("float16", "bfloat16") else _NEAR
    zeros = valid & ~numbers.any(axis=-1)
    several = valid & (sums > 1.5) & (np.abs(sums - np.round(sums)) <= near)  # noqa: PLR2004 - half-way to 2
    uneven = valid & ~zeros & ~several & (np.abs(sums - 1) > near)
    for code, bad, problem, expected in (
        ("L301", zeros, "without a 1", "one 1 in each row"),
        ("L302", several, "with a sum of 2 or more", "rows that sum to 1"),
        ("L303", uneven, "with a sum that is neither 0 nor 1", "rows that sum to 1"),
    ):
        if bad.any():
            n = int(bad.sum())
            got = f"{float(sums[bad].ravel()[0]):g} at {first_indices(bad)[0]}"
            yield labels.finding(
                code, f"{n} of {sums.size} rows {problem}", expected=f"{expected}, got {got}", n=n, of=int(sums.size),
                first=first_indices(bad), sums=[float(value) for value in np.unique(sums[bad])[:5]],
            )  # fmt: skip


def is_multi_hot(labels: OutputLabels) -> bool:
    """Whether so many rows have several 1s that they are not typing errors."""
    return share_of_several(labels) >= _MULTI_HOT_SHARE


def share_of_several(labels: OutputLabels) -> float:
    """The share of rows with several 1s among rows with any; 0 if labels are not all 0 and 1."""
    numbers = labels.numbers
    if numbers is None or numbers.ndim < 2 or numbers.shape[-1] < 2 or not np.all((numbers == 0) | (numbers == 1)):  # noqa: PLR2004
        return 0.0
    n_yes = np.count_nonzero(numbers, axis=-1)
    n_rows = int(np.count_nonzero(n_yes))
    return int(np.count_nonzero(n_yes > 1)) / n_rows if n_rows else 0.0


def _sums(labels: OutputLabels) -> tuple[np.ndarray, np.ndarray]:
    """The sum of each row, and whether the row is checked: all its values are in [0, 1] (see L109) and its weight is not 0."""
    numbers = labels.numbers if labels.numbers is not None else np.empty((0, 0))
    with np.errstate(all="ignore"):
        sums = numbers.sum(axis=-1, dtype=np.float64)
        valid = np.all((numbers >= 0) & (numbers <= 1), axis=-1)
    weights = labels.weights
    if weights is not None and weights.shape[:1] == numbers.shape[:1]:
        if weights.shape != sums.shape:
            weights = weights.reshape(len(weights), -1).any(axis=1).reshape(-1, *[1] * (sums.ndim - 1))
        valid = valid & (weights != 0)
    return np.where(valid, sums, 1.0), valid
