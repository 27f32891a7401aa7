"""Smaller data: fewer examples, fewer classes, simpler numbers, fewer options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from backendcheck.nests import leaves, map_leaves
from backendcheck.repro.program import Program

_EXTRAS = ("metrics", "weighted_metrics", "loss_weights", "class_weight", "optimizer")


def fewer_options(program: Program) -> Iterator[Program]:
    """Without metrics, weights, optimizer, several epochs and batches: first all at once, then each of them."""
    code = {name: source for name, source in program.code.items() if name not in _EXTRAS}
    arrays = {name: nest for name, nest in program.arrays.items() if name != "sample_weight"}
    if len(code) + len(arrays) < len(program.code) + len(program.arrays) or program.epochs > 1 or program.batch_size:
        yield replace(program, code=code, arrays=arrays, epochs=1, batch_size=None)
    for name in _EXTRAS:
        if name in program.code:
            yield replace(program, code={key: source for key, source in program.code.items() if key != name})
    if "sample_weight" in program.arrays:
        yield replace(program, arrays=arrays)
    if program.epochs > 1:
        yield replace(program, epochs=1)
    if program.batch_size:
        yield replace(program, batch_size=None)


def fewer_examples(program: Program) -> Iterator[Program]:
    """Fewer examples: one, two, half of them, all but one."""
    n = program.n_examples
    if n is None or n < 2:  # noqa: PLR2004 - one example stays
        return
    kept: list[list[int]] = []
    if n > 4:  # noqa: PLR2004 - for fewer, single examples do as well
        kept += [list(range(n // 2)), list(range(n // 2, n)), list(range(2)), list(range(n - 2, n))]
    if n <= 12:  # noqa: PLR2004 - for more, one at a time takes too long
        kept += [[index] for index in reversed(range(n))]
    if n > 8:  # noqa: PLR2004
        quarters = np.array_split(np.arange(n), 4)
        kept += [[index for index in range(n) if index not in quarter] for quarter in quarters]
    if n <= 24:  # noqa: PLR2004
        kept += [[index for index in range(n) if index != left_out] for left_out in reversed(range(n))]
    for indices in kept:
        yield replace(program, arrays=map_leaves(partial(_rows, indices, n), program.arrays))


def _rows(indices: list[int], n: int, leaf: Any) -> np.ndarray:
    array = np.asarray(leaf)
    return array[indices] if array.ndim and len(array) == n else array


def fewer_classes(program: Program) -> Iterator[Program]:
    """Without one column of the predictions and of one-hot labels. Integer labels above it are moved down, or stay."""
    predictions, labels = program.arrays.get("y_pred"), program.arrays.get("y_true")
    if not isinstance(predictions, np.ndarray) or not isinstance(labels, np.ndarray) or predictions.ndim < 2:  # noqa: PLR2004
        return
    n_classes = predictions.shape[-1]
    weight = program.arrays.get("sample_weight")
    for column in reversed(range(n_classes if n_classes > 1 else 0)):
        def without_column(array: np.ndarray, column: int = column) -> np.ndarray:
            wide = array.ndim > 1 and array.shape[-1] == n_classes
            return np.delete(array, column, axis=-1) if wide else array

        arrays = {**program.arrays, "y_pred": without_column(predictions)}
        if isinstance(weight, np.ndarray):
            arrays["sample_weight"] = without_column(weight)
        if labels.shape == predictions.shape:
            yield replace(program, arrays={**arrays, "y_true": without_column(labels)})
        elif labels.dtype.kind in "iuf":
            moved = np.where(labels > column, labels - 1, labels).astype(labels.dtype)
            yield replace(program, arrays={**arrays, "y_true": moved})
            yield replace(program, arrays={**arrays, "y_true": labels})


def simpler_numbers(program: Program) -> Iterator[Program]:
    """Zeros, ones or fewer digits in a whole array; then zeros for single numbers of small arrays."""
    for name, nest in program.arrays.items():
        for simpler in (_zeros, _ones, partial(_rounded, 0), partial(_rounded, 1), partial(_rounded, 2)):
            changed = map_leaves(partial(_if_number, simpler), nest)
            if _is_shorter(changed, nest):
                yield replace(program, arrays={**program.arrays, name: changed})
    for name, array in program.arrays.items():
        if isinstance(array, np.ndarray) and array.dtype.kind in "fiu" and 1 < array.size <= 16:  # noqa: PLR2004 - few enough to try each
            for index in np.ndindex(array.shape):
                if array[index] != 0:
                    changed = array.copy()
                    changed[index] = 0
                    yield replace(program, arrays={**program.arrays, name: changed})


def _if_number(function: Callable[[np.ndarray], np.ndarray], leaf: Any) -> np.ndarray:
    array = np.asarray(leaf)
    return function(array) if array.dtype.kind in "fiu" else array


def _zeros(array: np.ndarray) -> np.ndarray:
    return np.zeros_like(array)


def _ones(array: np.ndarray) -> np.ndarray:
    return np.ones_like(array) if np.any(array) else array


def _rounded(digits: int, array: np.ndarray) -> np.ndarray:
    return np.round(array, digits) if array.dtype.kind == "f" else array


def _is_shorter(changed: Any, nest: Any) -> bool:
    """Whether a change shortens the source; without this rule changes could go back and forth."""
    before, after = ([repr(np.asarray(leaf).tolist()) for _, leaf in leaves(each)] for each in (nest, changed))
    return (sum(map(len, after)), after) < (sum(map(len, before)), before)
