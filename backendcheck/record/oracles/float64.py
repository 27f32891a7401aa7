"""The forward pass of a model in float64, on the backend.

Asking layers for float64 is not enough. Outside TensorFlow, Keras rounds the results of most operations to float32
(https://github.com/keras-team/keras/issues/23704). JAX has no float64 unless it is enabled. A functional model casts its inputs
to the declared types. This module changes all of that for the time of the pass, and restores it. An array may have the dtype
float64 although its values were rounded to float32 before, so every operation of the pass is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import dtypes

from backendcheck.record.backends import backend_module
from backendcheck.record.keras_settings import POLICY, read_setting, restore_setting
from backendcheck.record.observe.arrays import map_nest

DOUBLE = "float64"


class NoDouble(Exception):  # an answer, not a malfunction
    """The model cannot be computed in float64. The message says why."""


@contextmanager
def in_double(model: Any) -> Iterator[None]:
    """A context in which every layer of `model` computes in float64. Its weights keep their dtype."""
    layers = [layer for layer in model._flatten_layers() if "float" in str(layer.compute_dtype)]  # noqa: SLF001 - nested layers, too
    if any(getattr(layer, "quantization_mode", None) for layer in layers):
        raise NoDouble("one of its layers is quantized")
    floatx, global_policy, result_dtype = keras.config.floatx(), read_setting(POLICY), dtypes.BIT64_TO_BIT32_DTYPE[DOUBLE]
    policies = [(layer, layer._dtype_policy) for layer in layers]  # noqa: SLF001 - its setter may quantize
    inputs = [(tensor, str(tensor.dtype)) for tensor in _declared_inputs(model) if "float" in str(tensor.dtype)]
    with backend_module().float64_enabled():
        try:
            keras.config.set_floatx(DOUBLE)
            dtypes.BIT64_TO_BIT32_DTYPE[DOUBLE] = DOUBLE
            for layer in layers:
                layer._dtype_policy = keras.dtype_policies.DTypePolicy(DOUBLE)  # noqa: SLF001
            for tensor, _ in inputs:
                _declare(tensor, DOUBLE)
            yield
        finally:
            for tensor, dtype in inputs:
                _declare(tensor, dtype)
            for layer, policy in policies:
                layer._dtype_policy = policy  # noqa: SLF001
            dtypes.BIT64_TO_BIT32_DTYPE[DOUBLE] = result_dtype
            keras.config.set_floatx(floatx)
            restore_setting(POLICY, global_policy)


def _declared_inputs(model: Any) -> Iterator[Any]:
    """The symbolic inputs of the model and of nested models, and their layers. A Sequential holds a functional model."""
    for layer in model._flatten_layers():  # noqa: SLF001
        if isinstance(layer, keras.layers.InputLayer):
            yield layer
        for model_or_layer in (layer, getattr(layer, "_functional", None)):
            yield from getattr(model_or_layer, "_inputs", None) or ()


def _declare(tensor: Any, dtype: str) -> None:
    setattr(tensor, "_dtype" if hasattr(tensor, "_dtype") else "dtype", dtype)


def forward_pass(
    model: Any, x: Any, variables: Sequence[Any], values: Sequence[np.ndarray]
) -> Callable[[Sequence[np.ndarray]], Any]:
    """``(predictions, sum of the losses that layers add)`` of `model` on `x` as a function of the values of `variables`.

    Both this function and its result must be called inside `in_double`. `x` and `values` are float64 where they hold floats. The
    predictions are float64 tensors in the output structure of the model.

    Raises:
        NoDouble: if the model computes in a lower precision at any point.
    """
    tensors = map_nest(keras.ops.convert_to_tensor, x)

    def predict(values: Sequence[Any]) -> tuple[Any, Any]:
        with keras.StatelessScope(collect_losses=True) as scope:
            # Not by the argument of StatelessScope, which casts to the dtype of the variable.
            scope.state_mapping.update({id(variable): value for variable, value in zip(variables, values, strict=True)})
            y_pred = model(tensors, training=False)
            added = [keras.ops.sum(keras.ops.cast(loss, DOUBLE)) for loss in model.losses]
            return y_pred, sum(added, keras.ops.zeros((), DOUBLE))

    compiled, lowered = backend_module().compiled(predict, _tensors(values))
    if lowered:
        raise NoDouble(f"it computes in {' and '.join(lowered)} in between, although float64 is requested")
    return lambda values: compiled(_tensors(values))


def _tensors(values: Sequence[np.ndarray]) -> list[Any]:
    return [keras.ops.convert_to_tensor(value, DOUBLE) for value in values]
