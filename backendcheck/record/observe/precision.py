"""The float type that a number was really computed in: the coarsest on the way to it, whatever the dtype that it ends in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from backendcheck.record.keras_settings import policy_compute_dtype

FLOAT_TYPES = ("bfloat16", "float16", "float32", "float64")  # coarsest first


def coarsest(*dtypes: str | None) -> str | None:
    """The coarsest float type among `dtypes`; None if none of them is a float type."""
    return next((name for name in FLOAT_TYPES if name in dtypes), None)


def below_session(*dtypes: str | None) -> str | None:
    """The coarsest float type among `dtypes`, if it is coarser than the float type of the session."""
    floatx = keras.config.floatx()
    lowest = coarsest(*dtypes, floatx)
    return None if lowest == floatx else lowest


def session_precision() -> str:
    """The float type of a number that has no dtype, such as what `evaluate` returns.

    It is the float type of the session, unless the backend does not have it. JAX has float64 only if it is enabled.
    """
    floatx = str(keras.config.floatx())
    if floatx != "float64":
        return floatx
    return str(keras.backend.standardize_dtype(keras.ops.convert_to_tensor(np.zeros((), floatx)).dtype))


def lowest_of_policy() -> str | None:
    """The float type of the dtype policy in force, if it is coarser than that of the session."""
    return below_session(policy_compute_dtype())


def lowest_of_model(model: Any, x: Any = None) -> str | None:
    """The coarsest float type that `model` computes in or keeps weights in, if it is coarser than that of the session.

    `x` are its inputs, a nest of arrays. They count only where a layer takes them in the type that they have.
    """
    dtypes = {str(variable.dtype) for variable in model.weights}
    layers = list(model._flatten_layers())  # noqa: SLF001 - nested layers, too
    for layer in layers:
        dtypes.add(getattr(layer, "compute_dtype", None) or "")
        for operation in getattr(layer, "operations", ()):  # of a functional model, also what is not a layer, such as a cast
            dtypes |= {str(tensor.dtype) for node in operation._inbound_nodes for tensor in node.output_tensors}  # noqa: SLF001
    if not all(getattr(layer, "autocast", True) for layer in layers):
        dtypes |= {leaf.dtype.name for leaf in keras.tree.flatten(x) if isinstance(leaf, np.ndarray)}
    return below_session(*dtypes)


def lowest_of_metrics(model: Any) -> str | None:
    """The coarsest float type that a compiled metric computes in, if it is coarser than that of the session."""
    metrics = [part for metric in model.metrics for part in (metric, *(getattr(metric, "metrics", None) or ()))]
    return below_session(*(getattr(metric, "dtype", None) for metric in metrics))


@contextmanager
def layers_noted() -> Iterator[set[str]]:
    """A context that notes the float types of all layers that are called in it."""
    original = keras.Operation.__call__
    dtypes: set[str] = set()

    def noted(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(dtype := getattr(operation, "compute_dtype", None), str):
            dtypes.add(dtype)
        return original(operation, *args, **kwargs)

    keras.Operation.__call__ = noted
    try:
        yield dtypes
    finally:
        if keras.Operation.__call__ is noted:
            keras.Operation.__call__ = original
