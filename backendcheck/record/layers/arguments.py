"""The arguments of a call as arrays and a nest in JSON, to be written to a recording, and back again on another backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from backendcheck.record.observe.arrays import observed
from backendcheck.vocabulary.observations import Observation


class NotReplayable(Exception):
    """An argument is neither an array nor a plain value, so that another process cannot be given it."""


class Traced(Exception):
    """The arguments have no values: the call is being traced, in a loop, a map or a compiled function."""


def taken_apart(nest: Any, arrays: list[Observation]) -> Any:
    """`nest` in JSON, ``{"array": 0}`` in place of each array, which is appended to `arrays`.

    Raises:
        NotReplayable: naming the type that cannot be written.
        Traced: if an array has no value.
    """
    if nest is None or isinstance(nest, bool | int | float | str):
        return {"value": nest}
    if isinstance(nest, Mapping):
        return {"dict": {str(key): taken_apart(value, arrays) for key, value in nest.items()}}
    if isinstance(nest, list | tuple):
        return {"list" if isinstance(nest, list) else "tuple": [taken_apart(value, arrays) for value in nest]}
    if keras.ops.is_tensor(nest) or isinstance(nest, keras.Variable | np.ndarray | np.generic):
        arrays.append(value_of(nest))
        return {"array": len(arrays) - 1}
    message = f"it takes a {type(nest).__name__}, which cannot be handed to another process"
    raise NotReplayable(message)


def value_of(tensor: Any) -> Observation:
    """The value of a tensor.

    Raises:
        Traced: if it has none.
    """
    try:
        return observed(tensor, where="a layer")
    except Exception as error:
        # Each backend has classes of its own for this, and so has each of its tracers.
        raise Traced from error


def put_together(nest: Mapping[str, Any], tensors: Sequence[Any]) -> Any:
    """The nest that `taken_apart` took apart, with `tensors` in place of its arrays."""
    ((kind, content),) = nest.items()
    if kind == "array":
        return tensors[content]
    if kind == "dict":
        return {name: put_together(value, tensors) for name, value in content.items()}
    if kind in ("list", "tuple"):
        made = [put_together(value, tensors) for value in content]
        return made if kind == "list" else tuple(made)
    return content


def as_tensor(seen: Observation) -> Any:
    """A tensor of this backend with the recorded value and dtype; text stays an array where the backend has no such tensors."""
    if seen.is_text:
        texts = seen.value.astype(str)
        return keras.ops.convert_to_tensor(texts) if keras.backend.backend() == "tensorflow" else texts
    return keras.ops.convert_to_tensor(seen.value, dtype=seen.dtype)
