"""Faults on the way in and out: what `predict` returns, which labels reach which output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras.src.trainers.compile_utils import CompileLoss

from backendcheck.record.faults.injection import Plant


def _predictions(plant: Plant, change: Callable[[Any], Any]) -> None:
    """Have `predict` return ``change(predictions)``."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def predict(self: Any, *args: Any, **kwargs: Any) -> Any:
            return change(original(self, *args, **kwargs))

        return predict

    plant.replace(keras.Model, "predict", make)


def _back_to_front(plant: Plant) -> None:
    def change(result: Any) -> Any:
        return keras.tree.map_structure(lambda array: plant.altered(array, array[::-1].copy()), result)

    _predictions(plant, change)


def _reordered(plant: Plant) -> None:
    def change(result: Any) -> Any:
        if not isinstance(result, Mapping):
            return result
        names = list(result)[::-1]
        plant.altered(np.arange(len(names)), np.arange(len(names))[::-1])
        return {name: result[name] for name in names}

    _predictions(plant, change)


def _pair_of_one_shape(named: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first two names, in alphabetical order, whose arrays have one shape."""
    names = sorted(name for name, array in named.items() if hasattr(array, "shape"))
    pairs = ((a, b) for i, a in enumerate(names) for b in names[i + 1 :] if tuple(named[a].shape) == tuple(named[b].shape))
    return next(pairs, None)


def _exchanged(plant: Plant) -> None:
    def change(result: Any) -> Any:
        pair = _pair_of_one_shape(result) if isinstance(result, Mapping) else None
        if pair is None:
            return result
        first, second = pair
        plant.altered(result[first], result[second])
        return {**result, first: result[second], second: result[first]}

    _predictions(plant, change)


def _labels_exchanged(plant: Plant) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            pair = _pair_of_one_shape(y_true) if isinstance(y_true, Mapping) else None
            if pair is not None:
                first, second = pair
                plant.altered(y_true[first], y_true[second])
                y_true = {**y_true, first: y_true[second], second: y_true[first]}
            return original(self, y_true, y_pred, sample_weight)

        return call

    plant.replace(CompileLoss, "call", make)


PLANTS: dict[str, Callable[[Plant], None]] = {
    "predictions-of-other-examples": _back_to_front,
    "outputs-reordered": _reordered,
    "outputs-exchanged": _exchanged,
    "labels-of-outputs-exchanged": _labels_exchanged,
}
