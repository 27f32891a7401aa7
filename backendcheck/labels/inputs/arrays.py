"""Labels as the user has them (lists, tables, tensors, text) as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backendcheck.errors import UsageError
from backendcheck.nests import is_no_mapping, named_leaves
from backendcheck.text.words import error_line


def arrays_by_output(y: Any, noun: str, outputs: Sequence[str]) -> dict[str, np.ndarray]:
    """Labels or sample weights by output.

    Args:
        y: a dict by output name, a list of arrays in the order of several `outputs`, or an array for a single output.
        noun: what `y` is, for messages: ``labels``.
        outputs: the names of the outputs; ``""`` for a single unnamed one.

    Raises:
        UsageError: if a value cannot become an array.
    """
    if isinstance(y, Mapping):
        return {name: as_array(value, f"{noun} of {name}") for name, value in named_leaves(y, is_leaf=is_no_mapping).items()}
    is_list = isinstance(y, list | tuple) and len(y) == len(outputs) > 1
    if is_list and any(_n_axes(value) for value in y):
        return {name: as_array(value, f"{noun} of {name}") for name, value in zip(outputs, y, strict=True)}
    return {outputs[0] if len(outputs) == 1 else "": as_array(y, noun)}


def _n_axes(value: Any) -> int:
    try:
        return np.asarray(value).ndim
    except (ValueError, TypeError):
        return 0


def as_array(value: Any, noun: str) -> np.ndarray:
    """A list, NumPy array, pandas or polars column, or tensor as an array. `noun` is what it is, for messages.

    Raises:
        UsageError: if it cannot become an array, for example if its rows have different lengths.
    """
    detached = value.detach().cpu() if hasattr(value, "detach") and hasattr(value, "cpu") else value
    try:
        array = np.asarray(detached)
    except Exception as error:
        message = f"{noun}: cannot become an array ({error_line(error)}). Give all rows the same length."
        raise UsageError(message) from error
    if array.ndim == 0 and array.dtype == object and value is not None:
        remedy = " Pass value.toarray()." if hasattr(value, "toarray") else ""
        message = f"{noun}: invalid value; expected an array of N examples, got {type(value).__name__}.{remedy}"
        raise UsageError(message)
    if type(array) is not np.ndarray:  # masked arrays and matrices compute differently
        array = np.array(array, copy=True, subok=False)
    return array
