"""The forward pass of a model in float64, on the backend.

Asking layers for float64 is not enough: outside TensorFlow, Keras takes the result types of most operations down to float32
(https://github.com/keras-team/keras/issues/23704), JAX has no float64 unless it is switched on, and a functional model casts
what it is fed to the types it was declared with. All of that is lifted here, and put back. And since an array may say float64
when what is in it went through float32, every operation of the pass is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import dtypes

from backendcheck.record.backends import backend_module
from backendcheck.record.observe.arrays import map_nest

DOUBLE = "float64"


class NoDouble(Exception):  # an answer ("it cannot be had"), not a malfunction
    """The model cannot be computed in float64; the message says why."""


@contextmanager
def in_double(model: Any) -> Iterator[None]:
    """Have every layer of `model` compute in float64 while the context lasts; its weights keep their dtype."""
    layers = [layer for layer in model._flatten_layers() if "float" in str(layer.compute_dtype)]  # noqa: SLF001 - nested ones, too
    if any(getattr(layer, "quantization_mode", None) for layer in layers):
        raise NoDouble("a layer of it is quantized")
    floatx, of_results = keras.config.floatx(), dtypes.BIT64_TO_BIT32_DTYPE[DOUBLE]
    policies = [(layer, layer._dtype_policy) for layer in layers]  # noqa: SLF001 - its setter may quantize
    inputs = [(one, str(one.dtype)) for one in _declared_inputs(model) if "float" in str(one.dtype)]
    with backend_module().float64_enabled():
        try:
            keras.config.set_floatx(DOUBLE)
            dtypes.BIT64_TO_BIT32_DTYPE[DOUBLE] = DOUBLE
            for layer in layers:
                layer._dtype_policy = keras.dtype_policies.DTypePolicy(DOUBLE)  # noqa: SLF001
            for one, _ in inputs:
                _declare(one, DOUBLE)
            yield
        finally:
            for one, dtype in inputs:
                _declare(one, dtype)
            for layer, policy in policies:
                layer._dtype_policy = policy  # noqa: SLF001
            dtypes.BIT64_TO_BIT32_DTYPE[DOUBLE] = of_results
            keras.config.set_floatx(floatx)


def _declared_inputs(model: Any) -> Iterator[Any]:
    """The symbolic inputs of the model and of those nested in it, and their layers; a Sequential has its own inside."""
    for layer in model._flatten_layers():  # noqa: SLF001
        if isinstance(layer, keras.layers.InputLayer):
            yield layer
        for one in (layer, getattr(layer, "_functional", None)):
            yield from getattr(one, "_inputs", None) or ()


def _declare(one: Any, dtype: str) -> None:
    setattr(one, "_dtype" if hasattr(one, "_dtype") else "dtype", dtype)


def forward_pass(
    model: Any, x: Any, variables: Sequence[Any], values: Sequence[np.ndarray]
) -> Callable[[Sequence[np.ndarray]], Any]:
    """``(predictions, sum of the losses that layers add)`` of `model` on `x` as a function of the values of `variables`.

    To be called inside `in_double`, as is the function. `x` and `values` are float64 where they hold floats. The predictions
    come in the structure of the model's own, as float64 tensors.

    Raises:
        NoDouble: if something in the model computes in a lower precision.
    """
    tensors = map_nest(keras.ops.convert_to_tensor, x)

    def predict(values: Sequence[Any]) -> tuple[Any, Any]:
        with keras.StatelessScope(collect_losses=True) as scope:
            # Not by its own argument, which casts to the dtype of the variable.
            scope.state_mapping.update({id(variable): value for variable, value in zip(variables, values, strict=True)})
            y_pred = model(tensors, training=False)
            added = [keras.ops.sum(keras.ops.cast(loss, DOUBLE)) for loss in model.losses]
            return y_pred, sum(added, keras.ops.zeros((), DOUBLE))

    compiled, lowered = backend_module().compiled(predict, _tensors(values))
    if lowered:
        raise NoDouble(f"it computes in {' and '.join(lowered)} on the way, whatever it is asked for")
    return lambda values: compiled(_tensors(values))


def _tensors(values: Sequence[np.ndarray]) -> list[Any]:
    return [keras.ops.convert_to_tensor(value, DOUBLE) for value in values]
