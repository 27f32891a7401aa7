"""Batches of labels and predictions, and the weighted mean over them.

Source: the docstring of ``keras.metrics.Mean``: the total of the weighted values divided by the total of the weights, over all
batches. Weights are 1 unless given, and a weight of 0 masks a value. For values with more axes than the weights, the value of an
example is the mean over its remaining axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backendcheck.reference.shapes import as_float64, require_finite, to_same_rank
from backendcheck.reference.spec import Array, NoReference


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """What one call of ``update_state`` gets.

    Attributes:
        y_true: labels, (N, …).
        y_pred: predictions, (N, …, C).
        sample_weight: for each example (N,) or (N, 1), or for each timestep (N, T), or None.
        mask: booleans, (N,) or (N, T): the Keras mask of y_pred, or None.
    """

    y_true: Any
    y_pred: Any
    sample_weight: Any = None
    mask: Any = None

    def arrays(self, where: str) -> tuple[Array, Array]:
        """Labels and predictions in float64, of ranks that fit as Keras makes them fit."""
        return to_same_rank(as_float64(self.y_true, f"{where}: y_true"), as_float64(self.y_pred, f"{where}: y_pred"))

    def weights(self, where: str) -> Array | None:
        """Weights and mask together, or None if there are neither."""
        weight = None
        if self.sample_weight is not None:
            weight = as_float64(self.sample_weight, f"{where}: sample_weight")
            require_finite(f"{where}: sample_weight", weight)
            if weight.ndim == 0:
                message = (
                    f"{where}: sample_weight is one number; expected one for each example. Keras counts such a batch "
                    "as one example in a mean, which is not documented."
                )
                raise NoReference(message)
        if self.mask is None:
            return weight
        mask: Array = (as_float64(self.mask, f"{where}: mask") != 0).astype(np.float64)
        if weight is None:
            return mask
        if weight.ndim < mask.ndim:
            weight = weight.reshape(weight.shape + (1,) * (mask.ndim - weight.ndim))
        return np.asarray(weight * mask.reshape(mask.shape + (1,) * (weight.ndim - mask.ndim)))


def weighted_mean(where: str, batches: Sequence[Batch], values_of: Callable[[Batch], Array]) -> float:
    """The weighted mean of the values of all batches; 0 if the weights sum to 0.

    Args:
        where: the start of error messages.
        batches: the batches.
        values_of: a batch to its values, (N,) or (N, T, …) or ().

    Raises:
        NoReference: if weights do not fit the values, or their sum is 0 while a weight is not.
    """
    total = count = 0.0
    for batch in batches:
        values, weights = _aligned(where, values_of(batch), batch.weights(where))
        with np.errstate(invalid="ignore"):
            # A NaN or an infinity at weight 0 is not excluded: Keras multiplies, and says only that 0 masks a value.
            total += float((values * weights).sum())
        count += float(weights.sum())
    if count == 0:
        if total != 0:
            message = f"{where}: the weights sum to 0; expected a positive sum, got weights that cancel. Give positive weights."
            raise NoReference(message)
        return 0.0
    return total / count


def weighted_sum(where: str, batches: Sequence[Batch], values_of: Callable[[Batch], Array]) -> float:
    """The weighted sum of the values of all batches. Arguments and errors are as for `weighted_mean`."""
    total = 0.0
    for batch in batches:
        values = values_of(batch)
        weights = batch.weights(where)
        total += float((values if weights is None else values * _spread(where, weights, values.shape)).sum())
    return total


def weights_of_entries(where: str, batch: Batch, shape: tuple[int, ...]) -> Array:
    """A weight for every entry of predictions of this shape: one for each example, or for each entry.

    Raises:
        NoReference: if there is a mask, whose effect is documented for means only, or the weights do not fit.
    """
    if batch.mask is not None:
        message = (
            f"{where}: a mask on the predictions; expected none, because its effect is documented only for "
            "metrics that are means. Give the mask as sample weights of 0 and 1."
        )
        raise NoReference(message)
    weights = batch.weights(where)
    return np.ones(shape) if weights is None else np.array(_spread(where, weights, shape))


def _aligned(where: str, values: Array, weights: Array | None) -> tuple[Array, Array]:
    """Values and weights with one entry per weight: the axes that the weights lack are averaged."""
    if weights is None:
        values = values.reshape(len(values), -1).mean(axis=1) if values.ndim > 1 else values
        return values, np.ones(values.shape)
    if weights.ndim == values.ndim + 1 and weights.shape[-1] == 1:
        weights = weights[..., 0]
    if values.ndim > weights.ndim:
        values = values.mean(axis=tuple(range(weights.ndim, values.ndim)))
    return values, _spread(where, weights, values.shape)


def _spread(where: str, weights: Array, shape: tuple[int, ...]) -> Array:
    """Weights spread over `shape`, axis by axis from the first."""
    trimmed = weights[..., 0] if weights.ndim == len(shape) + 1 and weights.shape[-1] == 1 else weights
    sizes = zip(trimmed.shape, shape, strict=False)
    fits = 0 < trimmed.ndim <= len(shape) and all(size in (1, full) for size, full in sizes)
    if not fits or trimmed.shape[0] != shape[0]:
        message = (
            f"{where}: sample_weight does not fit; expected one weight for each example or entry of {shape}, "
            f"got shape {weights.shape}. Give weights of that shape."
        )
        raise NoReference(message)
    return np.broadcast_to(trimmed.reshape(trimmed.shape + (1,) * (len(shape) - trimmed.ndim)), shape)
