"""L1: what the labels are, number by number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.labels.checks.l1_sentinels import find_sentinels, is_sentinel
from backendcheck.labels.contract.finding import LabelFinding, Severity
from backendcheck.labels.inputs.class_counts import class_counts
from backendcheck.labels.inputs.encoding import Encoding
from backendcheck.labels.inputs.output_labels import (
    TRAINING,
    OutputLabels,
    first_places,
    names_in_words,
    plain,
    values_in_words,
)  # fmt: skip
from backendcheck.labels.inputs.unique_values import distinct
from backendcheck.text.words import counted

_PROBABILITIES = (Encoding.BINARY, Encoding.ONE_HOT)
_FEW = 2


def find_in_values(labels: OutputLabels) -> Iterator[LabelFinding]:
    """All rules of L1."""
    yield from _text(labels)
    yield from _not_finite(labels)
    if labels.numbers is None or not labels.numbers.size:
        return
    yield from find_sentinels(labels)
    if labels.encoding is Encoding.INTEGER and not is_one_hot_instead(labels):
        yield from _fractional(labels)
        yield from _range(labels)
    if labels.encoding is Encoding.LETTERS and labels.units:
        yield from _letters(labels, labels.units)
    if labels.encoding in _PROBABILITIES and not is_index_instead(labels):
        yield from _not_binary(labels)
    if labels.split == TRAINING:
        yield from _occurring(labels)
        yield from _constant(labels)


def is_one_hot_instead(labels: OutputLabels) -> bool:
    """Whether labels for an integer loss are rows over the classes: as wide as the head, and of its rank where that is known."""
    numbers = labels.numbers
    if numbers is None or numbers.ndim < 2 or numbers.shape[-1] < 2:  # noqa: PLR2004 - rows of two or more
        return False
    if labels.head is not None and labels.head.shape is not None:
        return numbers.ndim == len(labels.head.shape)
    if labels.columns is not None and numbers.shape[-1] != labels.columns:
        return False
    with np.errstate(all="ignore"):
        return bool(np.all((numbers >= 0) & (numbers <= 1)) and np.all(np.abs(numbers.sum(axis=-1) - 1) < 1e-3))  # noqa: PLR2004


def is_index_instead(labels: OutputLabels) -> bool:
    """Whether labels for a loss that takes rows are one number for each example: another rule's business."""
    numbers = labels.numbers
    if numbers is None or labels.encoding is not Encoding.ONE_HOT:
        return False
    if labels.head is not None and labels.head.shape is not None and labels.units != 1:
        return numbers.ndim < len(labels.head.shape) or numbers.shape[-1] == 1
    return numbers.ndim < 2 or numbers.shape[-1] == 1  # noqa: PLR2004 - rows


def _text(labels: OutputLabels) -> Iterator[LabelFinding]:
    if labels.numbers is not None or labels.given.dtype.kind not in "USO":
        return
    kind = "text" if labels.given.dtype.kind in "US" else "Python objects that are no numbers"
    example = str(labels.given.ravel()[0])[:40] if labels.given.size else ""
    yield labels.finding(
        "L110", f"are {kind}, such as {example!r}", expected=f"numbers, got dtype {labels.given.dtype}",
        kind="" if labels.given.dtype.kind in "US" else "objects", dtype=str(labels.given.dtype),
        examples=[str(value)[:80] for value in labels.given.ravel()[:3].tolist()],
    )  # fmt: skip


def _not_finite(labels: OutputLabels) -> Iterator[LabelFinding]:
    for noun, array in (("labels", labels.numbers), ("weights", labels.weights)):
        if array is None or array.dtype.kind != "f":
            continue
        bad = ~np.isfinite(array)
        n = int(bad.sum())
        if not n:
            continue
        n_nan = int(np.isnan(array).sum())
        got = ", ".join(f"{number} {name}" for number, name in ((n_nan, "NaN"), (n - n_nan, "Inf")) if number)
        rest = array[~bad]
        integers = noun == "labels" and rest.size and bool(np.all(rest == np.floor(rest)))
        meaning = (
            ": among integers that is a missing label" if n_nan and integers and labels.encoding is not Encoding.NUMBER else ""
        )
        where = labels.where if noun == "labels" else labels.where.replace("labels", "sample weights")
        yield labels.finding(
            "L101", f"{n} of {array.size} not finite{meaning}", expected=f"finite numbers, got {got}, first at "
            f"{first_places(bad)[0]}", where=where, kind="" if noun == "labels" else "sample_weight", n=n, of=int(array.size),
            first=first_places(bad),
        )  # fmt: skip


