"""The arguments of a call, as arrays and a nest in JSON for a recording; and the same arguments on another backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from backendcheck.record.observe.arrays import as_observation
from backendcheck.vocabulary.observations import Observation


class NotReplayable(Exception):
    """An argument is neither an array nor a plain value, so that another process cannot get it."""


class Traced(Exception):
    """The arguments have no values, because the call is traced: in a loop, a map or a compiled function."""


def arguments_to_json(nest: Any, arrays: list[Observation]) -> Any:
    """`nest` in JSON, with ``{"array": 0}`` in place of each array. The arrays are appended to `arrays`.

    Raises:
        NotReplayable: naming the type that cannot be written.
        Traced: if an array has no value.
    """
    if nest is None or isinstance(nest, bool | int | float | str):
        return {"value": nest}
    if isinstance(nest, Mapping):
        return {"dict": {str(key): arguments_to_json(value, arrays) for key, value in nest.items()}}
    if isinstance(nest, list | tuple):
        return {"list" if isinstance(nest, list) else "tuple": [arguments_to_json(value, arrays) for value in nest]}
    if keras.ops.is_tensor(nest) or isinstance(nest, keras.Variable | np.ndarray | np.generic):
        arrays.append(value_of(nest))
        return {"array": len(arrays) - 1}
    message = f"it takes a {type(nest).__name__}, which cannot be passed to another process"
    raise NotReplayable(message)


def value_of(tensor: Any) -> Observation:
    """The value of a tensor.

    Raises:
        Traced: if the tensor has no value.
    """
    try:
        return as_observation(tensor, where="a layer")
    except Exception as error:
        # Each backend, and each of its tracers, raises its own exceptions for this.
        raise Traced from error


def arguments_from_json(nest: Mapping[str, Any], tensors: Sequence[Any]) -> Any:
    """The arguments that `arguments_to_json` wrote, with `tensors` in place of the arrays."""
    ((container, content),) = nest.items()
    if container == "array":
        return tensors[content]
    if container == "dict":
        return {name: arguments_from_json(value, tensors) for name, value in content.items()}
    if container in ("list", "tuple"):
        items = [arguments_from_json(value, tensors) for value in content]
        return items if container == "list" else tuple(items)
    return content


def as_tensor(observation: Observation) -> Any:
    """A tensor with the recorded value and dtype. Text stays a NumPy array where the backend has no text tensors."""
    if observation.is_text:
        texts = observation.value.astype(str)
        return keras.ops.convert_to_tensor(texts) if keras.backend.backend() == "tensorflow" else texts
    return keras.ops.convert_to_tensor(observation.value, dtype=observation.dtype)
