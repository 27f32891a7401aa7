"""The classes of labels, and how many examples each class has."""

from __future__ import annotations

import numpy as np

from backendcheck.labels.inputs.encoding import Encoding
from backendcheck.labels.inputs.output_labels import OutputLabels
from backendcheck.labels.inputs.values import value_counts

_EXACT = 2**53  # up to here a float64 holds every integer
_LARGEST = np.iinfo(np.int64).max
_NEAR_ONE = 0.5  # how far the sum of a soft row may be from 1; its class is that of its largest value


def class_counts(labels: OutputLabels) -> dict[int, int] | None:
    """How many labels each occurring class has; for multi-hot labels, how many rows have a 1 for it.

    None if the labels have no classes. Fractions, NaN, numbers below 0 and ignored labels are left out.
    """
    numbers = labels.numbers
    if numbers is None or not numbers.size:
        return None
    if labels.encoding in (Encoding.ONE_HOT, Encoding.BINARY) and numbers.ndim > 1 and numbers.shape[-1] > 1:
        rows = numbers.reshape(-1, numbers.shape[-1])
        if labels.encoding is Encoding.BINARY:
            yes = np.count_nonzero(rows > _NEAR_ONE, axis=0)
            return {index: int(n) for index, n in enumerate(yes) if n}
        with np.errstate(all="ignore"):
            one_class_rows = rows[np.abs(rows.sum(axis=1) - 1) < _NEAR_ONE]
        if not len(one_class_rows):
            return {}
        return _counted(one_class_rows.argmax(axis=1))
    if labels.encoding in (Encoding.INTEGER, Encoding.BINARY):
        return _counted(class_indices(labels))
    return None


def class_indices(labels: OutputLabels) -> np.ndarray:
    """The integer or binary labels that are class indices, (n,) int64."""
    numbers = labels.numbers
    if numbers is None:
        return np.empty(0, np.int64)
    values = numbers.ravel()
    valid = (values >= 0) & (values <= _LARGEST)
    if values.dtype.kind == "f":
        valid &= np.isfinite(values) & (values == np.floor(values)) & (values < _EXACT)
    ignored = labels.option("ignore_class")
    if ignored is not None:
        valid &= values != ignored
    indices: np.ndarray = values[valid].astype(np.int64)
    return indices


def class_of_examples(labels: OutputLabels) -> np.ndarray | None:
    """The class of each example, (N,) int64, or -1 without a class; None if examples have several labels each."""
    numbers = labels.numbers
    if numbers is None or not numbers.size or labels.unknown_names:
        return None
    n = len(numbers)
    if labels.encoding is Encoding.ONE_HOT and numbers.ndim == 2 and numbers.shape[1] > 1:  # noqa: PLR2004 - rows
        with np.errstate(all="ignore"):
            of_rows: np.ndarray = np.where(np.abs(numbers.sum(axis=1) - 1) < _NEAR_ONE, numbers.argmax(axis=1), -1)
        return of_rows
    if labels.encoding in (Encoding.INTEGER, Encoding.BINARY, Encoding.SIGN) and numbers.size == n:
        values = numbers.reshape(n)
        if values.dtype.kind != "f":
            return values.astype(np.int64)
        valid = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < _EXACT)
        return np.where(valid, values, -1).astype(np.int64)
    return None


def _counted(indices: np.ndarray) -> dict[int, int]:
    values, counts = value_counts(indices)
    return {int(value): int(n) for value, n in zip(values, counts, strict=True)}
