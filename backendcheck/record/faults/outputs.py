"""Faults in the outputs of a model: what `predict` returns, and which labels reach which output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras.src.trainers.compile_utils import CompileLoss

from backendcheck.record.faults.injection import FaultInjection, Inject


def _change_predictions(injection: FaultInjection, change: Callable[[Any], Any]) -> None:
    """Have `predict` return ``change(predictions)``."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def predict(self: Any, *args: Any, **kwargs: Any) -> Any:
            return change(original(self, *args, **kwargs))

        return predict

    injection.replace(keras.Model, "predict", make)


def _reverse_examples(injection: FaultInjection) -> None:
    def change(result: Any) -> Any:
        return keras.tree.map_structure(lambda array: injection.counted(array, array[::-1].copy()), result)

    _change_predictions(injection, change)


def _reverse_later_batches(injection: FaultInjection) -> None:
    """Have `predict` return the examples of every batch back to front, where it goes through them in several."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def predict(self: Any, *args: Any, **kwargs: Any) -> Any:
            result, size = original(self, *args, **kwargs), kwargs.get("batch_size")

            def turned(array: Any) -> Any:
                if not size or size >= len(array) or size == 1:
                    return array
                batches = [array[start : start + size][::-1] for start in range(0, len(array), size)]
                return injection.counted(array, np.concatenate(batches))

            return keras.tree.map_structure(turned, result)

        return predict

    injection.replace(keras.Model, "predict", make)


def _reverse_outputs(injection: FaultInjection) -> None:
    def change(result: Any) -> Any:
        if not isinstance(result, Mapping):
            return result
        names = list(result)[::-1]
        injection.counted(np.arange(len(names)), np.arange(len(names))[::-1])
        return {name: result[name] for name in names}

    _change_predictions(injection, change)


def _pair_of_one_shape(named: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first two names, in alphabetical order, whose arrays have one shape."""
    names = sorted(name for name, array in named.items() if hasattr(array, "shape"))
    pairs = ((a, b) for i, a in enumerate(names) for b in names[i + 1 :] if tuple(named[a].shape) == tuple(named[b].shape))
    return next(pairs, None)


def _exchange_outputs(injection: FaultInjection) -> None:
    def change(result: Any) -> Any:
        pair = _pair_of_one_shape(result) if isinstance(result, Mapping) else None
        if pair is None:
            return result
        first, second = pair
        injection.counted(result[first], result[second])
        return {**result, first: result[second], second: result[first]}

    _change_predictions(injection, change)


def _exchange_labels(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            pair = _pair_of_one_shape(y_true) if isinstance(y_true, Mapping) else None
            if pair is not None:
                first, second = pair
                injection.counted(y_true[first], y_true[second])
                y_true = {**y_true, first: y_true[second], second: y_true[first]}
            return original(self, y_true, y_pred, sample_weight)

        return call

    injection.replace(CompileLoss, "call", make)


INJECTIONS: dict[str, Inject] = {
    "predictions-of-other-examples": _reverse_examples,
    "examples-of-a-batch-reversed": _reverse_later_batches,
    "outputs-reordered": _reverse_outputs,
    "outputs-exchanged": _exchange_outputs,
    "labels-of-outputs-exchanged": _exchange_labels,
}
