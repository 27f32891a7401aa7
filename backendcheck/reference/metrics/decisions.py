"""Decisions on predictions that hold whatever the rounding: above a threshold, the largest of a row, equal to a label.

Predictions are rounded, and a compiled function rounds them in another way. Where a decision could turn over by that, a metric
that counts has no reference. The documentation does not say what counts at equality either.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backendcheck.reference.spec import Array, NoReference

# The tolerance of float32 predictions: two numbers that are closer are taken for equal. The absolute part is for scores near
# zero, which are sums of terms that are not near zero.
_RTOL, _ATOL = 1e-5, 1e-6


def near(left: Array, right: Array | float) -> NDArray[np.bool_]:
    """Whether each number is equal to another up to rounding, or is not a number."""
    with np.errstate(invalid="ignore"):
        distance = np.abs(np.asarray(left) - right)
        return np.asarray(~(distance > _ATOL + _RTOL * np.maximum(np.abs(left), np.abs(right))))


def above(where: str, y_pred: Array, threshold: float) -> NDArray[np.bool_]:
    """Whether each prediction is above the threshold.

    Raises:
        NoReference: if a prediction lies on the threshold up to rounding, or is NaN.
    """
    on_threshold = near(y_pred, threshold)
    if on_threshold.any():
        message = (
            f"{where}: a prediction lies on the threshold {threshold:g}; expected predictions above or below it, "
            f"got {y_pred[on_threshold][0]:.9g}. On which side it counts is a matter of rounding."
        )
        raise NoReference(message)
    return np.asarray(y_pred > threshold)


def largest(where: str, what: str, scores: Array, axis: int = -1) -> NDArray[np.int64]:
    """The index of the largest score along an axis.

    Raises:
        NoReference: if two scores tie up to rounding, or a score is NaN.
    """
    if scores.ndim == 0 or scores.shape[axis] == 0:
        message = f"{where}: the {what} have no classes; expected an axis of classes, got shape {scores.shape}."
        raise NoReference(message)
    indices = np.argmax(scores, axis=axis, keepdims=True)
    top = np.take_along_axis(scores, indices, axis=axis)
    if (near(scores, top).sum(axis=axis) > 1).any():
        message = (
            f"{where}: the {what} have no single largest score; expected one for each example, got scores that tie or are NaN. "
            "Which class counts is not documented."
        )
        raise NoReference(message)
    return np.asarray(np.squeeze(indices, axis=axis), dtype=np.int64)


def among_largest(where: str, scores: Array, k: int) -> NDArray[np.bool_]:
    """Which scores are among the k largest along the last axis.

    Raises:
        NoReference: if the scores at places k and k + 1 tie up to rounding, or a score is NaN.
    """
    n = scores.shape[-1]
    ordered = -np.sort(-scores, axis=-1)
    if np.isnan(scores).any() or (k < n and near(ordered[..., k - 1], ordered[..., k]).any()):
        message = f"{where}: scores tie at place {k}; expected {k} largest scores, because the order of ties is not documented."
        raise NoReference(message)
    return np.asarray(scores >= ordered[..., min(k, n) - 1, None])


def equal(where: str, y_true: Array, y_pred: Array) -> NDArray[np.bool_]:
    """Whether each prediction equals its label.

    Raises:
        NoReference: if one does up to rounding, and is not a whole number.
    """
    if (near(y_pred, y_true) & ((y_pred != y_true) | (y_pred != np.floor(y_pred)))).any():
        message = f"{where}: a prediction equals its label up to rounding; expected whole numbers, or clear differences."
        raise NoReference(message)
    return np.asarray(y_pred == y_true)