def _fractional(labels: OutputLabels) -> Iterator[LabelFinding]:
    numbers = labels.numbers
    if numbers is None or numbers.dtype.kind != "f":
        return
    bad = np.isfinite(numbers) & (numbers != np.floor(numbers))
    if not bad.any():
        return
    example = float(numbers[bad][0])
    yield labels.finding(
        "L108", f"{int(bad.sum())} of {numbers.size} with a fraction",
        expected=f"class indices, got {example:g}, which is cut down to "
        f"{int(example) if abs(example) < 2**63 else 'another number'}", n=int(bad.sum()), of=int(numbers.size),
        first=first_places(bad), values=[float(value) for value in np.unique(numbers[bad])[:5]],
    )  # fmt: skip


# --- the range of integers -------------------------------------------------------------------------------------


def _range(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L103 or L104 where it is known how many classes there are, or else L104 or L105."""
    numbers = labels.numbers
    if numbers is None:
        return
    ignored = labels.option("ignore_class")
    values, n_of = distinct(numbers)
    if ignored is not None:
        values, n_of = values[values != ignored], n_of[values != ignored]
    if not len(values) or labels.units == 1:  # L404 and L405 say what is wrong there
        return
    real = values[[not is_sentinel(value, labels) for value in values]]
    lowest, highest = (real.min(), real.max()) if len(real) else (0, -1)
    n_classes = labels.columns
    if n_classes is None:
        yield from _without_head(labels, values, n_of, real)
        return
    from_one = lowest == 1 and highest == n_classes and labels.split == TRAINING
    if (
        labels.split == TRAINING
        and not labels.units
        and labels.class_names
        and highest >= n_classes
        and lowest >= 0
        and not from_one
    ):
        return  # more classes than names: L501
    if from_one:
        yield labels.finding(
            "L104", f"are 1 … {n_classes}", expected=f"0 … {n_classes - 1} for {labels.told_by}, got {n_classes} "
            f"({counted(int(n_of[values == highest][0]), 'label')}), which names no column, and no 0",
            lowest=1, highest=int(highest), n_classes=n_classes, first=first_places(numbers == highest),
        )  # fmt: skip
        bad = (values < 0) | (values > n_classes)
    else:
        bad = (values < 0) | (values >= n_classes)
    if bad.any():
        yield _out_of_range(labels, values[bad], n_of[bad], f"0 … {n_classes - 1} for {labels.told_by}")


def _letters(labels: OutputLabels, units: int) -> Iterator[LabelFinding]:
    """L103 of CTC, whose 0 is the blank; what is below it may pad, which is L102."""
    numbers = labels.numbers if labels.numbers is not None else np.empty(0)
    values, n_of = distinct(numbers)
    bad = values >= units
    if bad.any():
        yield _out_of_range(labels, values[bad], n_of[bad], f"letters 1 … {units - 1} for {labels.told_by}")


def _out_of_range(labels: OutputLabels, values: np.ndarray, n_of: np.ndarray, expected: str) -> LabelFinding:
    numbers = labels.numbers if labels.numbers is not None else np.empty(0)
    place = np.isin(numbers, values)
    n = int(n_of.sum())
    return labels.finding(
        "L103", f"{n} of {numbers.size} outside the classes",
        expected=f"{expected}, got {values_in_words(values, n_of)}", n=n, of=int(numbers.size), first=first_places(place),
        values={plain(value): int(k) for value, k in zip(values[:20], n_of, strict=False)},
    )  # fmt: skip


def _is_sign(values: np.ndarray) -> bool:
    """Whether all labels are -1 or 1, with or without 0."""
    return bool(len(values) > 1 and values.min() == -1 and values.max() == 1 and np.all(values == np.round(values)))


def _without_head(labels: OutputLabels, values: np.ndarray, n_of: np.ndarray, real: np.ndarray) -> Iterator[LabelFinding]:
    negative = values < 0
    if labels.loss is None and _is_sign(values):
        return  # of a hinge, or for and against: nobody has said that these are indices
    if negative.any():
        yield _out_of_range(labels, values[negative], n_of[negative], "0 and more")
    if labels.split != TRAINING or len(real) < _FEW or real[0] < 0 or not np.all(real == np.floor(real)):
        return
    missing = int(real[-1]) + 1 - len(real)
    if real[0] == 1 and missing == 1:
        yield labels.finding(
            "L104", f"are 1 … {plain(real[-1])}, and never 0", expected=f"0 … {plain(real[-1] - 1)}, got no 0",
            severity=Severity.WARNING, kind="wider",
            remedy="Subtract 1, y - 1; or say n_classes, if there is a class 0 without examples.",
            lowest=1, highest=int(real[-1]),
        )  # fmt: skip
    elif missing:
        occurring = {int(value) for value in real}
        absent: list[int] = []
        for index in range(int(real[-1])):
            if index not in occurring:
                absent.append(index)
            if len(absent) > 5:  # noqa: PLR2004 - as many as are named
                break
        shown = ", ".join(map(str, absent[:5])) + (f" and {missing - 5} more" if missing > 5 else "")  # noqa: PLR2004
        yield labels.finding(
            "L105", f"{shown} never {'occurs' if missing == 1 else 'occur'} among 0 … {plain(real[-1])}",
            expected=f"classes without gaps, got {counted(len(real), 'different label')}", n_missing=missing, missing=absent[:5],
        )  # fmt: skip


# --- probabilities ---------------------------------------------------------------------------------------------


def _not_binary(labels: OutputLabels) -> Iterator[LabelFinding]:
    numbers = labels.numbers
    if numbers is None:
        return
    finite = np.isfinite(numbers)
    bad = finite & ((numbers < 0) | (numbers > 1))
    if bad.any():
        values, n_of = np.unique(numbers[bad], return_counts=True)
        whole = set(np.unique(numbers[finite]).tolist())
        remedy = ""
        if whole <= {-1.0, 1.0}:
            remedy = "(y + 1) / 2 makes them 0 and 1."
        elif whole <= {0.0, 255.0}:
            remedy = "y / 255 makes them 0 and 1."
        yield labels.finding(
            "L109", f"{int(bad.sum())} of {numbers.size} outside [0, 1]", kind=_beyond(values),
            expected=f"0 and 1 for {_loss_words(labels)}, got {values_in_words(values, n_of)}", remedy=remedy,
            n=int(bad.sum()), of=int(numbers.size), first=first_places(bad), values=[float(value) for value in values[:20]],
        )  # fmt: skip
    elif labels.encoding is Encoding.BINARY and numbers.dtype.kind == "f":
        soft = finite & (numbers != 0) & (numbers != 1)
        if soft.any():
            yield labels.finding(
                "L109", f"{int(soft.sum())} of {numbers.size} between 0 and 1: soft labels", severity=Severity.INFO, kind=None,
                remedy="The loss takes them; accuracy counts above 0.5 as yes only in predictions, so such labels never match.",
                n=int(soft.sum()), of=int(numbers.size), first=first_places(soft),
            )  # fmt: skip


def _beyond(values: np.ndarray) -> str:
    """The sort of values outside [0, 1]."""
    return "-1" if values[0] < 0 else "255" if 255 in values else "above one"  # noqa: PLR2004 - white, in an image


def _loss_words(labels: OutputLabels) -> str:
    return labels.loss.name if labels.loss is not None else f"a {labels.activation or 'one-hot'} head"


# --- what occurs -----------------------------------------------------------------------------------------------


def _occurring(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L106, L111."""
    if labels.encoding is Encoding.INTEGER and is_one_hot_instead(labels):
        return
    if labels.encoding is Encoding.ONE_HOT and is_index_instead(labels):
        return
    counts = class_counts(labels)
    if labels.encoding is Encoding.SIGN and labels.numbers is not None:
        counts = {int(value): 1 for value in distinct(labels.numbers)[0] if abs(value) < 2**53}
    if counts is None or labels.numbers is None:
        return
    several_columns = labels.encoding is Encoding.BINARY and labels.numbers.ndim > 1 and labels.numbers.shape[-1] > 1
    if several_columns:
        return  # L107 says it by column
    if (
        len(counts) == 1
        and len(labels.numbers) > 1
        and (labels.encoding is Encoding.ONE_HOT or len(distinct(labels.numbers)[0]) == 1)
    ):
        only = next(iter(counts))
        name = f" ({labels.class_names[only]})" if 0 <= only < len(labels.class_names) else ""
        yield labels.finding("L111", f"all are of class {only}{name}", expected="two classes or more, got one", label=only)
        return
    n_classes = labels.columns
    if labels.encoding in (Encoding.BINARY, Encoding.SIGN) or not n_classes or len(counts) < _FEW:
        return
    if 0 not in counts and n_classes in counts:
        return  # L104
    missing = [index for index in range(n_classes) if index not in counts and index != labels.option("ignore_class")]
    if not missing:
        return
    if missing == [0] and labels.encoding is Encoding.INTEGER and labels.given.dtype.kind not in "OUS":
        yield labels.finding(
            "L104", f"are 1 … {n_classes - 1}, and never 0", expected=f"0 … {n_classes - 1} for {labels.told_by}, got no 0",
            severity=Severity.WARNING, kind="wider",
            remedy="Are they numbered from 1? Then subtract 1, and give the head one unit less.",
            lowest=1, highest=n_classes - 1, n_classes=n_classes,
        )  # fmt: skip
        return
    named = [labels.class_names[index] if index < len(labels.class_names) else str(index) for index in missing]
    verb = "has" if len(missing) == 1 else "have"
    yield labels.finding(
        "L106",
        f"{names_in_words(named) if labels.class_names else ', '.join(named[:5]) + (' …' if len(named) > 5 else '')} "  # noqa: PLR2004
        f"{verb} no example", expected=f"examples of {counted(n_classes, 'class')}, got some of {len(counts)}",
        missing=missing[:20], n_missing=len(missing), of=n_classes,
    )  # fmt: skip


def _constant(labels: OutputLabels) -> Iterator[LabelFinding]:
    numbers = labels.numbers
    if numbers is None or len(numbers) < _FEW or labels.encoding not in (Encoding.BINARY, Encoding.NUMBER):
        return
    if labels.encoding is Encoding.BINARY and (numbers.ndim == 1 or numbers.shape[-1] == 1):
        return  # L111
    if labels.encoding is Encoding.BINARY and numbers.ndim > 2 and numbers.shape[-1] != labels.columns:  # noqa: PLR2004 - (N, H, W)
        return  # the last axis is one of places, not of questions
    columns = numbers.reshape(len(numbers), -1) if numbers.ndim <= 2 else numbers.reshape(-1, numbers.shape[-1])  # noqa: PLR2004
    same = np.flatnonzero(np.all(columns == columns[:1], axis=0))
    if not len(same):
        return
    named = [labels.class_names[index] if index < len(labels.class_names) else str(index) for index in same.tolist()]
    shown = ", ".join(named[:5]) + (" …" if len(named) > 5 else "")  # noqa: PLR2004 - as many as are named
    problem = f"{len(same)} of {columns.shape[1]} columns have one value in all examples ({shown})"
    if columns.shape[1] == 1:
        problem = "all have one value"
    elif len(same) == 1:
        problem = f"column {shown} has one value in all examples"
    yield labels.finding(
        "L107", problem, expected=f"values that differ, got {plain(columns[0, same[0]])}",
        columns=[int(index) for index in same[:20]], n=len(same), of=int(columns.shape[1]),
    )  # fmt: skip
