"""The calls of operations whose results backends are known to leave open: ordering, casts, indices, narrow integers.

Diagnoses read them to say in which operation a value begins to differ, and for which inputs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras.src import ops as internal_ops

from backendcheck.record.observe.arrays import as_observation
from backendcheck.recordings.operation_calls import OperationCall
from backendcheck.vocabulary.observations import Observation

_NAMES = (
    "argmax", "argmin", "argsort", "sort", "top_k", "in_top_k", "searchsorted", "digitize", "bincount", "histogram", "quantile",
    "unique", "one_hot", "cast", "saturate_cast", "convert_to_tensor", "take", "take_along_axis", "segment_max", "segment_min",
    "round", "floor_divide", "mod", "add", "subtract", "multiply", "square", "cumsum", "left_shift", "right_shift", "clip",
    "maximum", "minimum", "equal", "not_equal", "greater", "greater_equal", "less", "less_equal", "ctc_decode",
)  # fmt: skip
_OF_IMAGES = ("affine_transform", "map_coordinates")
_MOST_CALLS = 200
_MOST_ELEMENTS = 4096  # of an array; a call with a larger one is not noted
_calls: list[OperationCall] | None = None
_is_inside = False


@contextmanager
def operations_noted(calls: list[OperationCall]) -> Iterator[None]:
    """A context in which calls of these operations are added to `calls`, in the order in which they return."""
    global _calls  # noqa: PLW0603 - the wrappers are made once, and note where the context says
    if _calls is not None:
        yield
        return
    _calls = calls
    undo = []
    try:
        for owner, name in _places():
            original = getattr(owner, name)
            undo.append((owner, name, original))
            setattr(owner, name, _noting(name, original))
        yield
    finally:
        for owner, name, original in undo:
            setattr(owner, name, original)
        _calls = None


def _places() -> Iterator[tuple[Any, str]]:
    for owner in (keras.ops, internal_ops):
        yield from ((owner, name) for name in _NAMES if hasattr(owner, name))
    image = getattr(keras.ops, "image", None)
    yield from ((image, name) for name in _OF_IMAGES if hasattr(image, name))


@functools.cache
def _noting(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def noting(*args: Any, **kwargs: Any) -> Any:
        global _is_inside  # noqa: PLW0603 - an operation that calls another one is one call
        if _calls is None or _is_inside or len(_calls) >= _MOST_CALLS:
            return original(*args, **kwargs)
        _is_inside = True
        try:
            before = _arguments(original, args, kwargs)  # before the call, which may write into them
            result = original(*args, **kwargs)
            if before is not None and (results := _results(result)) is not None:
                _calls.append(OperationCall(name=name, inputs=before[0], options=before[1], results=results))
        finally:
            _is_inside = False
        return result

    noting.autograph_info__ = {}  # type: ignore[attr-defined]  # tf.function calls it as it is
    return noting


def _arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[dict[str, Observation], dict[str, Any]] | None:
    """The arrays and the other arguments by name; None if one of them has no values, or too many."""
    try:
        bound = _signature(function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return None
    inputs: dict[str, Observation] = {}
    options: dict[str, Any] = {}
    for name, value in bound.items():
        if _is_plain(value):
            options[name] = value
        elif (array := _observed(value)) is not None:
            inputs[name] = array
        elif name == "dtype":
            options[name] = keras.backend.standardize_dtype(value)
        else:
            return None
    return inputs, options


@functools.cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def _results(result: Any) -> dict[str, Observation] | None:
    parts = list(result) if isinstance(result, list | tuple) else [result]
    arrays = [_observed(part) for part in parts]
    return {str(place): array for place, array in enumerate(arrays) if array is not None} if all(
        array is not None for array in arrays
    ) else None


def _observed(value: Any) -> Observation | None:
    """The values of an array; None for anything else, for a tensor that has none while it is traced, and for a large one."""
    try:
        size = int(np.prod(value.shape))
        if size > _MOST_ELEMENTS:
            return None
        observation = as_observation(value, where="operation")
    except Exception:  # noqa: BLE001 - each backend raises an exception of its own for this
        return None
    return None if observation.is_text else replace(observation, value=observation.value.copy())
