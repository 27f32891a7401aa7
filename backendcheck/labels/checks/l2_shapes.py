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


def find_in_shape(one: OutputLabels) -> Iterator[LabelFinding]:
    """L201, L203 to L206."""
    yield from _dtype(one)
    if one.numbers is None or not one.numbers.ndim or not one.numbers.size:
        return
    if one.encoding is Encoding.INTEGER:
        yield from _of_indices(one)
    elif one.encoding in _IN_COLUMNS and not (one.encoding is Encoding.ONE_HOT and one.units == 1):  # L404 is about that
        yield from _of_columns(one)
    elif one.encoding is Encoding.UNKNOWN:
        yield from _of_own_loss(one)


# --- dtype -----------------------------------------------------------------------------------------------------


def _dtype(one: OutputLabels) -> Iterator[LabelFinding]:
    dtype = one.given.dtype
    name = str(dtype)
    reason = ""
    if dtype.kind == "c":
        reason = "no label has an imaginary part, and casts drop it"
    elif dtype.kind in "mM":
        reason = "a point in time is no label"
    elif dtype.kind == "O" and one.numbers is not None and not isinstance(one.given.ravel()[0], str | bytes):
        reason = "these are Python objects, one by one, though all are numbers"
    elif dtype.kind == "V" and name not in _MANTISSA:
        reason = "its fields are no numbers"
    elif name == "uint64":
        reason = "no loss computes in it: it is cast to a type that cannot hold its upper half, or refused"
    if reason:
        wanted = "complex" if dtype.kind == "c" else name
        remedy = "Take the part that is meant: y.real." if dtype.kind == "c" else ""
        yield one.finding(
            "L201", f"have dtype {wanted}: {reason}", expected="int32, int64 or float32", remedy=remedy, kind=name,
            dtype=name,
        )  # fmt: skip
        return
    n_classes = one.columns
    if one.encoding is not Encoding.INTEGER or not n_classes or n_classes < 2:  # noqa: PLR2004 - L404, L405
        return
    largest = 2 ** _MANTISSA[name] if name in _MANTISSA else int(np.iinfo(dtype).max) if dtype.kind in "iu" else None
    if largest is not None and n_classes - 1 > largest:
        yield one.finding(
            "L201", f"have dtype {name}, which holds every integer up to {largest} only", expected=f"a type that holds class "
            f"{n_classes - 1}, the last one of {one.told_by}", kind=name, dtype=name, largest=largest, n_classes=n_classes,
        )  # fmt: skip


# --- shape -----------------------------------------------------------------------------------------------------


def _shape_words(shape: tuple[int | None, ...]) -> str:
    return f"(N{''.join(f', {size}' if size is not None else ', any' for size in shape[1:])}{',' if len(shape) == 1 else ''})"


def _got(one: OutputLabels) -> str:
    numbers = one.numbers if one.numbers is not None else one.given
    return _shape_words((None, *numbers.shape[1:]))


def _output_shape(one: OutputLabels) -> tuple[int | None, ...] | None:
    """The shape of the output with N first; None where its number of axes is not known."""
    if one.head is None or one.head.shape is None or len(one.head.shape) < 2:  # noqa: PLR2004 - (N,): squeezed, nothing to say
        return None
    return (*one.head.shape[:-1], one.units or one.head.shape[-1])


def _of_indices(one: OutputLabels) -> Iterator[LabelFinding]:
    numbers = one.numbers
    if numbers is None:
        return
    if is_one_hot_instead(one) and (one.columns is None or numbers.shape[-1] == one.columns):
        takes = one.loss.name if one.loss is not None else "an integer loss"
        yield one.finding(
            "L206", f"have the shape {_got(one)}: rows over the classes",
            expected=f"class indices for {takes}, without the last axis", shape=list(numbers.shape),
        )  # fmt: skip
        return
    out = _output_shape(one)
    if out is None:
        return
    wanted = out[:-1]
    shape = numbers.shape[:-1] if numbers.ndim == len(out) and numbers.shape[-1] == 1 else numbers.shape
    if len(shape) != len(wanted) or not _fits(shape, wanted):
        yield one.finding(
            "L204", f"have the shape {_got(one)}, the output {_shape_words(out)}",
            expected=f"{_shape_words(wanted)}, got {_got(one)}", shape=list(numbers.shape), output_shape=[*out],
        )  # fmt: skip


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return all(two is None or here == two for here, two in zip(shape[1:], wanted[1:], strict=True))


