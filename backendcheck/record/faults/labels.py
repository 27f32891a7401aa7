"""Faults in what losses make of their labels. Labels come to a loss as floats, whatever they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops
from keras.src import backend
from keras.src.losses.losses import LossFunctionWrapper

from backendcheck.record.faults.injection import Plant

_SPARSE = ("sparse_categorical_crossentropy",)
_CATEGORICAL = ("categorical_crossentropy",)
_BINARY = ("binary_crossentropy",)


def _in_losses(plant: Plant, change: Callable[[Any, Any], Any], *functions: str) -> None:
    """Have the losses of these functions take ``change(labels, predictions)`` for their labels; all losses if none is named."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            if (functions and getattr(self.fn, "__name__", "") not in functions) or not hasattr(y_true, "shape"):
                return original(self, y_true, y_pred)
            return original(self, plant.altered(y_true, change(y_true, y_pred)), y_pred)

        return call

    plant.replace(LossFunctionWrapper, "call", make)


def _n_classes(y_pred: Any) -> int:
    return int(y_pred.shape[-1])


def _reversed(plant: Plant) -> None:
    def change(y_true: Any, y_pred: Any) -> Any:
        if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == y_pred.shape[-1] != 1:
            return ops.flip(y_true, axis=-1)
        return _n_classes(y_pred) - 1 - y_true

    _in_losses(plant, change, *_SPARSE, *_CATEGORICAL)


def _one_on(plant: Plant) -> None:
    _in_losses(plant, lambda y_true, y_pred: ops.mod(y_true + 1, _n_classes(y_pred)), *_SPARSE)


def _of_other_examples(plant: Plant) -> None:
    _in_losses(plant, lambda y_true, _: ops.roll(y_true, 1, axis=0))


def _clipped(plant: Plant) -> None:
    # As an operation: labels out of range may come by either way.
    def change(target: Any, output: Any, *_: Any, **__: Any) -> Any:
        target = ops.convert_to_tensor(target)
        return ops.clip(target, 0, _n_classes(ops.convert_to_tensor(output)) - 1)

    plant.argument(backend.nn, "sparse_categorical_crossentropy", change)


def _in_seven_bits(plant: Plant) -> None:
    def change(target: Any, *_: Any, **__: Any) -> Any:
        target = ops.convert_to_tensor(target)
        return ops.cast(ops.mod(ops.cast(target, "int32"), 2**7), target.dtype)

    plant.argument(backend.nn, "sparse_categorical_crossentropy", change)


def _truncated(plant: Plant) -> None:
    _in_losses(plant, lambda y_true, _: ops.floor(y_true), *_CATEGORICAL, *_BINARY)


def _smoothed(plant: Plant) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            name = getattr(self.fn, "__name__", "")
            if name not in (*_CATEGORICAL, *_BINARY):
                return original(self, y_true, y_pred)
            n = _n_classes(y_pred) if name in _CATEGORICAL else 2
            return original(self, plant.altered(y_true, 0.9 * y_true + 0.1 / n), y_pred)

        return call

    plant.replace(LossFunctionWrapper, "call", make)


def _last_class_dropped(plant: Plant) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            values, name = original(self, y_true, y_pred), getattr(self.fn, "__name__", "")
            if name in _SPARSE:
                last = ops.reshape(y_true, ops.shape(values)) >= _n_classes(y_pred) - 1
            elif name in _CATEGORICAL:
                last = y_true[..., -1] > 0.5  # noqa: PLR2004 - one-hot
            else:
                return values
            return plant.altered(values, ops.where(last, ops.zeros_like(values), values))

        return call

    plant.replace(LossFunctionWrapper, "call", make)


def _ignored_class_counted(plant: Plant) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any) -> Any:
            ignored = self._fn_kwargs.get("ignore_class")
            if ignored is None:
                return original(self, y_true, y_pred)
            counted = plant.altered(y_true, ops.where(ops.equal(y_true, ignored), ops.zeros_like(y_true), y_true))
            before = self._fn_kwargs
            self._fn_kwargs = {**before, "ignore_class": None}
            try:
                return original(self, counted, y_pred)
            finally:
                self._fn_kwargs = before

        return call

    plant.replace(LossFunctionWrapper, "call", make)


PLANTS: dict[str, Callable[[Plant], None]] = {
    "labels-reversed": _reversed,
    "labels-one-on": _one_on,
    "labels-of-other-examples": _of_other_examples,
    "range-clipped": _clipped,
    "labels-in-seven-bits": _in_seven_bits,
    "labels-truncated": _truncated,
    "labels-smoothed": _smoothed,
    "last-class-dropped": _last_class_dropped,
    "ignored-class-counted": _ignored_class_counted,
}
