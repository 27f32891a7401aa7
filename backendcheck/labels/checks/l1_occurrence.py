"""L106, L107, L111: classes without examples, constant columns, labels of a single class."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from backendcheck.labels.checks.l1_class_range import find_wider_head
from backendcheck.labels.checks.l1_sentinels import is_sentinel
from backendcheck.labels.checks.l3_one_hot_rows import is_multi_hot
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
    if labels.encoding is Encoding.ONE_HOT and is_multi_hot(labels):
        return  # L401
    has_one_value = len(counts) == 1 and not labels.unknown_names
    is_one_class = has_one_value and (labels.encoding is Encoding.ONE_HOT or len(value_counts(numbers)[0]) == 1)
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
    if labels.unknown_names or _has_invalid(labels):
        return  # L103, L108 or L505: examples of a missing class may be among the labels that are wrong
    n_classes = min(n_classes, labels.n_classes or n_classes, len(labels.class_names) or n_classes)  # of more, L405 and L501
    ignored = labels.option("ignore_class")
    without = (index for index in range(n_classes) if index not in counts and index != ignored)
    missing = list(islice(without, _MOST_INDICES))  # the cost goes with the labels, not with the width of the head
    n_missing = n_classes - sum(index < n_classes for index in counts)
    n_missing -= isinstance(ignored, int) and 0 <= ignored < n_classes and ignored not in counts
    if not missing:
        return
    if missing == [0] and labels.encoding is Encoding.INTEGER and not labels.by_name:
        yield find_wider_head(labels, n_classes)
        return
    named = [labels.class_text(index) for index in missing]
    shown = names_text(named[:MOST_NAMED]) if labels.class_names else some_of(named[:MOST_NAMED], MOST_NAMED)
    if n_missing > MOST_NAMED:
        shown += f" and {n_missing - MOST_NAMED} more"
    yield labels.finding(
        "L106", f"{shown} {'has' if n_missing == 1 else 'have'} no examples",
        expected=f"examples of {counted(n_classes, 'class')}, got examples of {len(counts)}", missing=missing,
        n_missing=n_missing, of=n_classes,
    )  # fmt: skip


def _has_invalid(labels: OutputLabels) -> bool:
    """Whether class indices are wrong, and not only missing: outside the classes (L103), or with a fraction (L108)."""
    numbers = labels.numbers
    if labels.encoding is not Encoding.INTEGER or numbers is None:
        return False
    n_classes, ignored = labels.columns, labels.option("ignore_class")
    values = value_counts(numbers)[0]
    outside = values < 0 if n_classes is None else (values < 0) | (values >= n_classes)
    wrong = [value for value in values[outside].tolist() if value != ignored and not is_sentinel(value, labels)]
    return bool(wrong) or (numbers.dtype.kind == "f" and bool(np.any(values != np.floor(values))))


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
