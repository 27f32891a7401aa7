"""L106, L107, L111: classes without examples, constant columns, labels of a single class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.labels.checks.l1_class_range import find_wider_head
from backendcheck.labels.contract.finding import LabelFinding
from backendcheck.labels.inputs.class_counts import class_counts
from backendcheck.labels.inputs.encoding import Encoding
from backendcheck.labels.inputs.output_labels import OutputLabels
from backendcheck.labels.inputs.values import MOST_NAMED, names_text, number_text, value_counts
from backendcheck.text.words import counted, some_of

_MOST_INDICES = 20  # classes or columns in the evidence


def find_missing_classes(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L106 and L111; L104 if only class 0 is missing."""
    numbers = labels.numbers
    if (labels.encoding is Encoding.INTEGER and labels.is_one_hot_instead) or labels.is_integer_instead or numbers is None:
        return
    counts = class_counts(labels)
    if labels.encoding is Encoding.SIGN:
        counts = {int(value): 1 for value in value_counts(numbers)[0] if abs(value) < 2**53}
    if counts is None:
        return
    if labels.encoding is Encoding.BINARY and numbers.ndim > 1 and numbers.shape[-1] > 1:
        return  # L107 is about single columns
    is_one_class = len(counts) == 1 and (labels.encoding is Encoding.ONE_HOT or len(value_counts(numbers)[0]) == 1)
    if is_one_class and len(numbers) > 1:
        only = next(iter(counts))
        name = f" ({labels.class_names[only]})" if 0 <= only < len(labels.class_names) else ""
        yield labels.finding("L111", f"all are of class {only}{name}", expected="two classes or more, got one", label=only)
        return
    n_classes = labels.columns
    if labels.encoding in (Encoding.BINARY, Encoding.SIGN) or not n_classes or len(counts) < 2:  # noqa: PLR2004 - two classes
        return
    if 0 not in counts and n_classes in counts:
        return  # L104 of labels 1 … C
    missing = [index for index in range(n_classes) if index not in counts and index != labels.option("ignore_class")]
    if not missing:
        return
    if missing == [0] and labels.encoding is Encoding.INTEGER and labels.raw.dtype.kind not in "OUS":
        yield find_wider_head(labels, n_classes)
        return
    named = [labels.class_text(index) for index in missing]
    shown = names_text(named) if labels.class_names else some_of(named, MOST_NAMED)
    yield labels.finding(
        "L106", f"{shown} {'has' if len(missing) == 1 else 'have'} no examples",
        expected=f"examples of {counted(n_classes, 'class')}, got examples of {len(counts)}", missing=missing[:_MOST_INDICES],
        n_missing=len(missing), of=n_classes,
    )  # fmt: skip


def find_constant_columns(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L107."""
    numbers = labels.numbers
    if numbers is None or len(numbers) < 2 or labels.encoding not in (Encoding.BINARY, Encoding.NUMBER):  # noqa: PLR2004
        return
    if labels.encoding is Encoding.BINARY and (numbers.ndim == 1 or numbers.shape[-1] == 1):
        return  # L111
    if labels.encoding is Encoding.BINARY and numbers.ndim > 2 and numbers.shape[-1] != labels.columns:  # noqa: PLR2004 - (N, H, W)
        return  # the last axis is a place in an image, not a class
    columns = numbers.reshape(len(numbers), -1) if numbers.ndim <= 2 else numbers.reshape(-1, numbers.shape[-1])  # noqa: PLR2004
    constant = np.flatnonzero(np.all(columns == columns[:1], axis=0))
    if not len(constant):
        return
    shown = some_of([labels.class_text(index) for index in constant.tolist()], MOST_NAMED)
    problem = f"{len(constant)} of {columns.shape[1]} columns have one value in all examples ({shown})"
    if columns.shape[1] == 1:
        problem = "all have one value"
    elif len(constant) == 1:
        problem = f"column {shown} has one value in all examples"
    yield labels.finding(
        "L107", problem, expected=f"different values, got only {number_text(columns[0, constant[0]])}",
        columns=[int(index) for index in constant[:_MOST_INDICES]], n=len(constant), of=int(columns.shape[1]),
    )  # fmt: skip
