"""Labels as the user has them (lists, tables, tensors, text) as arrays and as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backendcheck.errors import UsageError
from backendcheck.nests import is_no_mapping, named_leaves
from backendcheck.text.escape import decoded
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


def numbers_of(raw: np.ndarray, class_names: Sequence[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels as int64 or float64, in the shape of `raw`, and the text labels that are not class names, each once.

    A text label becomes the index of its class name, or -1 if it is not a class name. The numbers are None if labels are neither
    numbers nor text with class names.
    """
    dtype_kind = raw.dtype.kind
    if dtype_kind == "O":
        flat = raw.ravel().tolist()
        if flat and all(isinstance(value, str | bytes) for value in flat):
            return _indices_by_name([decoded(value) for value in flat], raw.shape, class_names)
        if not all(isinstance(value, int | float | np.number | np.bool_ | None) for value in flat):
            return None, ()
        try:
            return np.array([np.nan if value is None else float(value) for value in flat], np.float64).reshape(raw.shape), ()
        except (OverflowError, TypeError, ValueError):
            return None, ()
    if dtype_kind in "US":
        return _indices_by_name([decoded(value) for value in raw.ravel().tolist()], raw.shape, class_names)
    if dtype_kind == "c":
        return raw.real.astype(np.float64), ()
    if dtype_kind == "V" and raw.dtype.names is None and str(raw.dtype).startswith("bfloat"):
        return raw.astype(np.float64), ()
    if dtype_kind in "mMV":
        return None, ()
    if dtype_kind == "f":
        with np.errstate(all="ignore"):
            return raw.astype(np.float64), ()
    if dtype_kind == "u" and raw.dtype.itemsize == 8 and raw.size and int(raw.max()) > np.iinfo(np.int64).max:  # noqa: PLR2004 - bytes
        return raw.astype(np.float64), ()
    return raw.astype(np.int64), ()


def _indices_by_name(
    texts: list[str], shape: tuple[int, ...], class_names: Sequence[str]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    if not class_names:
        return None, ()
    index: dict[str, int] = {}
    for number, name in enumerate(class_names):
        index.setdefault(name, number)
    unknown = tuple(sorted({text for text in texts if text not in index}))
    return np.array([index.get(text, -1) for text in texts], np.int64).reshape(shape), unknown
