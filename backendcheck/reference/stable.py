"""Elementary functions that neither overflow nor lose a limit, in float64.

Each convention is the usual one of information theory: 0 · log 0 = 0, because x · log x -> 0 for x -> 0 from above.
"""

from __future__ import annotations

import numpy as np

from backendcheck.reference.spec import Array


def times(factor: Array, value: Array) -> Array:
    """``factor * value``, with ``0 * anything = 0``, also where `value` is infinite: an absent label adds nothing."""
    factor, value = np.broadcast_arrays(factor, value)
    return np.where(factor == 0, 0.0, factor * np.where(factor == 0, 0.0, value))


def log_sum_exp(values: Array, axis: int) -> Array:
    """``log(sum(exp(values)))`` along `axis`, the shape of `values` without that axis. An empty sum gives ``-inf``."""
    if values.shape[axis] == 0:
        return np.full(np.delete(values.shape, axis), -np.inf)
    largest = values.max(axis=axis, keepdims=True)
    shift = np.where(np.isinf(largest) & (largest < 0), 0.0, largest)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(np.exp(values - shift).sum(axis=axis)) + np.squeeze(shift, axis))


def log_softmax(logits: Array, axis: int) -> Array:
    """``logits - log(sum(exp(logits)))`` along `axis`: log-probabilities in nats, same shape."""
    with np.errstate(invalid="ignore"):
        shifted = logits - logits.max(axis=axis, keepdims=True)
        return np.asarray(shifted - np.expand_dims(log_sum_exp(shifted, axis), axis))


def softplus(values: Array) -> Array:
    """``log(1 + exp(values))``, element by element."""
    return np.asarray(np.maximum(values, 0.0) + np.log1p(np.exp(-np.abs(values))))


def sigmoid(values: Array) -> Array:
    """``1 / (1 + exp(-values))``, element by element."""
    return np.asarray(np.exp(-softplus(-values)))
