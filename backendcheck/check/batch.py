"""The batch that every backend gets: examples spread evenly over the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from backendcheck.check.case_source import as_array, is_rectangle
from backendcheck.data.datasets import draw_batches, type_of_dataset
from backendcheck.errors import UsageError
from backendcheck.nests import is_leaf, leaves, map_leaves, map_with_paths, with_brackets


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Batch:
    """Inputs, labels and weights of the same `n` examples: arrays, or dicts or lists of them. `n_of` examples were available."""

    x: Any
    y: Any = None
    sample_weight: Any = None
    n: int = 0
    n_of: int = 0

    @property
    def words(self) -> str:
        """How many examples these are, and whether they have labels."""
        counted = f"{self.n} examples" if self.n == self.n_of else f"{self.n} of {self.n_of} examples, evenly spread"
        return counted if self.y is not None else f"{counted}, without labels: predictions only"


def materialized(x: Any, y: Any, sample_weight: Any) -> tuple[Batch, int | None]:
    """The arguments of `model.fit`, arrays or a data set, as a batch of all examples, and the batch size of the data set.

    Raises:
        UsageError: if the data set cannot be read into arrays, or comes with separate labels or weights.
    """
    if not type_of_dataset(x):
        return Batch(x=x, y=y, sample_weight=sample_weight), None
    batches = draw_batches(x, {"y": y, "sample_weight": sample_weight})
    return Batch(x=batches.x, y=batches.y, sample_weight=batches.sample_weight), batches.batch_size or None


def sampled(batch: Batch, examples: int | None) -> Batch:
    """`examples` of the batch in their order, evenly spread so that sorted labels are all included; with None all of them.

    Raises:
        UsageError: without examples, or if x, y and weights differ in their number.
    """
    if examples is not None and (isinstance(examples, bool) or examples < 1):
        message = f"examples={examples!r}: expected a whole number, 1 or more, or None for all."
        raise UsageError(message)
    parts = {name: _as_arrays(name, getattr(batch, name)) for name in ("x", "y", "sample_weight")}
    n = _n_examples(parts)
    if examples is None or examples >= n:
        return Batch(**parts, n=n, n_of=n)
    indices = np.unique(np.linspace(0, n - 1, examples).round().astype(np.int64))
    samples = {name: map_leaves(lambda array: array[indices] if array.ndim else array, part) for name, part in parts.items()}
    return Batch(**samples, n=len(indices), n_of=n)


def _as_arrays(name: str, nest: Any) -> Any:
    return map_with_paths(lambda path, leaf: as_array(with_brackets(name, path), leaf), nest, is_leaf=_is_array)


def _is_array(nest: Any) -> bool:
    return is_leaf(nest) or (isinstance(nest, list | tuple) and is_rectangle(nest))


def _n_examples(parts: dict[str, Any]) -> int:
    """The number of examples that all arrays have in common."""
    lengths = [
        (with_brackets(name, path), len(array))
        for name, part in parts.items() for path, array in leaves(part) if array is not None and array.ndim
    ]  # fmt: skip
    if not lengths or not lengths[0][1]:
        message = "x: holds no examples; expected an array of N examples, N of 1 or more."
        raise UsageError(message)
    (first, n), *others = lengths
    for name, length in others:
        if length != n:
            message = f"{name}: has {length} examples, {first} has {n}; expected the same number."
            raise UsageError(message)
    return n
