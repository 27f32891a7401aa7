"""Data sets in, arrays out: a Keras PyDataset, a tf.data pipeline or a torch DataLoader, as `model.fit` takes them.

No library is imported: the library of a data set is loaded already.
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

_MOST_BATCHES = 1000  # a longer data set counts as infinite
_PARTS = 3  # x, y, sample_weight


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batches:
    """All examples of a data set in their order.

    Attributes:
        x: the inputs, (N, …), or a dict or tuple of such arrays.
        y: the labels in the same form, or None.
        sample_weight: the sample weights in the same form, or None.
        batch_size: the size of every batch except a smaller last one; 0 if sizes differ otherwise.
        repeats: whether the data set gave the same batches a second time.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None
    batch_size: int = 0
    repeats: bool = True


def type_of_dataset(x: Any) -> str:
    """What kind of data set `x` is: ``PyDataset``, ``tf.data``, ``DataLoader``, ``generator``; empty for arrays."""
    if inspect.isgenerator(x):
        return "generator"
    classes = (("keras", "utils.PyDataset", "PyDataset"), ("tensorflow", "data.Dataset", "tf.data"),
               ("torch", "utils.data.DataLoader", "DataLoader"))  # fmt: skip
    for module, path, dataset_type in classes:
        known: Any = sys.modules.get(module)
        for name in path.split("."):
            known = getattr(known, name, None)
        if isinstance(known, type) and isinstance(x, known):
            return dataset_type
    return ""


def draw_batches(dataset: Any, beside: Mapping[str, Any]) -> Batches:
    """Read all batches of a data set into arrays, twice, to see whether it repeats.

    Args:
        dataset: the data set.
        beside: other arguments that the caller got, such as ``{"y": y}``. They must be None, because the data set has its own.

    Raises:
        UsageError: if `beside` has a value, if the data set is infinite, empty or a generator, or if its batches do not fit
            together.
    """
    for name, value in beside.items():
        if value is not None:
            dataset_type = type_of_dataset(dataset)
            message = f"{name}: given beside a data set ({dataset_type}); expected it inside the data set. Leave {name} out."
            raise UsageError(message)
    first, second = ([_parts(batch, number) for number, batch in enumerate(_batches(dataset))] for _ in range(2))
    if not first:
        message = "x: empty data set; expected one batch or more."
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
    dataset_type = type_of_dataset(dataset)
    if dataset_type == "generator":
        message = "x: a generator can be read only once; expected a data set that can be read again. Make it a PyDataset."
        raise UsageError(message)
    if dataset_type == "PyDataset":
        try:
            n_batches = dataset.num_batches
        except NotImplementedError:  # the class defines neither num_batches nor __len__
            n_batches = None
        if n_batches is None or n_batches == float("inf"):
            raise UsageError(_endless("the PyDataset", "Define its length"))
        for number in range(int(n_batches)):
            yield dataset[number]
        dataset.on_epoch_end()  # as `fit` does after each epoch; some data sets shuffle then
        return
    if dataset_type == "tf.data" and int(dataset.cardinality()) == -1:  # tf.data.INFINITE_CARDINALITY
        raise UsageError(_endless("the tf.data pipeline", "Limit it with .take(n)"))
    for number, batch in enumerate(dataset):
        if number == _MOST_BATCHES:
            raise UsageError(_endless(f"the data set (after {number} batches)", "Limit it"))
        yield batch


def _endless(what: str, remedy: str) -> str:
    return f"x: {what} is infinite; expected at most {_MOST_BATCHES} batches. {remedy}."


def _parts(batch: Any, number: int) -> tuple[Any, ...]:
    """A batch as x, y and sample_weight, or None where it has none. Lists become tuples, as Keras reads them."""
    parts = tuple(batch) if isinstance(batch, list | tuple) else (batch,)
    if not 1 <= len(parts) <= _PARTS:
        message = f"x: batch {number} of the data set has {len(parts)} parts; expected (x,), (x, y) or (x, y, sample_weight)."
        raise UsageError(message)
    x, y, sample_weight = (*parts, None, None)[:_PARTS]
    return tuple(map_leaves(lambda tensor: _array(tensor, number), with_tuples(part)) for part in (x, y, sample_weight))


def _array(tensor: Any, number: int) -> np.ndarray:
    name = type(tensor).__name__
    if "Ragged" in name:
        remedy = "Pad it to one length with .to_tensor(shape=…) or keras.utils.pad_sequences"
    elif "Sparse" in name or getattr(tensor, "is_sparse", False):
        remedy = "Make it dense"
    elif getattr(tensor, "is_nested", False):
        remedy = "Pad it to one length"
    else:
        if hasattr(tensor, "detach"):
            tensor = tensor.detach().cpu()
            tensor = tensor.float() if "bfloat16" in str(tensor.dtype) else tensor
        return np.asarray(tensor)
    message = f"x: batch {number} of the data set holds a {name}; expected an array with one shape for all examples. {remedy}."
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
                f"x: in batch {number} of the data set, {path} has {n} examples and {other_path} {m}; expected the same number."
            )
            raise UsageError(message)
    return counted[0][1]


def _same(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    left_leaves, right_leaves = _named(left), _named(right)
    return left_leaves.keys() == right_leaves.keys() and all(
        np.array_equal(leaf, right_leaves[path], equal_nan=leaf.dtype.kind == "f") for path, leaf in left_leaves.items()
    )
