"""Faults in the labels that a loss computes with. Keras passes labels to a loss as floats, whatever their dtype was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops
from keras.src import backend
from keras.src.losses.losses import LossFunctionWrapper

from backendcheck.record.faults.injection import FaultInjection, Inject

_SPARSE = ("sparse_categorical_crossentropy",)
_CATEGORICAL = ("categorical_crossentropy",)
_BINARY = ("binary_crossentropy",)


def _change_labels(injection: FaultInjection, change: Callable[[Any, Any], Any], *functions: str) -> None:
    """Have losses use ``change(labels, predictions)`` as labels. `functions` names the loss functions; without names, all."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            if (functions and getattr(self.fn, "__name__", "") not in functions) or not hasattr(y_true, "shape"):
                return original(self, y_true, y_pred)
            return original(self, injection.counted(y_true, change(y_true, y_pred)), y_pred)

        return call

    injection.replace(LossFunctionWrapper, "call", make)


def _n_classes(y_pred: Any) -> int:
    return int(y_pred.shape[-1])


def _reverse_classes(injection: FaultInjection) -> None:
    def change(y_true: Any, y_pred: Any) -> Any:
        if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == y_pred.shape[-1] != 1:
            return ops.flip(y_true, axis=-1)
        return _n_classes(y_pred) - 1 - y_true

    _change_labels(injection, change, *_SPARSE, *_CATEGORICAL)


def _shift_classes(injection: FaultInjection) -> None:
    _change_labels(injection, lambda y_true, y_pred: ops.mod(y_true + 1, _n_classes(y_pred)), *_SPARSE)


def _roll_examples(injection: FaultInjection) -> None:
    _change_labels(injection, lambda y_true, _: ops.roll(y_true, 1, axis=0))


def _clip(injection: FaultInjection) -> None:
    # In the operation, because labels out of range reach it from the loss and from direct calls.
    def change(target: Any, output: Any, *_: Any, **__: Any) -> Any:
        target = ops.convert_to_tensor(target)
        return ops.clip(target, 0, _n_classes(ops.convert_to_tensor(output)) - 1)

    injection.change_argument(backend.nn, "sparse_categorical_crossentropy", change)


def _keep_seven_bits(injection: FaultInjection) -> None:
    def change(target: Any, *_: Any, **__: Any) -> Any:
        target = ops.convert_to_tensor(target)
        return ops.cast(ops.mod(ops.cast(target, "int32"), 2**7), target.dtype)

    injection.change_argument(backend.nn, "sparse_categorical_crossentropy", change)


def _truncate(injection: FaultInjection) -> None:
    _change_labels(injection, lambda y_true, _: ops.floor(y_true), *_CATEGORICAL, *_BINARY)


def _smooth(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            name = getattr(self.fn, "__name__", "")
            if name not in (*_CATEGORICAL, *_BINARY):
                return original(self, y_true, y_pred)
            n = _n_classes(y_pred) if name in _CATEGORICAL else 2
            return original(self, injection.counted(y_true, 0.9 * y_true + 0.1 / n), y_pred)

        return call

    injection.replace(LossFunctionWrapper, "call", make)


def _drop_last_class(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            values, name = original(self, y_true, y_pred), getattr(self.fn, "__name__", "")
            if name in _SPARSE:
                last = ops.reshape(y_true, ops.shape(values)) >= _n_classes(y_pred) - 1
            elif name in _CATEGORICAL:
                last = y_true[..., -1] > 0.5  # noqa: PLR2004 - one-hot
            else:
                return values
            return injection.counted(values, ops.where(last, ops.zeros_like(values), values))

        return call

    injection.replace(LossFunctionWrapper, "call", make)


def _count_ignored_class(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            ignored = self._fn_kwargs.get("ignore_class")
            if ignored is None:
                return original(self, y_true, y_pred)
            relabeled = injection.counted(y_true, ops.where(ops.equal(y_true, ignored), ops.zeros_like(y_true), y_true))
            before = self._fn_kwargs
            self._fn_kwargs = {**before, "ignore_class": None}
            try:
                return original(self, relabeled, y_pred)
            finally:
                self._fn_kwargs = before

        return call

    injection.replace(LossFunctionWrapper, "call", make)


INJECTIONS: dict[str, Inject] = {
    "labels-reversed": _reverse_classes,
    "labels-one-on": _shift_classes,
    "labels-of-other-examples": _roll_examples,
    "range-clipped": _clip,
    "labels-in-seven-bits": _keep_seven_bits,
    "labels-truncated": _truncate,
    "labels-smoothed": _smooth,
    "last-class-dropped": _drop_last_class,
    "ignored-class-counted": _count_ignored_class,
}
