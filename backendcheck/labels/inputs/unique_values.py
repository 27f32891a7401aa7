"""Which values an array holds, and how often, in a time that does not grow with sorting."""

from __future__ import annotations

import numpy as np

_LOWEST, _HIGHEST = -(2**15), 2**16  # between them integers are counted, beyond them sorted


def distinct(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The finite values in `numbers` in ascending order, and how many there are of each."""
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
