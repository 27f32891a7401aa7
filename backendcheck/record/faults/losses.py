"""Faults in the arithmetic of losses: their values, their reduction, their gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops
from keras.src.losses import loss as loss_module
from keras.src.losses.losses import LossFunctionWrapper

from backendcheck.record.faults.injection import FaultInjection, Inject

_CROSS_ENTROPIES = ("categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy")
_OVER_A_ROW = ("mean_squared_error", "mean_absolute_error", "binary_crossentropy")
_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
_CLIPPED_AT = 1e-3


def _change_values(injection: FaultInjection, change: Callable[..., Any], *functions: str) -> None:
    """Have losses return ``change(values, labels, predictions)`` before reduction. `functions` names them; without names, all."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            values = original(self, y_true, y_pred)
            if functions and getattr(self.fn, "__name__", "") not in functions:
                return values
            changed = injection.counted(values, change(values, y_true, y_pred))
            if (mask := getattr(values, "_keras_mask", None)) is not None:
                keras.src.backend.set_keras_mask(changed, mask)
            return changed

        return call

    injection.replace(LossFunctionWrapper, "call", make)


def _roll_examples(injection: FaultInjection) -> None:
    _change_values(injection, lambda values, *_: ops.roll(values, 1, axis=0) if len(values.shape) else values)


def _sum_rows(injection: FaultInjection) -> None:
    _change_values(injection, lambda values, _, y_pred: values * int(y_pred.shape[-1]), *_OVER_A_ROW)


def _negate(injection: FaultInjection) -> None:
    _change_values(injection, lambda values, *_: -values)


def _scale(injection: FaultInjection) -> None:
    _change_values(injection, lambda values, *_: 1.1 * values)


def _round_to_half(injection: FaultInjection) -> None:
    _change_values(injection, lambda values, *_: ops.cast(ops.cast(values, "float16"), values.dtype))


def _make_nan_at_zero(injection: FaultInjection) -> None:
    def change(values: Any, _: Any, y_pred: Any) -> Any:
        extreme = ops.any((y_pred <= 0) | (y_pred >= 1), axis=-1)
        return ops.where(extreme, ops.full_like(values, float("nan")), values)

    _change_values(injection, change, "categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy")


def _change_gradient(injection: FaultInjection, change: Callable[[Any], Any]) -> None:
    """Add ``change(values)`` to the values of every loss. Its value is zero; only its gradient is not."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            values = original(self, y_true, y_pred)
            injection.counted(values, values + 1)  # every gradient that is not zero is changed
            changed = values + change(values)
            if (mask := getattr(values, "_keras_mask", None)) is not None:
                keras.src.backend.set_keras_mask(changed, mask)
            return changed

        return call

    injection.replace(LossFunctionWrapper, "call", make)


def _reverse_gradient(injection: FaultInjection) -> None:
    _change_gradient(injection, lambda values: 2.0 * (ops.stop_gradient(values) - values))


def _double_gradient(injection: FaultInjection) -> None:
    _change_gradient(injection, lambda values: values - ops.stop_gradient(values))


def _make_gradient_nan(injection: FaultInjection) -> None:
    # `where` does not select log(0), but its gradient multiplies the infinite slope there by 0, which gives NaN.
    def change(values: Any) -> Any:
        zero = values - ops.stop_gradient(values)
        return ops.where(zero > 1.0, ops.log(zero), ops.zeros_like(zero))

    _change_gradient(injection, change)


def _change_means(injection: FaultInjection, change: Callable[[Any, Any], Any]) -> None:
    """Have means return ``change(mean, number of values)``."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def reduce_values(values: Any, sample_weight: Any = None, reduction: Any = "sum_over_batch_size") -> Any:
            reduced = original(values, sample_weight, reduction)
            if reduction not in _MEANS or not len(values.shape):
                return reduced
            n = ops.cast(ops.prod(ops.convert_to_tensor(ops.shape(values), dtype="int32")), reduced.dtype)
            return injection.counted(reduced, change(reduced, n))

        return reduce_values

    injection.replace(loss_module, "reduce_values", make)


def _sum_instead_of_mean(injection: FaultInjection) -> None:
    _change_means(injection, lambda reduced, n: reduced * n)


def _divide_twice(injection: FaultInjection) -> None:
    _change_means(injection, lambda reduced, n: reduced / n)


def _broadcast_column(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            before = original(self, y_true, y_pred)
            # Computed here, because the Keras functions would align the ranks again.
            penalty = {"mean_squared_error": ops.square, "mean_absolute_error": ops.abs}.get(getattr(self.fn, "__name__", ""))
            if penalty is None or len(y_pred.shape) != 2 or y_pred.shape[-1] != 1:  # noqa: PLR2004 - (N, 1)
                return before
            return injection.counted(before, ops.mean(penalty(ops.reshape(y_true, (-1,)) - y_pred), axis=-1))

        return call

    injection.replace(LossFunctionWrapper, "call", make)


def _ignore_from_logits(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            before = original(self, y_true, y_pred)
            if not self._fn_kwargs.get("from_logits"):
                return before
            options = self._fn_kwargs
            self._fn_kwargs = {**options, "from_logits": False}
            try:
                return injection.counted(before, original(self, y_true, y_pred))
            finally:
                self._fn_kwargs = options

        return call

    injection.replace(LossFunctionWrapper, "call", make)


def _clip_earlier(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            before = original(self, y_true, y_pred)
            if getattr(self.fn, "__name__", "") not in _CROSS_ENTROPIES or self._fn_kwargs.get("from_logits"):
                return before
            return injection.counted(before, original(self, y_true, ops.clip(y_pred, _CLIPPED_AT, 1.0 - _CLIPPED_AT)))

        return call

    injection.replace(LossFunctionWrapper, "call", make)


INJECTIONS: dict[str, Inject] = {
    "losses-of-other-examples": _roll_examples,
    "labels-of-a-row-summed": _sum_rows,
    "loss-negated": _negate,
    "loss-scaled": _scale,
    "losses-in-half": _round_to_half,
    "nan-at-zero-probability": _make_nan_at_zero,
    "gradient-reversed": _reverse_gradient,
    "gradient-doubled": _double_gradient,
    "nan-in-the-gradient": _make_gradient_nan,
    "mean-became-sum": _sum_instead_of_mean,
    "mean-divided-twice": _divide_twice,
    "column-broadcast": _broadcast_column,
    "logits-taken-for-probabilities": _ignore_from_logits,
    "clipped-at-a-thousandth": _clip_earlier,
}
