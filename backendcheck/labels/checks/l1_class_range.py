"""L103, L104, L105: class indices that are too small or too large, that start at 1, or that have gaps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.labels.checks.l1_sentinels import is_sentinel
from backendcheck.labels.contract.finding import TRAINING, LabelFinding, Severity
from backendcheck.labels.inputs.output_labels import OutputLabels
from backendcheck.labels.inputs.values import MOST_NAMED, first_indices, number_text, value_counts, values_text
from backendcheck.text.words import counted

_MOST_VALUES = 20  # values in the evidence


def find_in_class_range(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L103 and L104 if the number of classes is known, or else L103, L104 and L105 as far as the labels alone show them."""
    numbers = labels.numbers
    if numbers is None:
        return
    ignored = labels.option("ignore_class")
    values, counts = value_counts(numbers)
    if ignored is not None:
        values, counts = values[values != ignored], counts[values != ignored]
    if not len(values) or labels.units == 1:  # L404 and L405 are about a single unit
        return
    classes = values[[not is_sentinel(value, labels) for value in values.tolist()]]
    if labels.columns is None:
        yield from _without_known_classes(labels, values, counts, classes)
    else:
        yield from _with_known_classes(labels, numbers, values, counts, classes)


def _with_known_classes(
    labels: OutputLabels, numbers: np.ndarray, values: np.ndarray, counts: np.ndarray, classes: np.ndarray
) -> Iterator[LabelFinding]:
    n_classes = labels.columns or 0
    lowest, highest = (classes.min(), classes.max()) if len(classes) else (0, -1)
    starts_at_one = lowest == 1 and highest == n_classes and labels.split == TRAINING
    only_names_known = labels.split == TRAINING and not labels.units and bool(labels.class_names)
    if only_names_known and highest >= n_classes and lowest >= 0 and not starts_at_one:
        return  # more classes than names: L501
    if starts_at_one:
        n_last = int(counts[values == highest][0])
        yield labels.finding(
            "L104", "start at 1, not at 0",
            expected=f"0 … {n_classes - 1} for {labels.columns_source}, got 1 … {n_classes} "
            f"({n_classes} occurs {'once' if n_last == 1 else f'{n_last} times'} and has no column)",
            lowest=1, highest=int(highest), n_classes=n_classes, first=first_indices(numbers == highest),
        )  # fmt: skip
        bad = (values < 0) | (values > n_classes)
    else:
        bad = (values < 0) | (values >= n_classes)
    if bad.any():
        yield _out_of_range(labels, values[bad], counts[bad], f"0 … {n_classes - 1} for {labels.columns_source}")


def find_in_letters(labels: OutputLabels, units: int) -> Iterator[LabelFinding]:
    """L103 of CTC, where 0 is the blank. Labels below 0 may be padding, which is L102."""
    numbers = labels.numbers if labels.numbers is not None else np.empty(0)
    values, counts = value_counts(numbers)
    bad = values >= units
    if bad.any():
        yield _out_of_range(labels, values[bad], counts[bad], f"letters 1 … {units - 1} for {labels.columns_source}")


def find_wider_head(labels: OutputLabels, n_classes: int) -> LabelFinding:
    """L104 of labels 1 … C for a head of C + 1 units: the column of class 0 is never trained."""
    return labels.finding(
        "L104", f"are 1 … {n_classes - 1}; class 0 has no examples", severity=Severity.WARNING, variant="wider",
        expected=f"0 … {n_classes - 1} for {labels.columns_source}",
        remedy="If the labels are numbered from 1, subtract 1 and give the head one unit less.",
        lowest=1, highest=n_classes - 1, n_classes=n_classes,
    )  # fmt: skip


def _out_of_range(labels: OutputLabels, values: np.ndarray, counts: np.ndarray, expected: str) -> LabelFinding:
    numbers = labels.numbers if labels.numbers is not None else np.empty(0)
    n = int(counts.sum())
    is_missing = all(is_sentinel(value, labels) for value in values.tolist())
    return labels.finding(
        "L103", f"{n} of {numbers.size} {'is' if n == 1 else 'are'} outside the classes",
        expected=f"{expected}, got {values_text(values, counts)}", n=n,
        remedy="Correct the labels, or treat them as missing, as L102 says." if is_missing else "", of=int(numbers.size),
        first=first_indices(np.isin(numbers, values)),
        values={number_text(value): int(k) for value, k in zip(values[:_MOST_VALUES], counts, strict=False)},
    )  # fmt: skip


def _are_signs(values: np.ndarray) -> bool:
    """Whether all labels are -1 or 1, with or without 0."""
    return bool(len(values) > 1 and values.min() == -1 and values.max() == 1 and np.all(values == np.round(values)))


def _without_known_classes(
    labels: OutputLabels, values: np.ndarray, counts: np.ndarray, classes: np.ndarray
) -> Iterator[LabelFinding]:
    negative = values < 0
    if labels.loss is None and _are_signs(values):
        return  # labels for a hinge loss, or ratings; nothing declares them as class indices
    if negative.any():
        yield _out_of_range(labels, values[negative], counts[negative], "0 or more")
    if labels.split != TRAINING or len(classes) < 2 or classes[0] < 0 or not np.all(classes == np.floor(classes)):  # noqa: PLR2004
        return
    highest = int(classes[-1])
    n_missing = highest + 1 - len(classes)
    if classes[0] == 1 and n_missing == 1:
        yield labels.finding(
            "L104", f"are 1 … {highest}, without 0", expected=f"0 … {highest - 1}", severity=Severity.WARNING, variant="wider",
            remedy="Subtract 1: y - 1. If there is a class 0 without examples, pass n_classes.", lowest=1, highest=highest,
        )  # fmt: skip
    elif n_missing:
        missing = _first_missing({int(value) for value in classes}, highest)
        shown = ", ".join(map(str, missing)) + (f" and {n_missing - MOST_NAMED} more" if n_missing > MOST_NAMED else "")
        yield labels.finding(
            "L105", f"{shown} never {'occurs' if n_missing == 1 else 'occur'} among 0 … {highest}",
            expected=f"every index from 0 to {highest}, got {counted(len(classes), 'different label')}", n_missing=n_missing,
            missing=missing,
        )  # fmt: skip


def _first_missing(occurring: set[int], highest: int) -> list[int]:
    missing: list[int] = []
    for index in range(highest):
        if index not in occurring:
            missing.append(index)
        if len(missing) == MOST_NAMED:
            break
    return missing