def _of_columns(one: OutputLabels) -> Iterator[LabelFinding]:
    numbers, units = one.numbers, one.units
    if numbers is None:
        return
    out = _output_shape(one)
    if out is None:
        yield from _of_columns_without_shape(one)
        return
    rank, width = len(out), out[-1]
    if numbers.ndim == rank and _fits(numbers.shape, out):
        return
    squeezed = numbers.ndim == rank - 1 or (numbers.ndim == rank and numbers.shape[-1] == 1)
    middle = numbers.shape[:-1] if numbers.ndim == rank else numbers.shape
    if width == 1 and numbers.ndim == rank - 1 and _fits(middle, out[:-1]):
        yield from _of_own_loss(one)
        return
    if squeezed and width != 1 and _fits(middle, out[:-1]):
        yield _narrow(one, _shape_words(out))
        return
    if numbers.ndim == rank and numbers.shape[-1] != width and _fits(numbers.shape[:-1], out[:-1]):
        yield _other_width(one, units or width or 0)
        return
    yield one.finding(
        "L204", f"have the shape {_got(one)}, the output {_shape_words(out)}", expected=f"{_shape_words(out)}, got {_got(one)}",
        shape=list(numbers.shape), output_shape=[*out],
    )  # fmt: skip


def _of_columns_without_shape(one: OutputLabels) -> Iterator[LabelFinding]:
    """How many columns there are may be known all the same, by the head or by what was said."""
    numbers = one.numbers
    if numbers is None:
        return
    columns = one.columns
    single = numbers.ndim == 1 or numbers.shape[-1] == 1
    if one.encoding is Encoding.ONE_HOT and single:
        yield _narrow(one, f"(N, {columns or 'C'})")
    elif one.units and one.units > 1 and single:
        yield _narrow(one, f"(N, {one.units})")
    elif columns == 1 and numbers.ndim > 2:  # noqa: PLR2004 - a number for each place, which Keras brings to (…, 1)
        return
    elif columns and not single and numbers.shape[-1] != columns:
        said = not one.class_names and one.encoding in (Encoding.ONE_HOT, Encoding.BINARY)
        if one.units or said:  # against names it is L501
            yield _other_width(one, columns)


def _narrow(one: OutputLabels, output: str) -> LabelFinding:
    """One number for each example, where a row is wanted."""
    numbers = one.numbers if one.numbers is not None else one.given
    evidence: dict[str, Any] = {"shape": list(numbers.shape), "units": one.columns}
    if one.encoding is Encoding.ONE_HOT:
        takes = one.loss.name if one.loss is not None else "a one-hot loss"
        return one.finding(
            "L205", f"have the shape {_got(one)}: one number for each example",
            kind="(N, 1)" if numbers.ndim > 1 else "(N,)", expected=f"one-hot rows {output} for {takes}, got class indices",
            remedy="" if one.loss is None or "crossentropy" in one.loss.name else "keras.utils.to_categorical(y, C).",
            **evidence,
        )  # fmt: skip
    return one.finding(
        "L203", f"have the shape {_got(one)}, the output {output}", expected=f"{output}, got one number for all columns",
        kind="N = C" if len(numbers) == one.columns else "(N,) for (N, C)",
        **evidence,
    )  # fmt: skip


def _other_width(one: OutputLabels, columns: int) -> LabelFinding:
    numbers = one.numbers if one.numbers is not None else one.given
    return one.finding(
        "L204", f"are {counted(int(numbers.shape[-1]), 'column')} wide", expected=f"{columns} for {one.told_by}, got "
        f"{numbers.shape[-1]}", width=int(numbers.shape[-1]), units=columns,
    )  # fmt: skip


def _of_own_loss(one: OutputLabels) -> Iterator[LabelFinding]:
    """L203: Keras brings (N,) and (N, 1) together for its losses and for functions, not for a subclass of Loss."""
    numbers = one.numbers
    out = _output_shape(one)
    if numbers is None or out is None or one.loss is None or not one.loss.subclass:
        return
    if numbers.ndim == len(out) - 1 and out[-1] == 1:
        yield one.finding(
            "L203", f"have the shape {_got(one)}, the output {_shape_words(out)}, and {one.loss.name} is a class of your "
            "own, which gets both as they are", expected=f"{_shape_words(out)}: their difference would be (N, N)",
            remedy="y.reshape(-1, 1).", kind="own class", shape=list(numbers.shape), output_shape=[*out],
        )  # fmt: skip
