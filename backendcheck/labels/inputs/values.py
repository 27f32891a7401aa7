"""The values in an array: which ones, how often, where, and how a message writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backendcheck.text.words import some_of

MOST_NAMED = 5  # indices, values and names in a message or in the evidence
_LONGEST = 2.0**64  # floats up to here are written as integers if they are whole
_LOWEST, _HIGHEST = -(2**15), 2**16  # integers between them are counted, others are sorted, which takes longer


def value_counts(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The finite values in `numbers`, ascending, and how often each occurs."""
    values = numbers.ravel()
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if values.size and values.min() >= _LOWEST and values.max() < _HIGHEST:
        whole = values.astype(np.int64)
        if values.dtype.kind != "f" or bool(np.all(whole == values)):
            lowest = int(whole.min())
            counts = np.bincount(whole - lowest)
            occurring = np.flatnonzero(counts)
            return (occurring + lowest).astype(values.dtype), counts[occurring]
    return np.unique(values, return_counts=True)


def first_indices(mask: np.ndarray) -> list[int] | list[list[int]]:
    """The indices of the first few True: integers for a `mask` of one axis, lists of integers for others."""
    if mask.ndim == 1:
        return [int(index) for index in np.flatnonzero(mask)[:MOST_NAMED]]
    flat = np.flatnonzero(mask.ravel())[:MOST_NAMED]
    return [[int(part) for part in np.unravel_index(index, mask.shape)] for index in flat]


def values_text(values: Sequence[Any] | np.ndarray, counts: Sequence[int] | np.ndarray | None = None) -> str:
    """The first few values, with how often each occurs: ``-1 (12 times), 255 and 3 more``."""
    texts = [number_text(value) for value in values[:MOST_NAMED]]
    if counts is not None:
        texts = [text if n == 1 else f"{text} ({n} times)" for text, n in zip(texts, counts, strict=False)]
    n_more = len(values) - len(texts)
    return some_of(texts, MOST_NAMED) + (f" and {n_more} more" if n_more else "")


def number_text(value: Any) -> str:
    """A number without needless decimals: 3 for 3.0. An integer has all its digits, also beyond those of a float64."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(int(value))
    number = float(value)
    if number.is_integer() and abs(number) < _LONGEST:
        return str(int(number))
    return f"{number:g}"


def names_text(names: Sequence[str]) -> str:
    """The first few names in quotes: ``'cat', 'dog' and 3 more``."""
    return some_of([repr(str(name)) for name in names], MOST_NAMED)
