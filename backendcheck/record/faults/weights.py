"""Faults in what becomes of sample weights and masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops
from keras.src.losses import loss as loss_module
from keras.src.metrics.reduction_metrics import MeanMetricWrapper

from backendcheck.record.faults.injection import Plant


def _weights(plant: Plant, change: Callable[[Any], Any]) -> None:
    """Have losses take ``change(sample_weight)`` for their weights."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def reduce_weighted_values(values: Any, sample_weight: Any = None, **options: Any) -> Any:
            if sample_weight is None:
                return original(values, sample_weight=None, **options)
            given = ops.convert_to_tensor(sample_weight)
            return original(values, sample_weight=plant.altered(given, change(given)), **options)

        return reduce_weighted_values

    plant.replace(loss_module, "reduce_weighted_values", make)


def _mask_dropped(plant: Plant) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def reduce_weighted_values(values: Any, sample_weight: Any = None, mask: Any = None, **options: Any) -> Any:
            if mask is not None:
                plant.altered(mask, ops.ones_like(mask))
            return original(values, sample_weight=sample_weight, mask=None, **options)

        return reduce_weighted_values

    plant.replace(loss_module, "reduce_weighted_values", make)


def _mask_dropped_in_metrics(plant: Plant) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def update_state(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            mask = getattr(y_pred, "_keras_mask", None)
            if mask is None:
                return original(self, y_true, y_pred, sample_weight=sample_weight)
            plant.altered(mask, ops.ones_like(mask))
            # Another tensor of the same numbers has no mask.
            return original(self, y_true, y_pred * 1, sample_weight=sample_weight)

        return update_state

    plant.replace(MeanMetricWrapper, "update_state", make)


PLANTS: dict[str, Callable[[Plant], None]] = {
    "weights-dropped": lambda plant: _weights(plant, ops.ones_like),
    "weights-normalised": lambda plant: _weights(plant, lambda weight: ops.divide_no_nan(weight, ops.mean(weight))),
    "weights-squared": lambda plant: _weights(plant, ops.square),
    "weights-of-other-examples": lambda plant: _weights(plant, lambda weight: ops.roll(weight, 1, axis=0)),
    "mask-dropped": _mask_dropped,
    "padding-in-metrics": _mask_dropped_in_metrics,
}
