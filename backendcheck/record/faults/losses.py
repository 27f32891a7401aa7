"""Faults in the arithmetic of losses: their values, their reduction, their gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops
from keras.src.losses import loss as loss_module
from keras.src.losses.losses import LossFunctionWrapper

from backendcheck.record.faults.injection import Plant

_CROSS_ENTROPIES = ("categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy")
_OVER_A_ROW = ("mean_squared_error", "mean_absolute_error", "binary_crossentropy")
_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
_CLIPPED_AT = 1e-3


def _values(plant: Plant, change: Callable[..., Any], *functions: str) -> None:
    """Have these losses return ``change(values, labels, predictions)`` before reduction; all losses if none is named."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            values = original(self, y_true, y_pred)
            if functions and getattr(self.fn, "__name__", "") not in functions:
                return values
            changed = plant.altered(values, change(values, y_true, y_pred))
            if (mask := getattr(values, "_keras_mask", None)) is not None:
                keras.src.backend.set_keras_mask(changed, mask)
            return changed

        return call

    plant.replace(LossFunctionWrapper, "call", make)


def _of_other_examples(plant: Plant) -> None:
    _values(plant, lambda values, *_: ops.roll(values, 1, axis=0) if len(values.shape) else values)


def _row_summed(plant: Plant) -> None:
    _values(plant, lambda values, _, y_pred: values * int(y_pred.shape[-1]), *_OVER_A_ROW)


def _negated(plant: Plant) -> None:
    _values(plant, lambda values, *_: -values)


def _scaled(plant: Plant) -> None:
    _values(plant, lambda values, *_: 1.1 * values)


def _in_half(plant: Plant) -> None:
    _values(plant, lambda values, *_: ops.cast(ops.cast(values, "float16"), values.dtype))


def _nan_at_zero(plant: Plant) -> None:
    def change(values: Any, _: Any, y_pred: Any) -> Any:
        extreme = ops.any((y_pred <= 0) | (y_pred >= 1), axis=-1)
        return ops.where(extreme, ops.full_like(values, float("nan")), values)

    _values(plant, change, "categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy")


def _gradient(plant: Plant, change: Callable[[Any], Any]) -> None:
    """Add ``change(values)``, which is zero but for its gradient, to the values of every loss."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            values = original(self, y_true, y_pred)
            plant.altered(values, values + 1)  # every gradient that is not zero is changed
            changed = values + change(values)
            if (mask := getattr(values, "_keras_mask", None)) is not None:
                keras.src.backend.set_keras_mask(changed, mask)
            return changed

        return call

    plant.replace(LossFunctionWrapper, "call", make)


def _gradient_reversed(plant: Plant) -> None:
    _gradient(plant, lambda values: 2.0 * (ops.stop_gradient(values) - values))


def _gradient_doubled(plant: Plant) -> None:
    _gradient(plant, lambda values: values - ops.stop_gradient(values))


def _gradient_nan(plant: Plant) -> None:
    # The logarithm of 0 is not chosen, but its infinite slope is multiplied by 0, and that is NaN.
    def change(values: Any) -> Any:
        nothing = values - ops.stop_gradient(values)
        return ops.where(nothing > 1.0, ops.log(nothing), ops.zeros_like(nothing))

    _gradient(plant, change)


def _reduced(plant: Plant, change: Callable[[Any, Any], Any]) -> None:
    """Have means return ``change(mean, number of values)``."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def reduce_values(values: Any, sample_weight: Any = None, reduction: Any = "sum_over_batch_size") -> Any:
            reduced = original(values, sample_weight, reduction)
            if reduction not in _MEANS or not len(values.shape):
                return reduced
            n = ops.cast(ops.prod(ops.convert_to_tensor(ops.shape(values), dtype="int32")), reduced.dtype)
            return plant.altered(reduced, change(reduced, n))

        return reduce_values

    plant.replace(loss_module, "reduce_values", make)


def _summed(plant: Plant) -> None:
    _reduced(plant, lambda reduced, n: reduced * n)


def _divided_twice(plant: Plant) -> None:
    _reduced(plant, lambda reduced, n: reduced / n)


def _column_broadcast(plant: Plant) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            before = original(self, y_true, y_pred)
            # By hand: the functions of Keras bring ranks together once more.
            penalty = {"mean_squared_error": ops.square, "mean_absolute_error": ops.abs}.get(getattr(self.fn, "__name__", ""))
            if penalty is None or len(y_pred.shape) != 2 or y_pred.shape[-1] != 1:  # noqa: PLR2004 - (N, 1)
                return before
            return plant.altered(before, ops.mean(penalty(ops.reshape(y_true, (-1,)) - y_pred), axis=-1))

        return call

    plant.replace(LossFunctionWrapper, "call", make)


def _from_logits_ignored(plant: Plant) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            before = original(self, y_true, y_pred)
            if not self._fn_kwargs.get("from_logits"):
                return before
            options = self._fn_kwargs
            self._fn_kwargs = {**options, "from_logits": False}
            try:
                return plant.altered(before, original(self, y_true, y_pred))
            finally:
                self._fn_kwargs = options

        return call

    plant.replace(LossFunctionWrapper, "call", make)


def _clipped_earlier(plant: Plant) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            before = original(self, y_true, y_pred)
            if getattr(self.fn, "__name__", "") not in _CROSS_ENTROPIES or self._fn_kwargs.get("from_logits"):
                return before
            return plant.altered(before, original(self, y_true, ops.clip(y_pred, _CLIPPED_AT, 1.0 - _CLIPPED_AT)))

        return call

    plant.replace(LossFunctionWrapper, "call", make)


PLANTS: dict[str, Callable[[Plant], None]] = {
    "losses-of-other-examples": _of_other_examples,
    "labels-of-a-row-summed": _row_summed,
    "loss-negated": _negated,
    "loss-scaled": _scaled,
    "losses-in-half": _in_half,
    "nan-at-zero-probability": _nan_at_zero,
    "gradient-reversed": _gradient_reversed,
    "gradient-doubled": _gradient_doubled,
    "nan-in-the-gradient": _gradient_nan,
    "mean-became-sum": _summed,
    "mean-divided-twice": _divided_twice,
    "column-broadcast": _column_broadcast,
    "logits-taken-for-probabilities": _from_logits_ignored,
    "clipped-at-a-thousandth": _clipped_earlier,
}
