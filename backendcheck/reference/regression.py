"""Losses of numbers: squared, absolute, relative, logarithmic, robust, and cosine similarity.

Every formula takes float64 labels and predictions of one shape ``(N, …, D)`` and gives ``(N, …)``, the mean over the
last axis (cosine similarity: the sum over its `axis`). Source: the docstring of the function of the same name in
``keras.losses``; further sources are named at the formula.
"""

from __future__ import annotations

import numpy as np

from backendcheck.reference.shapes import require_between, require_finite, require_same_shape
from backendcheck.reference.spec import Array, Options


def prepare(where: str, y_true: Array, y_pred: Array, options: Options) -> Array:
    """Check the labels: finite numbers in the shape of the predictions.

    Raises:
        NoReference: otherwise.
    """
    del options
    require_same_shape(where, y_true, y_pred)
    require_finite(where, y_true)
    return y_true


def prepare_counts(where: str, y_true: Array, y_pred: Array, options: Options) -> Array:
    """Check labels and predictions of the Poisson loss: counts and rates, neither below 0.

    Raises:
        NoReference: otherwise; the logarithm of a negative rate does not exist.
    """
    labels = prepare(where, y_true, y_pred, options)
    require_between(where, "label", labels, 0.0, np.inf)
    require_between(where, "predicted rate", y_pred, 0.0, np.inf)
    return labels


def mean_squared_error(y_true: Array, y_pred: Array, options: Options) -> Array:
    """``mean((y_true - y_pred)², axis=-1)``; the square of the label's unit."""
    del options
    return np.asarray(np.square(y_true - y_pred).mean(axis=-1))


def mean_absolute_error(y_true: Array, y_pred: Array, options: Options) -> Array:
    """``mean(|y_true - y_pred|, axis=-1)``; the label's unit."""
    del options
    return np.asarray(np.abs(y_true - y_pred).mean(axis=-1))


def mean_absolute_percentage_error(y_true: Array, y_pred: Array, options: Options) -> Array:
    """``100 mean(|y_true - y_pred| / max(|y_true|, epsilon), axis=-1)``; percent.

    The docstring divides by ``maximum(y_true, epsilon)``, which contradicts its own formula ``|(t - p) / t|`` for
    negative labels; the formula is followed.
    """
    return np.asarray(100.0 * (np.abs(y_true - y_pred) / np.maximum(np.abs(y_true), options["epsilon"])).mean(axis=-1))


def mean_squared_logarithmic_error(y_true: Array, y_pred: Array, options: Options) -> Array:
    """``mean((log(y_true + 1) - log(y_pred + 1))², axis=-1)``; nats squared.

    Documented: 0 and negative values are replaced by epsilon, in labels and predictions.
    """
    epsilon = options["epsilon"]
    difference = np.log1p(np.maximum(y_true, epsilon)) - np.log1p(np.maximum(y_pred, epsilon))
    return np.asarray(np.square(difference).mean(axis=-1))


def cosine_similarity(y_true: Array, y_pred: Array, options: Options) -> Array:
    """``-sum(l2_norm(y_true) l2_norm(y_pred), axis)``; without unit, -1 (same direction) to 1 (opposite).

    Documented: 0 if either vector is zero; ``keras.ops.normalize`` is ``x / max(norm(x), epsilon)``.
    """
    axis, epsilon = options["axis"], options["epsilon"]

    def unit(vectors: Array) -> Array:
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=axis, keepdims=True), epsilon))

    return np.asarray(-(unit(y_true) * unit(y_pred)).sum(axis=axis))


def huber(y_true: Array, y_pred: Array, options: Options) -> Array:
    """``mean(e²/2 where |e| <= delta, else delta |e| - delta²/2, axis=-1)``, ``e = y_pred - y_true``.

    Also: Huber, "Robust Estimation of a Location Parameter", 1964. Unit: the square of the label's.
    """
    delta = float(options["delta"])
    error = np.abs(y_pred - y_true)
    return np.asarray(np.where(error <= delta, error**2 / 2, delta * error - delta**2 / 2).mean(axis=-1))


def log_cosh(y_true: Array, y_pred: Array, options: Options) -> Array:
    """``mean(log(cosh(y_pred - y_true)), axis=-1)``; nats.

    For small errors ``log cosh e = log1p(2 sinh²(e/2))``, for large ones ``|e| + log1p(exp(-2|e|)) - log 2``:
    the same function, each form exact where the other cancels or overflows.
    """
    del options
    error = np.abs(y_pred - y_true)
    small = np.log1p(2.0 * np.square(np.sinh(np.minimum(error, 1.0) / 2.0)))
    large = error + np.log1p(np.exp(-2.0 * error)) - np.log(2.0)
    return np.asarray(np.where(error <= 1.0, small, large).mean(axis=-1))


def poisson(y_true: Array, y_pred: Array, options: Options) -> Array:
    """``mean(y_pred - y_true log(y_pred + epsilon), axis=-1)``; nats, up to a constant of the label.

    The epsilon stands in the docstring's example.
    """
    return np.asarray((y_pred - y_true * np.log(y_pred + options["epsilon"])).mean(axis=-1))
