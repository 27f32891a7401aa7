"""L2: dtype, length and shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from backendcheck.data import Data
from backendcheck.labels.contract.finding import TRAINING, LabelFinding, Place
from backendcheck.labels.contract.rules import make_finding
from backendcheck.labels.inputs.encoding import Encoding
from backendcheck.labels.inputs.output_labels import OutputLabels
from backendcheck.text.words import counted, some_of

_MANTISSA = {"bfloat16": 8, "float16": 11, "float32": 24}  # all integers of so many bits are exact in this type
_MOST_NAMED, _MOST_FILES = 10, 100  # unreadable files in a message and in the evidence
_IN_COLUMNS = (Encoding.ONE_HOT, Encoding.BINARY, Encoding.SIGN, Encoding.NUMBER)


def find_in_lengths(parts: Mapping[str, np.ndarray], split: str) -> Iterator[LabelFinding]:
    """L202: each of `parts` (labels, inputs and weights, by name) has as many examples as the first, and at least one."""
    first, n = "", 0
    for name, array in parts.items():
        place = Place(where=name if split == TRAINING else f"{split} {name}", split=split)
        if array.ndim == 0:
            yield make_finding(
                "L202", place, "are a single value", expected="an array of N examples, got shape ()",
                remedy="Put it into a list.", evidence={"shape": []},
            )  # fmt: skip
        elif not len(array):
            yield make_finding(
                "L202", place, "are empty", expected="one example or more", remedy="Check that the right file was read.",
                evidence={"n": 0},
            )  # fmt: skip
        elif not array.size:
            yield make_finding(
                "L202", place, f"have the shape {array.shape}, without a value", expected="one value or more for each example",
                remedy="Check that the right file was read.", variant=None, evidence={"shape": list(array.shape)},
            )  # fmt: skip
        elif not first:
            first, n = name, len(array)
        elif len(array) != n:
            yield make_finding(
                "L202", place, f"have {counted(len(array), 'example')}, {first} have {n}", expected="the same number of both",
                variant="sample_weight" if "weights" in name else "labels", evidence={"lengths": {first: n, name: len(array)}},
            )  # fmt: skip


def find_unreadable(data: Data, split: str) -> Iterator[LabelFinding]:
    """L202: inputs in files that cannot be read, so that their labels have no input."""
    if data.unreadable:
        n, of = len(data.unreadable), len(data.y)
        reasons = some_of([f"{file}: {reason}" for file, reason in data.unreadable.items()], _MOST_NAMED)
        yield make_finding(
            "L202", Place(where="inputs" if split == TRAINING else f"{split} inputs", split=split),
            f"{n} of {of} cannot be read", expected=f"an input for each label, got {reasons}", variant=None,
            remedy="Remove these files, or save them again.",
            evidence={"n": n, "of": of, "files": list(data.unreadable)[:_MOST_FILES]},
        )  # fmt: skip


def find_in_shape(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L201, L203 to L206."""
    yield from _dtype(labels)
    if labels.numbers is None or not labels.numbers.ndim or not labels.numbers.size:
        return
    if labels.encoding is Encoding.INTEGER:
        yield from _of_indices(labels)
    elif labels.encoding in _IN_COLUMNS and not (labels.encoding is Encoding.ONE_HOT and labels.units == 1):  # L404 is about that
        yield from _of_columns(labels)
    elif labels.encoding is Encoding.UNKNOWN:
        yield from _for_custom_loss(labels)


# --- dtype -----------------------------------------------------------------------------------------------------


