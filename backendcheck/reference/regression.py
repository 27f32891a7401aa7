"""Regression losses: squared, absolute, relative, logarithmic and robust errors, and cosine similarity.

Each loss takes float64 labels and predictions of one shape (N, …, D) and returns (N, …): the mean over the last axis, or for the
cosine similarity the sum over its axis. The source of each formula is the docstring of the function of the same name in
``keras.losses``; further sources are named at the formula.
"""

from __future__ import annotations

import numpy as np

from backendcheck.reference.shapes import require_between, require_finite, require_same_shape
from backendcheck.reference.spec import Array, Options


def prepare(where: str, y_true: Array, y_pred: Array, options: Options) -> Array:
    """Check the labels of a regression loss: finite numbers in the shape of the predictions.

    Raises:
        NoReference: otherwise.
    """
    del options
    require_same_shape(where, y_true, y_pred)
    require_finite(where, y_true)
    return y_true


def prepare_counts(where: str, y_true: Array, y_pred: Array, options: Options) -> Array:
    """Check labels and predictions of the Poisson loss: counts and rates of 0 or more.

    Raises:
        NoReference: otherwise, because the logarithm of a negative rate does not exist.
    """
    labels = prepare(where, y_true, y_pred, options)
    require_between(where, "label", labels, 0.0, np.inf)
    require_between(where, "predicted rate", y_pred, 0.0, np.inf)
    return labels


def mean_squared_error(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Mean squared error: ``mean((y_true - y_pred)², axis=-1)``, in the square of the unit of the labels."""
    del options
    return np.asarray(np.square(y_true - y_pred).mean(axis=-1))


def mean_absolute_error(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Mean absolute error: ``mean(|y_true - y_pred|, axis=-1)``, in the unit of the labels."""
    del options
    return np.asarray(np.abs(y_true - y_pred).mean(axis=-1))


def mean_absolute_percentage_error(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Mean absolute percentage error: ``100 mean(|y_true - y_pred| / max(|y_true|, epsilon), axis=-1)``, in percent.

    The docstring of Keras divides by ``maximum(y_true, epsilon)``. For negative labels this contradicts its own formula
    ``|(t - p) / t|``. The formula is followed here.
    """
    return np.asarray(100.0 * (np.abs(y_true - y_pred) / np.maximum(np.abs(y_true), options["epsilon"])).mean(axis=-1))


def mean_squared_logarithmic_error(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Mean squared logarithmic error: ``mean((log(y_true + 1) - log(y_pred + 1))², axis=-1)``, in nats squared.

    Documented: 0 and negative values are replaced by epsilon, in labels and predictions.
    """
    epsilon = options["epsilon"]
    difference = np.log1p(np.maximum(y_true, epsilon)) - np.log1p(np.maximum(y_pred, epsilon))
    return np.asarray(np.square(difference).mean(axis=-1))


def cosine_similarity(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Negative cosine similarity: ``-sum(l2_norm(y_true) l2_norm(y_pred), axis)``, from -1 (same direction) to 1 (opposite).

    Documented: 0 if either vector is zero, and ``keras.ops.normalize`` is ``x / max(norm(x), epsilon)``.
    """
    axis, epsilon = options["axis"], options["epsilon"]

    def unit(vectors: Array) -> Array:
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=axis, keepdims=True), epsilon))

    return np.asarray(-(unit(y_true) * unit(y_pred)).sum(axis=axis))


def huber(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Huber loss: ``mean(e²/2 where |e| <= delta, else delta |e| - delta²/2, axis=-1)`` with ``e = y_pred - y_true``.

    In the square of the unit of the labels. Also: Huber, "Robust Estimation of a Location Parameter", 1964.
    """
    delta = float(options["delta"])
    error = np.abs(y_pred - y_true)
    return np.asarray(np.where(error <= delta, error**2 / 2, delta * error - delta**2 / 2).mean(axis=-1))


def log_cosh(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Logarithm of the hyperbolic cosine of the error: ``mean(log(cosh(y_pred - y_true)), axis=-1)``, in nats.

    For small errors it is computed as ``log1p(2 sinh²(e/2))``, for large ones as ``|e| + log1p(exp(-2|e|)) - log 2``. Both equal
    ``log cosh e``. Each form is accurate where the other one cancels or overflows.
    """
    del options
    error = np.abs(y_pred - y_true)
    small = np.log1p(2.0 * np.square(np.sinh(np.minimum(error, 1.0) / 2.0)))
    large = error + np.log1p(np.exp(-2.0 * error)) - np.log(2.0)
    return np.asarray(np.where(error <= 1.0, small, large).mean(axis=-1))


def poisson(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Poisson loss: ``mean(y_pred - y_true log(y_pred + epsilon), axis=-1)``, in nats, up to a constant of the label.

    The epsilon is part of the example in the docstring of Keras.
    """
    return np.asarray((y_pred - y_true * np.log(y_pred + options["epsilon"])).mean(axis=-1))
