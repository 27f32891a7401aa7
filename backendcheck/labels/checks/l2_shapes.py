"""L2: dtype, length and shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from backendcheck.labels.checks.l1_values import is_one_hot_instead
from backendcheck.labels.contract.finding import LabelFinding
from backendcheck.labels.inputs.encoding import Encoding
from backendcheck.labels.inputs.output_labels import OutputLabels, make_finding
from backendcheck.text.words import counted

_MANTISSA = {"bfloat16": 8, "float16": 11, "float32": 24}  # bits of integers that a float holds exactly
_IN_COLUMNS = (Encoding.ONE_HOT, Encoding.BINARY, Encoding.SIGN, Encoding.NUMBER)


def find_in_lengths(parts: Mapping[str, np.ndarray], split_words: str, split: str) -> Iterator[LabelFinding]:
    """L202: `parts` are labels, inputs and weights by what they are called; each has to have as many examples as the first."""
    known = ""
    for name, array in parts.items():
        if array.ndim == 0:
            yield make_finding(
                "L202", f"{split_words}{name}", "are a single value", expected="an array of N examples, got shape ()",
                remedy="Put it into a list.", split=split, evidence={"shape": []},
            )  # fmt: skip
        elif not len(array):
            yield make_finding("L202", f"{split_words}{name}", "are empty", expected="one example or more, got none",
                               remedy="See whether the right file was read.", split=split, evidence={"n": 0})  # fmt: skip
        elif not known:
            known = name
        elif len(array) != len(parts[known]):
            lengths = {known: len(parts[known]), name: len(array)}
            yield make_finding(
                "L202", f"{split_words}{name}", f"are {len(array)}, {known} are {len(parts[known])}",
                kind="sample_weight" if "weights" in name else "labels",
                expected=f"{len(parts[known])} of both, got {abs(len(array) - len(parts[known]))} "
                f"{'more' if len(array) > len(parts[known]) else 'fewer'}", split=split, evidence={"lengths": lengths},
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
        yield from _of_own_loss(labels)


# --- dtype -----------------------------------------------------------------------------------------------------


def _dtype(labels: OutputLabels) -> Iterator[LabelFinding]:
    dtype = labels.given.dtype
    name = str(dtype)
    reason = ""
    if dtype.kind == "c":
        reason = "no label has an imaginary part, and casts drop it"
    elif dtype.kind in "mM":
        reason = "a point in time is no label"
    elif dtype.kind == "O" and labels.numbers is not None and not isinstance(labels.given.ravel()[0], str | bytes):
        reason = "these are Python objects, one by one, though all are numbers"
    elif dtype.kind == "V" and name not in _MANTISSA:
        reason = "its fields are no numbers"
    elif name == "uint64":
        reason = "no loss computes in it: it is cast to a type that cannot hold its upper half, or refused"
    if reason:
        dtype_text = "complex" if dtype.kind == "c" else name
        remedy = "Take the part that is meant: y.real." if dtype.kind == "c" else ""
        yield labels.finding(
            "L201", f"have dtype {dtype_text}: {reason}", expected="int32, int64 or float32", remedy=remedy, kind=name,
            dtype=name,
        )  # fmt: skip
        return
    n_classes = labels.columns
    if labels.encoding is not Encoding.INTEGER or not n_classes or n_classes < 2:  # noqa: PLR2004 - L404, L405
        return
    largest = 2 ** _MANTISSA[name] if name in _MANTISSA else int(np.iinfo(dtype).max) if dtype.kind in "iu" else None
    if largest is not None and n_classes - 1 > largest:
        yield labels.finding(
            "L201", f"have dtype {name}, which holds every integer up to {largest} only", expected=f"a type that holds class "
            f"{n_classes - 1}, the last one of {labels.told_by}", kind=name, dtype=name, largest=largest, n_classes=n_classes,
        )  # fmt: skip


# --- shape -----------------------------------------------------------------------------------------------------


def _shape_words(shape: tuple[int | None, ...]) -> str:
    return f"(N{''.join(f', {size}' if size is not None else ', any' for size in shape[1:])}{',' if len(shape) == 1 else ''})"


def _got(labels: OutputLabels) -> str:
    numbers = labels.numbers if labels.numbers is not None else labels.given
    return _shape_words((None, *numbers.shape[1:]))


def _output_shape(labels: OutputLabels) -> tuple[int | None, ...] | None:
    """The shape of the output with N first; None where its number of axes is not known."""
    if labels.head is None or labels.head.shape is None or len(labels.head.shape) < 2:  # noqa: PLR2004 - (N,): squeezed, nothing to say
        return None
    return (*labels.head.shape[:-1], labels.units or labels.head.shape[-1])


def _of_indices(labels: OutputLabels) -> Iterator[LabelFinding]:
    numbers = labels.numbers
    if numbers is None:
        return
    if is_one_hot_instead(labels) and (labels.columns is None or numbers.shape[-1] == labels.columns):
        takes = labels.loss.name if labels.loss is not None else "an integer loss"
        yield labels.finding(
            "L206", f"have the shape {_got(labels)}: rows over the classes",
            expected=f"class indices for {takes}, without the last axis", shape=list(numbers.shape),
        )  # fmt: skip
        return
    out = _output_shape(labels)
    if out is None:
        return
    expected_shape = out[:-1]
    shape = numbers.shape[:-1] if numbers.ndim == len(out) and numbers.shape[-1] == 1 else numbers.shape
    if len(shape) != len(expected_shape) or not _fits(shape, expected_shape):
        yield labels.finding(
            "L204", f"have the shape {_got(labels)}, the output {_shape_words(out)}",
            expected=f"{_shape_words(expected_shape)}, got {_got(labels)}", shape=list(numbers.shape), output_shape=[*out],
        )  # fmt: skip


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return all(
        expected_size is None or size == expected_size for size, expected_size in zip(shape[1:], expected[1:], strict=True)
    )


def _of_columns(labels: OutputLabels) -> Iterator[LabelFinding]:
    numbers, units = labels.numbers, labels.units
    if numbers is None:
        return
    out = _output_shape(labels)
    if out is None:
        yield from _of_columns_without_shape(labels)
        return
    rank, width = len(out), out[-1]
    if numbers.ndim == rank and _fits(numbers.shape, out):
        return
    squeezed = numbers.ndim == rank - 1 or (numbers.ndim == rank and numbers.shape[-1] == 1)
    middle = numbers.shape[:-1] if numbers.ndim == rank else numbers.shape
    if width == 1 and numbers.ndim == rank - 1 and _fits(middle, out[:-1]):
        yield from _of_own_loss(labels)
        return
    if squeezed and width != 1 and _fits(middle, out[:-1]):
        yield _narrow(labels, _shape_words(out))
        return
    if numbers.ndim == rank and numbers.shape[-1] != width and _fits(numbers.shape[:-1], out[:-1]):
        yield _other_width(labels, units or width or 0)
        return
    yield labels.finding(
        "L204", f"have the shape {_got(labels)}, the output {_shape_words(out)}",
        expected=f"{_shape_words(out)}, got {_got(labels)}",
        shape=list(numbers.shape), output_shape=[*out],
    )  # fmt: skip


def _of_columns_without_shape(labels: OutputLabels) -> Iterator[LabelFinding]:
    """How many columns there are may be known all the same, by the head or by what was said."""
    numbers = labels.numbers
    if numbers is None:
        return
    columns = labels.columns
    single = numbers.ndim == 1 or numbers.shape[-1] == 1
    if labels.encoding is Encoding.ONE_HOT and single:
        yield _narrow(labels, f"(N, {columns or 'C'})")
    elif labels.units and labels.units > 1 and single:
        yield _narrow(labels, f"(N, {labels.units})")
    elif columns == 1 and numbers.ndim > 2:  # noqa: PLR2004 - a number for each place, which Keras brings to (…, 1)
        return
    elif columns and not single and numbers.shape[-1] != columns:
        is_declared = not labels.class_names and labels.encoding in (Encoding.ONE_HOT, Encoding.BINARY)
        if labels.units or is_declared:  # against names it is L501
            yield _other_width(labels, columns)


def _narrow(labels: OutputLabels, output: str) -> LabelFinding:
    """One number for each example, where a row is wanted."""
    numbers = labels.numbers if labels.numbers is not None else labels.given
    evidence: dict[str, Any] = {"shape": list(numbers.shape), "units": labels.columns}
    if labels.encoding is Encoding.ONE_HOT:
        takes = labels.loss.name if labels.loss is not None else "a one-hot loss"
        return labels.finding(
            "L205", f"have the shape {_got(labels)}: one number for each example",
            kind="(N, 1)" if numbers.ndim > 1 else "(N,)", expected=f"one-hot rows {output} for {takes}, got class indices",
            remedy="" if labels.loss is None or "crossentropy" in labels.loss.name else "keras.utils.to_categorical(y, C).",
            **evidence,
        )  # fmt: skip
    return labels.finding(
        "L203", f"have the shape {_got(labels)}, the output {output}", expected=f"{output}, got one number for all columns",
        kind="N = C" if len(numbers) == labels.columns else "(N,) for (N, C)",
        **evidence,
    )  # fmt: skip


def _other_width(labels: OutputLabels, columns: int) -> LabelFinding:
    numbers = labels.numbers if labels.numbers is not None else labels.given
    return labels.finding(
        "L204", f"are {counted(int(numbers.shape[-1]), 'column')} wide", expected=f"{columns} for {labels.told_by}, got "
        f"{numbers.shape[-1]}", width=int(numbers.shape[-1]), units=columns,
    )  # fmt: skip


def _of_own_loss(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L203: Keras brings (N,) and (N, 1) together for its losses and for functions, not for a subclass of Loss."""
    numbers = labels.numbers
    out = _output_shape(labels)
    if numbers is None or out is None or labels.loss is None or not labels.loss.subclass:
        return
    if numbers.ndim == len(out) - 1 and out[-1] == 1:
        yield labels.finding(
            "L203", f"have the shape {_got(labels)}, the output {_shape_words(out)}, and {labels.loss.name} is a class of your "
            "own, which gets both as they are", expected=f"{_shape_words(out)}: their difference would be (N, N)",
            remedy="y.reshape(-1, 1).", kind="own class", shape=list(numbers.shape), output_shape=[*out],
        )  # fmt: skip
