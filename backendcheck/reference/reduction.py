"""From the losses of single examples to one number: sample weights, masks and reductions.

Sources: the ``reduction`` paragraph in the docstring of every ``keras.losses`` class; the ``sample_weight`` paragraph of
``Model.fit`` (one weight for each example, or one for each timestep); and for masks under a mean the rule in the mask code of
Keras: the sum is divided by the number of unmasked entries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backendcheck.reference.shapes import as_float64, require_finite
from backendcheck.reference.spec import Array, NoReference

_MEANS = ("sum_over_batch_size", "mean")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighting:
    """How single losses become one: ``loss = sum(where(counted, factor * values, 0)) / divisor``.

    Attributes:
        factor: float64, the shape of the unreduced loss.
        counted: bool, the same shape; False where a mask leaves the loss out.
        divisor: what the sum is divided by.
        shape: the shape of the result of Keras with ``reduction=None``. It has a trailing 1 more than `factor` if the weights are
            (N, 1) and the losses (N,).
    """

    factor: Array
    counted: NDArray[np.bool_]
    divisor: float
    shape: tuple[int, ...]

    @property
    def coefficient(self) -> Array:
        """The derivative of the loss by each single loss, same shape as `factor`; all 0 if nothing counts."""
        return np.where(self.counted, self.factor, 0.0) / self.divisor if self.divisor else np.zeros_like(self.factor)

    def apply(self, values: Array) -> Array:
        """The weighted values, in the shape of Keras. Masked values are 0, whatever they were."""
        weighted = np.where(self.counted, self.factor * np.where(self.counted, values, 0.0), 0.0)
        return weighted.reshape(self.shape)

    def reduce(self, values: Array) -> float:
        """The loss; 0 if nothing counts."""
        return float(self.apply(values).sum() / self.divisor) if self.divisor else 0.0


def weighting(
    where: str,
    shape: tuple[int, ...],
    reduction: str | None,
    sample_weight: Any = None,
    masks: tuple[Any, ...] = (),
) -> Weighting:
    """The factor, the mask and the divisor for each single loss.

    Args:
        where: the start of error messages.
        shape: the shape of the unreduced loss: (N,), (N, T) or ().
        reduction: as in `LossSpec`. The divisor is the number of single losses for the two means; the sum of weights and mask
            together for ``"mean_with_sample_weight"``; and 1 for ``"sum"`` and None.
        sample_weight: for each example (N,) or (N, 1), for each timestep (N, T), or a single number.
        masks: bool arrays, with shapes as for the weights, True where a loss counts. None stands for a missing mask.

    Under a mean, every factor is multiplied by ``total / counted`` of the masks. The sum over ``total`` entries is then a mean
    over the counted ones.

    Raises:
        NoReference: if a weight or mask does not fit or is not finite, or its share in the divisor is not documented.
    """
    factor, counted, result_shape = np.ones(shape), np.ones(shape, dtype=bool), shape
    if sample_weight is not None:
        weight = as_float64(sample_weight, f"{where}: sample_weight")
        require_finite(f"{where}: sample_weight", weight)
        factor = np.array(_aligned(f"{where}: sample_weight", weight, shape))
        if len(shape) == 1 and weight.ndim == 2:  # noqa: PLR2004
            result_shape = (*shape, 1)
        if reduction == "mean_with_sample_weight" and weight.size != factor.size:
            message = (
                f"{where}: sample_weight is spread over several losses; expected shape {shape} under "
                f"mean_with_sample_weight, got {weight.shape}. Whether the divisor counts such a weight once or "
                "at each place is not documented: give the weights in full."
            )
            raise NoReference(message)
    present = [mask for mask in masks if mask is not None]
    for mask in present:
        counted &= _aligned(f"{where}: mask", as_float64(mask, f"{where}: mask"), shape) != 0
    if present and reduction in _MEANS and counted.any():
        factor = factor * (counted.size / counted.sum())
    divisor = 1.0
    if reduction in _MEANS:
        divisor = float(math.prod(shape))
    elif reduction == "mean_with_sample_weight":
        divisor = float(factor[counted].sum())
    return Weighting(factor=factor, counted=counted, divisor=divisor, shape=result_shape)


def _aligned(where: str, weight: Array, shape: tuple[int, ...]) -> Array:
    """A weight spread over `shape`: axis by axis from the first, one example after the other."""
    if weight.ndim == 0 and shape:
        return np.broadcast_to(weight, shape)
    trimmed = weight[..., 0] if weight.ndim == len(shape) + 1 and weight.shape[-1] == 1 else weight
    fits = trimmed.ndim <= len(shape) and all(size in (1, expected) for size, expected in zip(trimmed.shape, shape, strict=False))
    if not fits or (trimmed.ndim and trimmed.shape[0] != shape[0]):
        message = (
            f"{where} does not fit the losses; expected one value for each example or timestep of {shape}, "
            f"got shape {weight.shape}. Give labels and predictions an axis for the examples, and weights to match."
        )
        raise NoReference(message)
    return np.broadcast_to(trimmed.reshape(trimmed.shape + (1,) * (len(shape) - trimmed.ndim)), shape)
