"""L1: the values of labels. This file has L101, L108, L109 and L110, and calls the checks of the other rules."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from backendcheck.labels.checks.l1_class_range import find_in_class_range, find_in_letters
from backendcheck.labels.checks.l1_occurrence import find_constant_columns, find_missing_classes
from backendcheck.labels.checks.l1_sentinels import find_sentinels, is_sentinel
from backendcheck.labels.contract.finding import TRAINING, LabelFinding, Severity
from backendcheck.labels.inputs.encoding import Encoding
from backendcheck.labels.inputs.output_labels import OutputLabels
from backendcheck.labels.inputs.values import first_indices, number_text, value_counts, values_text
from backendcheck.text.escape import decoded
from backendcheck.text.words import cut

_NUMBER = re.compile(r"\s*[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?\s*", re.IGNORECASE | re.ASCII)
_MOST_VALUES = 20  # values in the evidence


def find_in_values(labels: OutputLabels) -> Iterator[LabelFinding]:
    """All rules of L1."""
    yield from _text(labels)
    yield from _missing(labels)
    yield from _not_finite(labels)
    if labels.numbers is None or not labels.numbers.size:
        return
    yield from find_sentinels(labels)
    if labels.encoding is Encoding.INTEGER and not labels.is_one_hot_instead:
        yield from _fractional(labels, labels.numbers)
        yield from find_in_class_range(labels)
    if labels.encoding is Encoding.LETTERS and labels.units:
        yield from find_in_letters(labels, labels.units)
    if labels.encoding in (Encoding.BINARY, Encoding.ONE_HOT) and not labels.is_integer_instead:
        yield from _outside_probabilities(labels, labels.numbers)
    if labels.split == TRAINING:
        if labels.encoding is Encoding.SIGN:
            yield from _beyond_signs(labels, labels.numbers)
        yield from find_missing_classes(labels)
        yield from find_constant_columns(labels)


def _text_among_numbers(labels: OutputLabels) -> str:
    """The first label that is not a number, if most labels are numbers; or empty."""
    texts = [decoded(text) for text in labels.raw.ravel().tolist() if isinstance(text, str | bytes) and text.strip()]
    others = [text for text in texts if not _NUMBER.fullmatch(text)]
    return others[0] if others and 2 * len(others) < len(texts) else ""


def _missing(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L101, of labels that are text without class names. With class names L505 reports missing labels."""
    if labels.missing is None or labels.class_names or labels.several or not labels.missing.any():
        return  # where texts name several classes, an empty one names none
    n = int(labels.missing.sum())
    yield labels.finding(
        "L101", f"{n} of {labels.raw.size} {'is' if n == 1 else 'are'} empty, a missing label", variant=None,
        expected=f"text in each, got none at {first_indices(labels.missing)[0]}", n=n, of=int(labels.raw.size),
        first=first_indices(labels.missing), remedy="Remove these examples, or fill in their labels.",
    )  # fmt: skip


