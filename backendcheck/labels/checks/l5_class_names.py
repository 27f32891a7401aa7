"""L5: class names, and the class map that they are compared with."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from backendcheck.labels.checks.l1_sentinels import is_sentinel
from backendcheck.labels.contract.class_map import ClassMap, differences
from backendcheck.labels.contract.finding import TRAINING, LabelFinding, Severity
from backendcheck.labels.inputs.encoding import Encoding
from backendcheck.labels.inputs.output_labels import OutputLabels
from backendcheck.labels.inputs.values import MOST_NAMED, names_text, value_counts
from backendcheck.text.words import counted

_MOST_NAMES = 50  # in the evidence


def find_in_names(labels: OutputLabels, numbered_names: Sequence[str], against: ClassMap | None) -> Iterator[LabelFinding]:
    """L501 to L505.

    Args:
        labels: the labels and their class names.
        numbered_names: the order of the names when the labels were numbered; empty if not known.
        against: the class map that the class names must equal, if there is one.
    """
    if labels.unknown_names:
        yield labels.finding(
            "L505",
            f"{labels.n_unknown} of {labels.raw.size} {'is' if labels.n_unknown == 1 else 'are'} not among the class names",
            expected=f"one of {names_text(labels.class_names)}, got {names_text(labels.unknown_names)}",
            unknown=list(labels.unknown_names[:20]), n=labels.n_unknown, of=int(labels.raw.size),
        )  # fmt: skip
    if labels.split != TRAINING:
        return
    yield from _repeated(labels)
    yield from _count(labels)
    yield from _order(labels, numbered_names)
    if against is not None:
        yield from _class_map(labels, against)


def _repeated(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L502."""
    names = labels.class_names
    first_place: dict[str, int] = {}
    repeated = next((name for index, name in enumerate(names) if first_place.setdefault(name, index) != index), None)
    if repeated is not None:
        indices = [index for index, name in enumerate(names) if name == repeated]
        yield labels.finding(
            "L502", f"class name {repeated!r} occurs {len(indices)} times",
            expected=f"each name once, got it for classes {', '.join(map(str, indices[:MOST_NAMED]))}", name=repeated,
            first=indices[:MOST_NAMED],
        )  # fmt: skip
    first_index: dict[str, int] = {}
    for index, name in enumerate(names):
        folded = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        before = first_index.setdefault(folded, index)
        if before != index and names[before] != name:
            yield labels.finding(
                "L502", f"class names {names[before]!r} and {name!r} differ only in case, spaces or the form of a letter",
                expected="names that a reader can distinguish", severity=Severity.WARNING, first=[before, index],
            )  # fmt: skip
            return


def _count(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L501: the number of names against the declared number of classes, or, without a head, against the labels."""
    n_names = len(labels.class_names)
    if not n_names:
        return
    source, n_classes = "", n_names
    if labels.n_classes is not None and labels.n_classes != n_names:
        source, n_classes = f"n_classes={labels.n_classes}", labels.n_classes
    elif labels.units is None and labels.numbers is not None and labels.numbers.size:
        numbers = labels.numbers
        if labels.encoding in (Encoding.ONE_HOT, Encoding.BINARY) and numbers.ndim > 1 and numbers.shape[-1] > 1:
            n_classes = int(numbers.shape[-1])
            source = f"labels with {n_classes} columns"
        elif labels.encoding is Encoding.INTEGER and numbers.ndim and not labels.unknown_names:
            values = [value for value in value_counts(numbers)[0] if not is_sentinel(value, labels)]
            if values and values[0] >= 0 and values[-1] >= n_names and not (values[0] == 1 and values[-1] == n_names):
                n_classes = int(values[-1]) + 1
                source = f"labels up to {n_classes - 1}"
    if n_classes != n_names:
        yield labels.finding(
            "L501", f"{counted(n_names, 'class name')} ({names_text(labels.class_names)}) for {source}",
            expected=f"{n_classes} names, got {n_names}", n_names=n_names, n_classes=n_classes,
        )  # fmt: skip


def _order(labels: OutputLabels, numbered_names: Sequence[str]) -> Iterator[LabelFinding]:
    """L503."""
    names = labels.class_names
    if numbered_names and names and tuple(numbered_names) != names and sorted(numbered_names) == sorted(names):
        index = next(place for place, name in enumerate(names) if name != numbered_names[place])
        yield labels.finding(
            "L503", f"the labels were numbered with {numbered_names[index]!r} as class {index}, "
            f"but the class names have {names[index]!r} there",
            expected=f"{names_text(list(numbered_names))}, got {names_text(names)}", first=[index],
            label_names=list(numbered_names)[:_MOST_NAMES], class_names=list(names)[:_MOST_NAMES],
        )  # fmt: skip
        return
    if len(names) < 2 or labels.by_name or not all(name.strip().isdecimal() for name in names):  # noqa: PLR2004
        return  # a single name has no order, and labels that are the names do not depend on it
    by_number = sorted(names, key=int)
    if list(names) == sorted(names) and list(names) != by_number:
        index = next(place for place, name in enumerate(names) if name != by_number[place])
        yield labels.finding(
            "L503", f"class names are numbers sorted as text: {names_text(names)}",
            expected=f"{names_text(by_number)}, got {names[index]!r} as class {index}",
            remedy=f"If the labels are these numbers, classes from {index} on have the wrong names. "
            "Sort the names by number, or pad them: 01, 02, …, 10.", first=[index], class_names=list(names)[:_MOST_NAMES],
        )  # fmt: skip


def _class_map(labels: OutputLabels, against: ClassMap) -> Iterator[LabelFinding]:
    """L504 against a class map."""
    expected_names = against.names(labels.output)
    if expected_names is None and labels.encoding is not Encoding.NUMBER:
        unnamed = "the class map has several outputs, but these labels have one unnamed output"
        yield labels.finding(
            "L504", f"the class map has no output {labels.output!r}" if labels.output else unnamed,
            expected=f"one of {names_text(list(against.classes))}", sha256=against.sha256,
        )  # fmt: skip
    if expected_names is not None and labels.class_names:
        yield from find_other_names(labels, labels.class_names, expected_names, "the class map")


def find_other_names(labels: OutputLabels, names: Sequence[str], expected: Sequence[str], source: str) -> Iterator[LabelFinding]:
    """L504 if `names` differ from the `expected` names; `source` is where those come from, such as ``the class map``."""
    if changes := differences(names, expected):
        class_map, expected_map = ClassMap.of(names), ClassMap.of(expected)
        yield labels.finding(
            "L504", f"class names differ from {source}: {'; '.join(changes)}",
            expected=f"{names_text(expected)} ({expected_map.short}), got {names_text(names)} ({class_map.short})",
            sha256=class_map.sha256, against_sha256=expected_map.sha256, differences=changes,
        )  # fmt: skip
