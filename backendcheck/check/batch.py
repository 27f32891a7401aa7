"""The batch that every backend is fed: examples spread evenly over the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backendcheck.check.case_source import as_array, is_rectangle
from backendcheck.data.datasets import draw_batches, kind_of_dataset
from backendcheck.errors import UsageError


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Batch:
    """Inputs, labels and weights of the same `n` examples: arrays, or dicts or lists of them. They are some of `n_of`."""

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


def drawn(x: Any, y: Any, sample_weight: Any) -> tuple[Batch, int | None]:
    """What `model.fit` takes, arrays or a data set, as a batch of all examples, with the batch size of the data set.

    Raises:
        UsageError: if the data set cannot be drawn into arrays, or labels or weights are given beside one.
    """
    if not kind_of_dataset(x):
        return Batch(x=x, y=y, sample_weight=sample_weight), None
    batches = draw_batches(x, {"y": y, "sample_weight": sample_weight})
    return Batch(x=batches.x, y=batches.y, sample_weight=batches.sample_weight), batches.batch_size or None


def sampled(batch: Batch, examples: int | None) -> Batch:
    """`examples` of the batch in their order, evenly spread, so that sorted labels are all there; all of them for None.

    Raises:
        UsageError: if there are none, or x, y and weights are not of as many examples.
    """
    if examples is not None and (isinstance(examples, bool) or examples < 1):
        message = f"examples={examples!r}: expected a whole number, 1 or more, or None for all."
        raise UsageError(message)
    parts = {name: _arrays(name, getattr(batch, name)) for name in ("x", "y", "sample_weight")}
    counted = [(name, len(leaf)) for part, nest in parts.items() for name, leaf in _leaves(part, nest) if leaf.ndim]
    if not counted or not counted[0][1]:
        message = "x: holds no examples; expected an array of N of them, N of 1 or more."
        raise UsageError(message)
    (first, n), *others = counted
    for name, other in others:
        if other != n:
            message = f"{name}: has {other} examples, {first} has {n}; expected as many of each."
            raise UsageError(message)
    if examples is None or examples >= n:
        return Batch(**parts, n=n, n_of=n)
    chosen = np.unique(np.linspace(0, n - 1, examples).round().astype(np.int64))
    taken = {name: _mapped(lambda leaf: leaf[chosen] if leaf.ndim else leaf, nest) for name, nest in parts.items()}
    return Batch(**taken, n=len(chosen), n_of=n)


def _arrays(name: str, nest: Any) -> Any:
    if nest is None:
        return None
    if isinstance(nest, Mapping):
        return {key: _arrays(f"{name}[{key!r}]", one) for key, one in nest.items()}
    if isinstance(nest, list | tuple) and not is_rectangle(nest):
        return [_arrays(f"{name}[{number}]", one) for number, one in enumerate(nest)]
    return as_array(name, nest)


def _leaves(name: str, nest: Any) -> list[tuple[str, np.ndarray]]:
    if nest is None:
        return []
    if isinstance(nest, Mapping):
        return [leaf for key, one in nest.items() for leaf in _leaves(f"{name}[{key!r}]", one)]
    if isinstance(nest, list):
        return [leaf for number, one in enumerate(nest) for leaf in _leaves(f"{name}[{number}]", one)]
    return [(name, nest)]


def _mapped(function: Any, nest: Any) -> Any:
    if nest is None:
        return None
    if isinstance(nest, Mapping):
        return {key: _mapped(function, one) for key, one in nest.items()}
    if isinstance(nest, list):
        return [_mapped(function, one) for one in nest]
    return function(nest)
