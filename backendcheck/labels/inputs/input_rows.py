"""Digests of the inputs of each example, to find equal examples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backendcheck.nests import named_leaves

WIDE = 32  # examples of so many numbers are not equal by chance


def input_arrays(x: Any) -> dict[str, np.ndarray]:
    """The arrays that inputs consist of, by name or position. A list of arrays is several inputs, a list of numbers is one."""
    return {name: np.asarray(array) for name, array in named_leaves(x, is_leaf=_is_input).items() if array is not None}


def _is_input(x: Any) -> bool:
    if isinstance(x, list | tuple):
        return not x or not all(hasattr(array, "shape") and len(array.shape) for array in x)
    return not isinstance(x, Mapping)


def width_of(arrays: Mapping[str, np.ndarray]) -> int:
    """How many values each example has."""
    return sum(int(np.prod(array.shape[1:])) for array in arrays.values())


def digests(arrays: Mapping[str, np.ndarray], dtypes: Mapping[str, np.dtype[Any]]) -> list[bytes]:
    """A digest for each example, equal for equal values; b"" for a wide example whose values are all equal (blank)."""
    if not arrays:
        return []
    n = min(len(array) for array in arrays.values())
    hashes = [hashlib.blake2b(digest_size=16) for _ in range(n)]
    blank = np.ones(n, bool)
    for name, array in sorted(arrays.items()):
        rows = _plain(array[:n], dtypes.get(name))
        if width_of(arrays) < WIDE or rows.dtype.kind not in "fiub":
            blank[:] = False
        elif rows.shape[1]:
            blank &= np.all(rows == rows[:, :1], axis=1)
        for row_hash, row in zip(hashes, rows, strict=True):
            row_hash.update(row.tobytes())
    return [b"" if empty else row_hash.digest() for row_hash, empty in zip(hashes, blank, strict=True)]


def common_dtypes(several: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.dtype[Any]]:
    """The dtypes in which to compare arrays that have different dtypes in different splits, by name: float32 or float64.

    float32 if any split has it (or a narrower float), so that a float32 file and a float64 file can have the same example.
    """
    dtypes: dict[str, np.dtype[Any]] = {}
    for name in {name for arrays in several for name in arrays}:
        types = {arrays[name].dtype for arrays in several if name in arrays}
        if len(types) > 1 and all(dtype.kind in "fiub" for dtype in types):
            narrow = any(dtype.kind == "f" and dtype.itemsize <= 4 for dtype in types)  # noqa: PLR2004 - bytes of a float32
            dtypes[name] = np.dtype(np.float32 if narrow else np.float64)
    return dtypes


def _plain(array: np.ndarray, dtype: np.dtype[Any] | None) -> np.ndarray:
    """(n, values), with 0.0 for -0.0 and a single NaN."""
    rows = array.reshape(len(array), int(np.prod(array.shape[1:])))
    if rows.dtype.kind in "OV":
        rows = rows.astype(str)
    if dtype is not None:
        with np.errstate(all="ignore"):
            rows = rows.astype(dtype)
    if rows.dtype.kind == "f":
        rows = np.where(np.isnan(rows), np.array(np.nan, rows.dtype), rows + np.array(0, rows.dtype))
    if rows.dtype.kind == "U":
        rows = np.char.encode(rows, "utf-8", "surrogatepass").astype("S") if rows.size else rows
    return np.ascontiguousarray(rows)
