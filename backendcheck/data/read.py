"""What data is, once it is read, and what was asked of the reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.errors import UnreadableInput, UsageError

ClassNames = Sequence[str] | Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Data:
    """N examples: `x`, `y` and `sample_weight` are arrays whose first axis is N, or dicts of them by name, or None.

    Labels may be text where the source has names for classes. `class_names` names the classes in order, or by output. `columns`
    are the columns that the inputs came from, `source` says for messages where all this is from.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None
    class_names: ClassNames | None = None
    columns: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What `read_data` was asked for.

    `as_found` is for those who look for what is wrong: lengths may differ and inputs may be of any type, or none; pictures are
    not decoded, a digest of its file stands for each.
    """

    labels: Path | None = None
    label_columns: tuple[str, ...] = ()
    weight_column: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    image_shape: tuple[int | None, ...] | None = None
    examples: int | None = None
    as_found: bool = False


def missing_extra(path: Path, package: str, extra: str) -> UsageError:
    """A reader that is not installed."""
    remedy = f"Install with: pip install 'backendcheck[{extra}]'"
    return UsageError(f"{path}: {package} reads this, and is not installed here. {remedy}")


def check_lengths(source: str, parts: Mapping[str, np.ndarray]) -> None:
    """See that all arrays hold the same number of examples, and some.

    Raises:
        UnreadableInput: naming the first two that do not.
    """
    known = ""
    for name, array in parts.items():
        if array.ndim == 0:
            message = f"{source}: {name} is a single number; expected an array of N examples."
            raise UnreadableInput(message)
        if not known:
            known = name
        elif len(array) != len(parts[known]):
            message = f"{source}: {name} has {len(array)} examples, {known} has {len(parts[known])}; expected as many of each."
            raise UnreadableInput(message)
    if not known or not len(parts[known]):
        message = f"{source}: holds no examples; expected one or more."
        raise UnreadableInput(message)


def labels_as_indices(y: Any, class_names: ClassNames | None, *, source: str, remedy: str) -> Any:
    """Labels that are text as the indices of their classes, in the order of `class_names`; others, and None, as they are.

    Raises:
        UsageError: if nothing names the classes, with `remedy`, or a label is none of them.
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
            f"{source}: the labels are text, such as {str(y.ravel()[0])!r}, and nothing says which of them is which column of "
            f"the model. {remedy}, in the order of the columns."
        )
        raise UsageError(message)
    return class_indices(y, class_names, source)


def class_indices(labels: np.ndarray, class_names: Sequence[str], source: str) -> np.ndarray:
    """Text labels as the indices of their classes, int64 of the shape of `labels`.

    Raises:
        UsageError: if a label is none of `class_names`, or a name is there twice.
    """
    index = {name: number for number, name in enumerate(class_names)}
    if len(index) != len(class_names):
        twice = next(name for name in class_names if list(class_names).count(name) > 1)
        message = f"class names: {twice!r} is there twice; expected each name once."
        raise UsageError(message)
    unknown = sorted({str(label) for label in labels.ravel().tolist()} - index.keys())
    if unknown:
        some = ", ".join(map(repr, unknown[:5])) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")  # noqa: PLR2004
        message = f"{source}: labels {some} are no class; expected one of {', '.join(map(repr, list(class_names)[:20]))}."
        raise UsageError(message)
    return np.array([index[str(label)] for label in labels.ravel().tolist()], np.int64).reshape(labels.shape)
