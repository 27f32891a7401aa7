"""Batches drawn from what `model.fit` takes in place of arrays: a Keras PyDataset, a tf.data pipeline, a torch DataLoader.

Nothing is imported for it: an object of one of these classes has its library loaded already.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from backendcheck.errors import UsageError
from backendcheck.nests import leaves, map_leaves, with_brackets, with_tuples

_MOST_BATCHES = 1000  # of a pipeline that does not say where it ends
_PARTS = 3  # x, y, sample_weight


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batches:
    """All examples of a data set in their order: arrays of N, or dicts and tuples of them.

    `batch_size` is that of every batch but a smaller last one, 0 if they are of several sizes. `repeats` says whether the data
    set gave the same batches a second time.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None
    batch_size: int = 0
    repeats: bool = True


def kind_of_dataset(x: Any) -> str:
    """What kind of data set `x` is: ``PyDataset``, ``tf.data``, ``DataLoader``, ``generator``; empty for arrays."""
    if inspect.isgenerator(x):
        return "generator"
    classes = (("keras", "utils.PyDataset", "PyDataset"), ("tensorflow", "data.Dataset", "tf.data"),
               ("torch", "utils.data.DataLoader", "DataLoader"))  # fmt: skip
    for module, path, kind in classes:
        known: Any = sys.modules.get(module)
        for name in path.split("."):
            known = getattr(known, name, None)
        if isinstance(known, type) and isinstance(x, known):
            return kind
    return ""


def draw_batches(dataset: Any, beside: Mapping[str, Any]) -> Batches:
    """All batches of a data set as arrays, drawn twice to see whether they are the same.

    `beside` is what was given together with the data set, which should be nothing.

    Raises:
        UsageError: if something is given that the data set brings along, if it is infinite, empty or a generator, or its batches
            do not make up one array.
    """
    for name, value in beside.items():
        if value is not None:
            kind = kind_of_dataset(dataset)
            message = f"{name} is given beside a data set; expected the data set ({kind}) to bring it along."
            raise UsageError(message)
    first, second = ([_parts(batch, number) for number, batch in enumerate(_batches(dataset))] for _ in range(2))
    if not first:
        message = "x: the data set is empty; expected one batch or more."
        raise UsageError(message)
    for number, batch in enumerate(first):
        _check_alike(first[0], batch, number)
    sizes = [_size(batch, number) for number, batch in enumerate(first)]
    even = all(size == sizes[0] for size in sizes[:-1]) and sizes[-1] <= sizes[0]
    repeats = len(first) == len(second) and all(map(_same, first, second))
    x, y, sample_weight = (
        map_leaves(lambda *arrays: np.concatenate(arrays), *(batch[place] for batch in first)) for place in range(_PARTS)
    )
    return Batches(x=x, y=y, sample_weight=sample_weight, batch_size=sizes[0] if even else 0, repeats=repeats)


def _batches(dataset: Any) -> Iterator[Any]:
    kind = kind_of_dataset(dataset)
    if kind == "generator":
        message = "x: is a generator, which can be read once; expected what can be read again and again. Make it a PyDataset."
        raise UsageError(message)
    if kind == "PyDataset":
        try:
            n_batches = dataset.num_batches
        except NotImplementedError:  # neither that nor __len__ is written
            n_batches = None
        if n_batches is None or n_batches == float("inf"):
            raise UsageError(_endless("the PyDataset", "Give it a length"))
        for number in range(int(n_batches)):
            yield dataset[number]
        dataset.on_epoch_end()  # as `fit` says after each epoch: some shuffle then
        return
    if kind == "tf.data" and int(dataset.cardinality()) == -1:  # tf.data.INFINITE_CARDINALITY
        raise UsageError(_endless("the tf.data pipeline", "Take some of it, with .take(n)"))
    for number, batch in enumerate(dataset):
        if number == _MOST_BATCHES:
            raise UsageError(_endless(f"the data set (after {number} batches)", "Take some of it"))
        yield batch


def _endless(what: str, remedy: str) -> str:
    return f"x: {what} has no end; expected a finite one, of {_MOST_BATCHES} batches at most. {remedy}."


def _parts(batch: Any, number: int) -> tuple[Any, ...]:
    """A batch as x, y and sample_weight, None where it has none: as Keras reads it, a list is a tuple."""
    parts = tuple(batch) if isinstance(batch, list | tuple) else (batch,)
    if not 1 <= len(parts) <= _PARTS:
        message = f"x: batch {number} of the data set has {len(parts)} parts; expected (x,), (x, y) or (x, y, sample_weight)."
        raise UsageError(message)
    x, y, sample_weight = (*parts, None, None)[:_PARTS]
    return tuple(map_leaves(lambda tensor: _array(tensor, number), with_tuples(part)) for part in (x, y, sample_weight))


def _array(tensor: Any, number: int) -> np.ndarray:
    kind = type(tensor).__name__
    if "Ragged" in kind:
        remedy = "Pad it to one length, with .to_tensor(shape=…) or keras.utils.pad_sequences"
    elif "Sparse" in kind or getattr(tensor, "is_sparse", False):
        remedy = "Make it dense"
    elif getattr(tensor, "is_nested", False):
        remedy = "Pad it to one length"
    else:
        if hasattr(tensor, "detach"):
            tensor = tensor.detach().cpu()
            tensor = tensor.float() if "bfloat16" in str(tensor.dtype) else tensor
        return np.asarray(tensor)
    message = f"x: batch {number} of the data set holds a {kind}; expected an array, the same shape for each example. {remedy}."
    raise UsageError(message)


def _named(batch: tuple[Any, ...]) -> dict[str, np.ndarray]:
    names = ("x", "y", "sample_weight")
    return {
        with_brackets(name, path): leaf
        for name, part in zip(names, batch, strict=True)
        for path, leaf in leaves(part)
        if leaf is not None
    }


def _check_alike(first: tuple[Any, ...], batch: tuple[Any, ...], number: int) -> None:
    expected, got = _named(first), _named(batch)
    if expected.keys() != got.keys():
        message = f"x: batch {number} of the data set holds {', '.join(got)}; expected {', '.join(expected)}, as in batch 0."
        raise UsageError(message)
    for path, leaf in got.items():
        if leaf.ndim == 0 or expected[path].ndim == 0:
            message = f"x: {path} of batch {number} is a single value; expected an array of examples. Batch the data set."
            raise UsageError(message)
        if leaf.shape[1:] != expected[path].shape[1:] or leaf.dtype != expected[path].dtype:
            got_text = f"examples of shape {leaf.shape[1:]} and {leaf.dtype}"
            expected_text = f"{expected[path].shape[1:]} and {expected[path].dtype}, as in batch 0"
            message = f"x: {path} of batch {number} has {got_text}; expected {expected_text}. Pad every batch to one length."
            raise UsageError(message)


def _size(batch: tuple[Any, ...], number: int) -> int:
    counted = [(path, len(leaf)) for path, leaf in _named(batch).items()]
    for (path, n), (other_path, m) in pairwise(counted):
        if n != m:
            message = (
                f"x: in batch {number} of the data set, {path} has {n} examples and {other_path} {m}; expected as many of each."
            )
            raise UsageError(message)
    return counted[0][1]


def _same(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    left_leaves, right_leaves = _named(left), _named(right)
    return left_leaves.keys() == right_leaves.keys() and all(
        np.array_equal(leaf, right_leaves[path], equal_nan=leaf.dtype.kind == "f") for path, leaf in left_leaves.items()
    )