def _dtype(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L201."""
    dtype = labels.raw.dtype
    name = str(dtype)
    reason = ""
    if dtype.kind == "c":
        reason = "a cast to a real type drops the imaginary part"
    elif dtype.kind in "mM":
        reason = "no loss takes dates or durations"
    elif dtype.kind == "O" and labels.numbers is not None and not isinstance(labels.raw.ravel()[0], str | bytes):
        reason = "the numbers are single Python objects"
    elif dtype.kind == "V" and name not in _MANTISSA:
        reason = "no loss takes records with fields"
    elif name == "uint64":
        reason = "no loss computes in uint64; it is refused, or cast to a type that cannot hold its larger half"
    if reason:
        yield labels.finding(
            "L201", f"have dtype {'complex' if dtype.kind == 'c' else name}; {reason}", expected="int32, int64 or float32",
            remedy="Pass the real part: y.real." if dtype.kind == "c" else "", variant=name, dtype=name,
        )  # fmt: skip
        return
    n_classes = labels.columns
    if labels.encoding is not Encoding.INTEGER or not n_classes or n_classes < 2:  # noqa: PLR2004 - L404, L405
        return
    largest = 2 ** _MANTISSA[name] if name in _MANTISSA else int(np.iinfo(dtype).max) if dtype.kind in "iu" else None
    if largest is not None and n_classes - 1 > largest:
        yield labels.finding(
            "L201", f"have dtype {name}, which holds integers up to {largest}",
            expected=f"a type that holds class {n_classes - 1}, the last of {labels.columns_source}", variant=name, dtype=name,
            largest=largest, n_classes=n_classes,
        )  # fmt: skip


# --- shape -----------------------------------------------------------------------------------------------------


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return f"(N{''.join(f', {size}' if size is not None else ', any' for size in shape[1:])}{',' if len(shape) == 1 else ''})"


def _shape_of(labels: OutputLabels) -> str:
    numbers = labels.numbers if labels.numbers is not None else labels.raw
    return _shape_text((None, *numbers.shape[1:]))


def _output_shape(labels: OutputLabels) -> tuple[int | None, ...] | None:
    """The shape of the output, (N, …); None if its number of axes is not known."""
    if labels.head is None or labels.head.shape is None or len(labels.head.shape) < 2:  # noqa: PLR2004 - (N,) fits any labels
        return None
    return (*labels.head.shape[:-1], labels.units or labels.head.shape[-1])


def _of_indices(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L206 and L204 for labels that should be class indices."""
    numbers = labels.numbers
    if numbers is None:
        return
    if labels.is_one_hot_instead and (labels.columns is None or numbers.shape[-1] == labels.columns):
        yield labels.finding(
            "L206", f"have the shape {_shape_of(labels)}, a row for each example",
            expected=f"class indices for {labels.loss_name('an integer loss')}, without the last axis", shape=list(numbers.shape),
        )  # fmt: skip
        return
    output_shape = _output_shape(labels)
    if output_shape is None:
        return
    expected_shape = output_shape[:-1]
    shape = numbers.shape[:-1] if numbers.ndim == len(output_shape) and numbers.shape[-1] == 1 else numbers.shape
    if len(shape) != len(expected_shape) or not _fits(shape, expected_shape):
        yield labels.finding(
            "L204", f"have the shape {_shape_of(labels)}, the output has {_shape_text(output_shape)}",
            expected=_shape_text(expected_shape), shape=list(numbers.shape), output_shape=[*output_shape],
        )  # fmt: skip


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return all(columns is None or size == columns for size, columns in zip(shape[1:], expected[1:], strict=True))


def _of_columns(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L203, L204 and L205 for labels that should have a column for each column of the output."""
    numbers, units = labels.numbers, labels.units
    if numbers is None:
        return
    output_shape = _output_shape(labels)
    if output_shape is None:
        yield from _of_columns_without_shape(labels)
        return
    rank, width = len(output_shape), output_shape[-1]
    if numbers.ndim == rank and _fits(numbers.shape, output_shape):
        return
    squeezed = numbers.ndim == rank - 1 or (numbers.ndim == rank and numbers.shape[-1] == 1)
    middle = numbers.shape[:-1] if numbers.ndim == rank else numbers.shape
    if width == 1 and numbers.ndim == rank - 1 and _fits(middle, output_shape[:-1]):
        yield from _for_custom_loss(labels)
        return
    if squeezed and width != 1 and _fits(middle, output_shape[:-1]):
        yield _narrow(labels, _shape_text(output_shape))
        return
    if numbers.ndim == rank and numbers.shape[-1] != width and _fits(numbers.shape[:-1], output_shape[:-1]):
        yield _other_width(labels, units or width or 0)
        return
    yield labels.finding(
        "L204", f"have the shape {_shape_of(labels)}, the output has {_shape_text(output_shape)}",
        expected=_shape_text(output_shape), shape=list(numbers.shape), output_shape=[*output_shape],
    )  # fmt: skip


def _of_columns_without_shape(labels: OutputLabels) -> Iterator[LabelFinding]:
    """The same if only the number of columns is known, from the head or from what the caller declared."""
    numbers = labels.numbers
    if numbers is None:
        return
    columns = labels.columns
    single = numbers.ndim == 1 or numbers.shape[-1] == 1
    if labels.encoding is Encoding.ONE_HOT and single:
        yield _narrow(labels, f"(N, {columns or 'C'})")
    elif labels.units and labels.units > 1 and single:
        yield _narrow(labels, f"(N, {labels.units})")
    elif columns == 1 and numbers.ndim > 2:  # noqa: PLR2004 - a number for each position, which Keras reshapes to (…, 1)
        return
    elif columns and not single and numbers.shape[-1] != columns:
        is_declared = not labels.class_names and labels.encoding in (Encoding.ONE_HOT, Encoding.BINARY)
        if labels.units or is_declared:  # L501 compares labels with class names
            yield _other_width(labels, columns)


def _narrow(labels: OutputLabels, output_shape: str) -> LabelFinding:
    """L205 or L203: a single number for each example instead of a row of columns."""
    numbers = labels.numbers if labels.numbers is not None else labels.raw
    evidence: dict[str, Any] = {"shape": list(numbers.shape), "units": labels.columns}
    if labels.encoding is Encoding.ONE_HOT:
        return labels.finding(
            "L205", f"have the shape {_shape_of(labels)}, a single number for each example",
            variant="(N, 1)" if numbers.ndim > 1 else "(N,)",
            expected=f"one-hot rows {output_shape} for {labels.loss_name('a one-hot loss')}, got class indices",
            remedy="" if "crossentropy" in labels.loss_name("crossentropy") else "Encode them: keras.utils.to_categorical(y, C).",
            **evidence,
        )  # fmt: skip
    return labels.finding(
        "L203", f"have the shape {_shape_of(labels)}, the output has {output_shape}",
        expected=f"{output_shape}, got a single number for all columns",
        variant="N = C" if len(numbers) == labels.columns else "(N,) for (N, C)", **evidence,
    )  # fmt: skip


def _other_width(labels: OutputLabels, columns: int) -> LabelFinding:
    """L204: rows that are too long or too short."""
    numbers = labels.numbers if labels.numbers is not None else labels.raw
    width = int(numbers.shape[-1])
    return labels.finding(
        "L204", f"have {counted(width, 'column')}", expected=f"{columns} for {labels.columns_source}, got {width}", width=width,
        units=columns,
    )  # fmt: skip


def _for_custom_loss(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L203: for its own losses and for functions Keras reshapes (N,) and (N, 1) to match, but not for a subclass of Loss."""
    numbers = labels.numbers
    output_shape = _output_shape(labels)
    if numbers is None or output_shape is None or labels.loss is None or not labels.loss.subclass:
        return
    if numbers.ndim == len(output_shape) - 1 and output_shape[-1] == 1:
        yield labels.finding(
            "L203", f"have the shape {_shape_of(labels)}, the output has {_shape_text(output_shape)}; "
            f"Keras does not reshape them for the custom loss {labels.loss.name}",
            expected=f"{_shape_text(output_shape)}; otherwise their difference has the shape (N, N)",
            remedy="Reshape them: y.reshape(-1, 1).", variant="own class", shape=list(numbers.shape),
            output_shape=[*output_shape],
        )  # fmt: skip
