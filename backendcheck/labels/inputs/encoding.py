"""The encoding of labels: class indices, one-hot rows, 0 and 1, signs, numbers."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType

import numpy as np

from backendcheck.labels.inputs.values import value_counts
from backendcheck.model_file import DeclaredLoss, Head


class Encoding(StrEnum):
    """How labels are to be read. With an EXCLUSIVE encoding each label is one class."""

    INTEGER = "integer"  # a class index for each example, step or pixel
    ONE_HOT = "one-hot"  # rows that sum to 1
    BINARY = "binary"  # each number is 0 or 1 by itself: one column, or multi-hot
    SIGN = "sign"  # -1 or 1
    IDS = "ids"  # an identity without a column in the head: circle loss
    LETTERS = "letters"  # CTC, where 0 is the blank
    NUMBER = "number"
    UNKNOWN = "unknown"  # a custom loss, which may take any labels


EXCLUSIVE = (Encoding.INTEGER, Encoding.ONE_HOT)

_TAKES = MappingProxyType({
    "sparse_categorical_crossentropy": Encoding.INTEGER, "categorical_generalized_cross_entropy": Encoding.INTEGER,
    "categorical_crossentropy": Encoding.ONE_HOT, "categorical_focal_crossentropy": Encoding.ONE_HOT,
    "categorical_hinge": Encoding.ONE_HOT, "kl_divergence": Encoding.ONE_HOT,
    "binary_crossentropy": Encoding.BINARY, "binary_focal_crossentropy": Encoding.BINARY, "dice": Encoding.BINARY,
    "tversky": Encoding.BINARY, "hinge": Encoding.SIGN, "squared_hinge": Encoding.SIGN, "circle": Encoding.IDS,
    "ctc": Encoding.LETTERS,
})  # fmt: skip

_FEWEST_OF_A_CLASS = 3  # examples of a class on average; integers that repeat less are counts or measurements
_MOST_FLOAT_CLASSES = 20  # floats that are all integers count as classes only up to so many values


def encoding_of(labels: np.ndarray, loss: DeclaredLoss | None, head: Head | None, n_classes: int | None) -> Encoding:
    """The encoding of `labels`: from the loss, or else from the head, or else from the labels themselves."""
    if loss is not None:
        return encoding_of_loss(loss)
    activation = head.activation if head is not None else None
    if activation == "softmax" and head is not None:
        return Encoding.ONE_HOT if _as_wide_as(labels, head) else Encoding.INTEGER
    if activation == "sigmoid":
        return Encoding.BINARY
    if head is not None and n_classes is None:
        return Encoding.NUMBER if labels.dtype.kind == "f" else Encoding.UNKNOWN
    return _looks_like(labels, n_classes)


def encoding_of_loss(loss: DeclaredLoss) -> Encoding:
    """The encoding that a loss takes."""
    return Encoding.UNKNOWN if loss.custom else _TAKES.get(loss.name, Encoding.NUMBER)


def _as_wide_as(labels: np.ndarray, head: Head) -> bool:
    if head.shape is not None:
        return labels.ndim == len(head.shape) and labels.shape[-1] != 1
    return labels.ndim > 1 and labels.shape[-1] == head.units


def _looks_like(labels: np.ndarray, n_classes: int | None) -> Encoding:
    values = labels[np.isfinite(labels)] if labels.dtype.kind == "f" else labels
    integral = labels.dtype.kind != "f" or bool(np.all(values == np.floor(values)))
    if labels.ndim > 1 and labels.shape[-1] > 1:
        if n_classes is not None and labels.shape[-1] != n_classes:
            return Encoding.INTEGER if integral else Encoding.UNKNOWN
        if not np.all((values >= 0) & (values <= 1)):
            return Encoding.NUMBER if n_classes is None else Encoding.UNKNOWN
        with np.errstate(all="ignore"):
            exclusive = bool(np.all(np.abs(labels.sum(axis=-1, dtype=np.float64) - 1) < 1e-3))  # noqa: PLR2004
        return Encoding.ONE_HOT if exclusive else Encoding.BINARY if integral else Encoding.NUMBER
    if not integral:
        return Encoding.NUMBER if n_classes is None else Encoding.INTEGER
    if n_classes is not None:
        return Encoding.INTEGER
    n_values = len(value_counts(values)[0])
    few = labels.size // _FEWEST_OF_A_CLASS
    if labels.dtype.kind == "f":
        few = min(few, _MOST_FLOAT_CLASSES)
    return Encoding.INTEGER if n_values <= max(few, 2) else Encoding.NUMBER
