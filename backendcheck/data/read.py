"""The data that readers return, the options that they get, and checks that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from backendcheck.errors import UnreadableInput, UsageError, install_command
from backendcheck.text.words import some_of

ClassNames = Sequence[str] | Mapping[str, Sequence[str]]

#: What people call splits, in folders and in names of arrays.
SPLITS: Mapping[str, str] = MappingProxyType({
    "train": "training", "training": "training", "val": "validation", "valid": "validation", "validation": "validation",
    "dev": "validation", "test": "test", "testing": "test",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Data:
    """N examples.

    Attributes:
        x: the inputs, (N, …), or a dict of such arrays by name, or None.
        y: the labels, (N, …), numbers or text; or a dict of such arrays by output, or None.
        sample_weight: the same for sample weights.
        class_names: the names of the classes in the order of their indices, or a dict of such lists by output.
        columns: the columns of a table that the inputs came from.
        source: where the data came from, for messages.
        notes: what a reader understood that the file does not say, such as decimal commas.
        unreadable: the files of inputs that cannot be read, each with the reason.
        splits: the validation and test data of the same file or directory, by ``validation`` and ``test``.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None
    class_names: ClassNames | None = None
    columns: tuple[str, ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, Data] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """The options of `read_data`.

    `as_found` is for checks that look for errors in data. Lengths may differ, and inputs may have any type or be missing. Images
    are only tried; a digest of its file stands for each image. With `class_names`, a column of a table is text if it holds these
    names. `split` is the part to read of what holds several: ``training``, ``validation`` or ``test``.
    """

    labels: Path | None = None
    label_columns: tuple[str, ...] = ()
    weight_column: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    image_shape: tuple[int | None, ...] | None = None
    examples: int | None = None
    as_found: bool = False
    class_names: ClassNames | None = None
    split: str = "training"


def are_class_names(texts: Sequence[str], class_names: Sequence[str]) -> bool:
    """Whether the texts of a column, which could be numbers, are class names: all of them, or those that start with 0."""
    names = set(class_names)
    padded = [text for text in texts if len(text) > 1 and text.startswith("0") and text.isdecimal()]
    return bool(names) and bool(texts) and (names.issuperset(filter(None, texts)) or any(text in names for text in padded))


def missing_extra(path: Path, package: str, extra: str) -> UsageError:
    """The error for a package that a reader needs and that is not installed."""
    remedy = f"Install with: {install_command(extra)}"
    return UsageError(f"{path}: {package} is needed to read this file, and is not installed. {remedy}")


def check_lengths(source: str, parts: Mapping[str, np.ndarray]) -> None:
    """Check that all arrays have the same number of examples, at least one.

    Raises:
        UnreadableInput: if they have not; `source` is where they came from.
    """
    known = ""
    for name, array in parts.items():
        if array.ndim == 0:
            message = f"{source}: {name} is a single value; expected an array of N examples."
            raise UnreadableInput(message)
        if not known:
            known = name
        elif len(array) != len(parts[known]):
            message = f"{source}: {name} has {len(array)} examples, {known} has {len(parts[known])}; expected the same number."
            raise UnreadableInput(message)
    if not known or not len(parts[known]):
        message = f"{source}: no examples; expected one or more."
        raise UnreadableInput(message)


def labels_as_indices(y: Any, class_names: ClassNames | None, *, source: str, remedy: str) -> Any:
    """Text labels as class indices, in the order of `class_names`. Other labels, and None, stay as they are.

    Raises:
        UsageError: without class names (the message ends with `remedy`), or if a label is not a class name.
    """
    if isinstance(y, Mapping):
        return {
            key: labels_as_indices(
                labels, class_names.get(key) if isinstance(class_names, Mapping) else class_names, source=source, remedy=remedy
            )
            for key, labels in y.items()
        }  # fmt: skip
    if not isinstance(y, np.ndarray) or y.dtype.kind not in "US":
        return y
    if not class_names or isinstance(class_names, Mapping):
        message = (
            f"{source}: text labels, such as {str(y.ravel()[0])!r}, without class names; expected a name for each column of the "
            f"model. {remedy}, in the order of the columns."
        )
        raise UsageError(message)
    return class_indices(y, class_names, source)


def class_indices(labels: np.ndarray, class_names: Sequence[str], source: str) -> np.ndarray:
    """Text labels as class indices, int64, in the shape of `labels`.

    Raises:
        UsageError: if a label is not in `class_names`, or a name occurs twice.
    """
    index = {name: number for number, name in enumerate(class_names)}
    if len(index) != len(class_names):
        twice = next(name for number, name in reversed([*enumerate(class_names)]) if index[name] != number)
        message = f"class names: {twice!r} occurs twice; expected each name once."
        raise UsageError(message)
    unknown = sorted({str(label) for label in labels.ravel().tolist()} - index.keys())
    if unknown:
        expected = some_of(list(map(repr, class_names)), 20)
        message = f"{source}: unknown labels {some_of(list(map(repr, unknown)), 5)}; expected one of {expected}."
        raise UsageError(message)
    return np.array([index[str(label)] for label in labels.ravel().tolist()], np.int64).reshape(labels.shape)
