"""Faults in the use of sample weights and masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops
from keras.src.losses import loss as loss_module
from keras.src.metrics.reduction_metrics import MeanMetricWrapper

from backendcheck.record.faults.injection import FaultInjection, Inject


def _change_weights(injection: FaultInjection, change: Callable[[Any], Any]) -> None:
    """Have losses use ``change(sample_weight)`` as weights."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def reduce_weighted_values(values: Any, sample_weight: Any = None, **options: Any) -> Any:
            if sample_weight is None:
                return original(values, sample_weight=None, **options)
            weight = ops.convert_to_tensor(sample_weight)
            return original(values, sample_weight=injection.counted(weight, change(weight)), **options)

        return reduce_weighted_values

    injection.replace(loss_module, "reduce_weighted_values", make)


def _normalize_weights(injection: FaultInjection) -> None:
    _change_weights(injection, lambda weight: ops.divide_no_nan(weight, ops.mean(weight)))


def _drop_mask(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def reduce_weighted_values(values: Any, sample_weight: Any = None, mask: Any = None, **options: Any) -> Any:
            if mask is not None:
                injection.counted(mask, ops.ones_like(mask))
            return original(values, sample_weight=sample_weight, mask=None, **options)

        return reduce_weighted_values

    injection.replace(loss_module, "reduce_weighted_values", make)


def _drop_mask_in_metrics(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def update_state(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            mask = getattr(y_pred, "_keras_mask", None)
            if mask is None:
                return original(self, y_true, y_pred, sample_weight=sample_weight)
            injection.counted(mask, ops.ones_like(mask))
            # A new tensor with the same numbers carries no mask.
            return original(self, y_true, y_pred * 1, sample_weight=sample_weight)

        return update_state

    injection.replace(MeanMetricWrapper, "update_state", make)


def _invert_mask(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def reduce_weighted_values(values: Any, sample_weight: Any = None, mask: Any = None, **options: Any) -> Any:
            if mask is not None:
                mask = injection.counted(mask, ops.logical_not(ops.cast(mask, "bool")))
            return original(values, sample_weight=sample_weight, mask=mask, **options)

        return reduce_weighted_values

    injection.replace(loss_module, "reduce_weighted_values", make)


INJECTIONS: dict[str, Inject] = {
    "weights-dropped": lambda injection: _change_weights(injection, ops.ones_like),
    "weights-normalised": _normalize_weights,
    "weights-squared": lambda injection: _change_weights(injection, ops.square),
    "weights-of-other-examples": lambda injection: _change_weights(injection, lambda weight: ops.roll(weight, 1, axis=0)),
    "mask-dropped": _drop_mask,
    "mask-inverted": _invert_mask,
    "padding-in-metrics": _drop_mask_in_metrics,
}
