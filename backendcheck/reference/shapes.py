"""Labels and predictions brought into one shape, and checks that refuse labels without a meaning."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backendcheck.reference.spec import Array, NoReference


def as_float64(values: Any, what: str) -> Array:
    """`values` as a float64 array.

    Raises:
        NoReference: unless they are one array of real numbers.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind in "biufV":  # V: bfloat16 and similar types, which NumPy can convert
            return array.astype(np.float64)
        reason = f"dtype {array.dtype}"
    except (TypeError, ValueError) as error:
        reason = str(error)
    message = (
        f"{what}: not an array of numbers; expected real numbers of one shape, got {reason}. "
        "Encode the labels as numbers, and compare one output at a time."
    )
    raise NoReference(message)


def to_same_rank(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    """Add or drop a trailing axis of length 1 where the ranks differ by one.

    Keras applies this rule to labels and predictions before each loss. If the longer shape ends in 1, a rank-1 array gets that
    axis as well: (N,) and (N, 1) become (N, 1). Otherwise the longer array loses it: (N, T) and (N, T, 1) become (N, T). Other
    shapes do not change.
    """
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        return (y_true, y_pred[:, None]) if y_pred.ndim == 1 else (y_true[..., 0], y_pred)
    if y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        return (y_true[:, None], y_pred) if y_true.ndim == 1 else (y_true, y_pred[..., 0])
    return y_true, y_pred


def require_same_shape(where: str, y_true: Array, y_pred: Array) -> None:
    """Refuse labels that would only fit by broadcasting.

    Raises:
        NoReference: if the shapes differ, have no axis, or hold no example.
    """
    if y_true.shape != y_pred.shape or y_pred.ndim == 0 or y_pred.size == 0:
        message = (
            f"{where}: labels and predictions do not fit; expected one shape with at least one example, "
            f"got y_true {y_true.shape} and y_pred {y_pred.shape}. Reshape the labels; they are not broadcast."
        )
        raise NoReference(message)


def require_finite(where: str, y_true: Array) -> None:
    """Refuse labels that are NaN or infinite.

    Raises:
        NoReference: if one is.
    """
    finite = np.isfinite(y_true)
    if not finite.all():
        message = f"{where}: a label is not finite; expected numbers, got {y_true[~finite][0]}. Clean the labels."
        raise NoReference(message)


def require_between(where: str, what: str, values: Array, low: float, high: float) -> None:
    """Refuse values outside ``[low, high]``. NaN passes, because it appears in the result.

    Raises:
        NoReference: if a value is outside.
    """
    outside = (values < low) | (values > high)
    if outside.any():
        message = (
            f"{where}: {what} out of range; expected values from {low:g} to {high:g}, got {values[outside][0]:g}. "
            "No value is documented for it: check the labels, the last activation and from_logits."
        )
        raise NoReference(message)


def integer_labels(where: str, y_true: Array) -> NDArray[np.int64]:
    """Labels as int64.

    Raises:
        NoReference: if a label is not a whole number, such as 1.9.
    """
    require_finite(where, y_true)
    fractional = y_true != np.floor(y_true)
    if fractional.any():
        message = (
            f"{where}: a label is not a whole number; expected an integer, got {y_true[fractional][0]:g}. "
            "Give class indices, or one-hot labels to a categorical loss."
        )
        raise NoReference(message)
    return y_true.astype(np.int64)


def require_classes(where: str, labels: NDArray[np.int64], n_classes: int) -> None:
    """Refuse class indices outside ``0 … n_classes - 1``.

    Raises:
        NoReference: if one is.
    """
    outside = (labels < 0) | (labels >= n_classes)
    if outside.any():
        message = (
            f"{where}: a label is not a class; expected 0 to {n_classes - 1}, got {labels[outside][0]}. "
            "Check the label encoding (1-based? -1 for unknown?) or set ignore_class."
        )
        raise NoReference(message)


def normalized_axes(where: str, axis: Any, n_dims: int) -> tuple[int, ...]:
    """`axis` (None for all, an int, or several) as sorted non-negative ints.

    Raises:
        NoReference: if an axis does not exist, occurs twice, or is not an integer.
    """
    if axis is None:
        return tuple(range(n_dims))
    try:
        indices = [operator.index(entry) for entry in axis] if isinstance(axis, list | tuple) else [operator.index(axis)]
    except TypeError as error:
        message = f"{where}: axis is not an integer; expected an int or a list of ints, got {axis!r}. Correct the option."
        raise NoReference(message) from error
    axes = tuple(sorted(entry % n_dims for entry in indices if -n_dims <= entry < n_dims))
    if len(axes) != len(indices) or len(set(axes)) != len(axes) or isinstance(axis, bool):
        message = (
            f"{where}: axis does not exist or occurs twice; expected axes of an array of rank {n_dims}, "
            f"got {axis!r}. Correct the option or the shape of y_pred."
        )
        raise NoReference(message)
    return axes