def _not_finite(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L101, of labels and of sample weights."""
    for noun, array in (("labels", labels.numbers), ("sample weights", labels.weights)):
        if array is None or array.dtype.kind != "f" or np.isfinite(array).all():
            continue
        bad = ~np.isfinite(array)
        n, n_nan = int(bad.sum()), int(np.isnan(array).sum())
        got = " and ".join(f"{number} {name}" for number, name in ((n_nan, "NaN"), (n - n_nan, "Inf")) if number)
        rest = array[~bad]
        integers = noun == "labels" and rest.size and bool(np.all(rest == np.floor(rest)))
        is_missing = n_nan and integers and labels.encoding is not Encoding.NUMBER
        meaning = "; NaN among integers is a missing label" if is_missing else ""
        yield labels.finding(
            "L101", f"{n} of {array.size} {'is' if n == 1 else 'are'} not finite{meaning}",
            expected=f"finite numbers, got {got}, first at {first_indices(bad)[0]}", where=labels.where.replace("labels", noun),
            variant="" if noun == "labels" else "sample_weight", n=n, of=int(array.size), first=first_indices(bad),
        )  # fmt: skip


def _fractional(labels: OutputLabels, numbers: np.ndarray) -> Iterator[LabelFinding]:
    """L108."""
    bad = np.isfinite(numbers) & (numbers != np.floor(numbers))
    if numbers.dtype.kind != "f" or not bad.any():
        return
    example = float(numbers[bad][0])
    truncated = f"backends truncate it to {int(example)}" if abs(example) < 2**63 else "no integer type can hold it"
    yield labels.finding(
        "L108", f"{int(bad.sum())} of {numbers.size} {'has' if bad.sum() == 1 else 'have'} a fraction",
        expected=f"class indices, got {example:g} ({truncated})", n=int(bad.sum()), of=int(numbers.size),
        first=first_indices(bad), values=[float(value) for value in np.unique(numbers[bad])[:5]],
    )  # fmt: skip


def _outside_probabilities(labels: OutputLabels, numbers: np.ndarray) -> Iterator[LabelFinding]:
    """L109, of losses that take 0, 1 and what lies between."""
    finite = np.isfinite(numbers)
    bad = finite & ((numbers < 0) | (numbers > 1))
    if bad.any():
        values, counts = np.unique(numbers[bad], return_counts=True)
        all_values = set(np.unique(numbers[finite]).tolist())
        if _are_indices_for_columns(labels, all_values):
            return  # L203: a single number for each example instead of a row
        if all_values <= {-1.0, 1.0}:
            remedy = "Convert them with (y + 1) / 2."
        elif all_values <= {0.0, 255.0}:
            remedy = "Convert them with y / 255."
        elif all(is_sentinel(value, labels) for value in values):
            remedy = "If they mean missing, give these examples a valid label and a sample weight of 0."
        elif len(all_values) == 2:  # noqa: PLR2004 - two classes
            remedy = f"Convert them with y == {number_text(max(all_values))}."
        elif labels.by_name or _are_class_indices(labels, all_values):
            remedy = "If they are class indices, use softmax with a unit for each class, and sparse_categorical_crossentropy."
        elif values[0] >= 0 and values[-1] == 255:  # noqa: PLR2004 - white in an image
            remedy = "If they are gray values, convert them with y / 255."
        else:
            remedy = "Correct them, or scale them into [0, 1]."
        takes = labels.loss_name(f"a {labels.activation or 'one-hot'} head")
        yield labels.finding(
            "L109", f"{int(bad.sum())} of {numbers.size} {'is' if bad.sum() == 1 else 'are'} outside [0, 1]",
            variant="-1" if values[0] < 0 else "255" if 255 in values else "above one",  # noqa: PLR2004 - white in an image
            expected=f"0 and 1 for {takes}, got {values_text(values, counts)}", remedy=remedy, n=int(bad.sum()),
            of=int(numbers.size), first=first_indices(bad), values=[float(value) for value in values[:_MOST_VALUES]],
        )  # fmt: skip
    elif labels.encoding is Encoding.BINARY and numbers.dtype.kind == "f":
        soft = finite & (numbers != 0) & (numbers != 1)
        if soft.any():
            yield labels.finding(
                "L109", f"{int(soft.sum())} of {numbers.size} {'is' if soft.sum() == 1 else 'are'} between 0 and 1: soft labels",
                severity=Severity.INFO, variant=None,
                remedy="The loss accepts them. Accuracy rounds predictions and not labels, so soft labels never match.",
                n=int(soft.sum()), of=int(numbers.size), first=first_indices(soft),
            )  # fmt: skip


def _are_class_indices(labels: OutputLabels, values: set[float]) -> bool:
    """Whether labels of one number each could be the indices of three classes or more: 0, 1, 2."""
    numbers = labels.numbers
    single = numbers is not None and (numbers.ndim == 1 or numbers.shape[-1] == 1)
    return single and values == set(range(len(values)))


def _are_indices_for_columns(labels: OutputLabels, values: set[float]) -> bool:
    """Whether labels for a head of several columns are class indices in place of rows."""
    numbers = labels.numbers
    if numbers is None or labels.encoding is not Encoding.BINARY or labels.units is None or labels.units < 2:  # noqa: PLR2004
        return False
    single = numbers.ndim == 1 or (numbers.ndim == 2 and numbers.shape[-1] == 1)  # noqa: PLR2004 - a column
    return single and all(value == int(value) and 0 <= value < labels.units for value in values)


def _beyond_signs(labels: OutputLabels, numbers: np.ndarray) -> Iterator[LabelFinding]:
    """L109, of hinge losses, which take -1 and 1."""
    bad = np.isfinite(numbers) & (np.abs(numbers) > 1)
    if bad.any():
        values, counts = value_counts(numbers[bad])
        yield labels.finding(
            "L109", f"{int(bad.sum())} of {numbers.size} {'is' if bad.sum() == 1 else 'are'} outside [-1, 1]",
            expected=f"-1 and 1 for {labels.loss_name('hinge')}, got {values_text(values, counts)}",
            remedy="Convert them with np.where(y > 0, 1, -1).", n=int(bad.sum()), of=int(numbers.size),
            values=[float(value) for value in value_counts(numbers)[0][:5]],
        )  # fmt: skip


def _text(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L110."""
    if labels.numbers is not None or labels.raw.dtype.kind not in "USO":
        return
    if labels.several and labels.by_name:
        takes = labels.loss_name("a softmax head")
        yield labels.finding(
            "L401", f"name several classes each, such as {labels.several!r}, but {takes} is for exclusive classes",
            expected="one class for each example", variant=None, separator=labels.separator,
        )  # fmt: skip
        return
    is_text = labels.missing is not None
    example = labels.raw.ravel()[0] if labels.raw.size else ""
    if labels.missing is not None and not labels.missing.all():
        example = labels.raw[~labels.missing][0]
    remedy, among = "", ""
    if is_text and (lone := _text_among_numbers(labels)):
        example, among = lone, " among numbers"
        remedy = "Correct the labels that are not numbers, or remove their examples."
    elif labels.several:
        example = labels.several
        remedy = (
            f"If {labels.separator!r} separates the names of several classes, encode each as a row of 0 and 1: "
            f"`[[name in text.split({labels.separator!r}) for name in names] for text in y]`."
        )
    elif labels.raw.ndim > 1:
        remedy = "Pass the class names in order, or encode the labels: `np.unique(y, return_inverse=True)[1].reshape(y.shape)`."
    example = cut(str(decoded(example)) if isinstance(example, str | bytes) else str(example), 40)
    yield labels.finding(
        "L110", f"are {'text' if is_text else 'Python objects'}, such as {example!r}{among}", remedy=remedy,
        expected=f"numbers, got dtype {labels.raw.dtype}", variant="" if labels.raw.dtype.kind in "US" else "objects",
        dtype=str(labels.raw.dtype),
        examples=[str(value)[:80] for value in labels.raw.ravel()[:3].tolist()],
    )  # fmt: skip
