"""L5: class names, and the class map that they are held against."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from backendcheck.labels.contract.class_map import ClassMap, differences
from backendcheck.labels.contract.finding import LabelFinding, Severity
from backendcheck.labels.inputs.encoding import Encoding
from backendcheck.labels.inputs.output_labels import TRAINING, OutputLabels, names_in_words
from backendcheck.labels.inputs.unique_values import distinct
from backendcheck.text.words import counted


def find_in_names(labels: OutputLabels, label_names: Sequence[str], against: ClassMap | None) -> Iterator[LabelFinding]:
    """L501 to L505. `label_names` is the order in which whoever numbered the labels had the classes."""
    if labels.unnamed:
        yield labels.finding(
            "L505", f"{labels.n_unnamed} of {labels.given.size} not among the class names",
            expected=f"one of {names_in_words(labels.class_names)}, got {names_in_words(labels.unnamed)}",
            unknown=list(labels.unnamed[:20]), n=labels.n_unnamed, of=int(labels.given.size),
        )  # fmt: skip
    if labels.split != TRAINING:
        return
    yield from _twice(labels)
    yield from _count(labels)
    yield from _order(labels, label_names)
    if against is not None:
        yield from _against(labels, against)


def _twice(labels: OutputLabels) -> Iterator[LabelFinding]:
    names = labels.class_names
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    if twice:
        places = [index for index, name in enumerate(names) if name == twice[0]]
        yield labels.finding(
            "L502", f"class name {twice[0]!r} is there {len(places)} times",
            expected=f"each name once, got it as {', '.join(map(str, places[:5]))}", name=twice[0], first=places[:5],
        )  # fmt: skip
    first_index: dict[str, int] = {}
    for index, name in enumerate(names):
        folded = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        before = first_index.setdefault(folded, index)
        if before != index and names[before] != name:
            yield labels.finding(
                "L502", f"class names {names[before]!r} and {name!r} differ by case, spaces or the form of a letter alone",
                expected="names that a reader can tell apart", severity=Severity.WARNING, first=[before, index],
            )  # fmt: skip
            return


def _count(labels: OutputLabels) -> Iterator[LabelFinding]:
    """Names against what was said, and, where no head decides, against the labels."""
    n_names = len(labels.class_names)
    if not n_names:
        return
    source, n_classes = "", n_names
    if labels.n_classes is not None and labels.n_classes != n_names:
        source, n_classes = f"n_classes={labels.n_classes}", labels.n_classes
    elif labels.units is None and labels.numbers is not None and labels.numbers.size:
        numbers = labels.numbers
        if labels.encoding in (Encoding.ONE_HOT, Encoding.BINARY) and numbers.ndim > 1 and numbers.shape[-1] > 1:
            source, n_classes = f"labels {numbers.shape[-1]} columns wide", int(numbers.shape[-1])
        elif labels.encoding is Encoding.INTEGER and numbers.ndim and not labels.unnamed:
            from backendcheck.labels.checks.l1_sentinels import is_sentinel

            values = [value for value in distinct(numbers)[0] if not is_sentinel(value, labels)]
            if values and values[0] >= 0 and values[-1] >= n_names and not (values[0] == 1 and values[-1] == n_names):
                source, n_classes = f"labels up to {int(values[-1])}", int(values[-1]) + 1
    if n_classes != n_names:
        yield labels.finding(
            "L501", f"there {'is' if n_names == 1 else 'are'} {counted(n_names, 'class name')} "
            f"({names_in_words(labels.class_names)}) and {source}", expected=f"{n_classes} names, got {n_names}",
            n_names=n_names, n_classes=n_classes,
        )  # fmt: skip


def _order(labels: OutputLabels, label_names: Sequence[str]) -> Iterator[LabelFinding]:
    names = labels.class_names
    if label_names and names and tuple(label_names) != names and sorted(label_names) == sorted(names):
        index = next(place for place, name in enumerate(names) if name != label_names[place])
        yield labels.finding(
            "L503", f"class {index} is {label_names[index]!r} to whoever numbered the labels, and {names[index]!r} by the "
            "class names", expected=f"{names_in_words(list(label_names))}, got {names_in_words(names)}", first=[index],
            label_names=list(label_names)[:50], class_names=list(names)[:50],
        )  # fmt: skip
        return
    if len(names) < 2 or not all(name.strip().isdecimal() for name in names):  # noqa: PLR2004 - an order
        return
    by_number = sorted(names, key=int)
    if list(names) == sorted(names) and list(names) != by_number:
        index = next(place for place, name in enumerate(names) if name != by_number[place])
        yield labels.finding(
            "L503", f"class names are numbers in the order of text: {names_in_words(names)}",
            expected=f"{names_in_words(by_number)}, got {names[index]!r} for class {index}",
            remedy="If labels are the numbers themselves, every index from there on has another "
            "name. Pad them (01, 02, … 10), or sort by number where labels are made.", first=[index],
            class_names=list(names)[:50],
        )  # fmt: skip


def _against(labels: OutputLabels, against: ClassMap) -> Iterator[LabelFinding]:
    names = labels.class_names
    theirs = against.names(labels.output)
    if theirs is None and labels.encoding is Encoding.NUMBER:
        return  # it has no classes
    if theirs is None:
        yield labels.finding(
            "L504",
            f"the class map has no output "
            f"{labels.output!r}" if labels.output else "the class map has several outputs, the labels one",
            expected=f"one of {names_in_words(list(against.classes))}", sha256=against.sha256,
        )  # fmt: skip
        return
    if names:
        yield from names_that_differ(labels, names, theirs, "the class map")


def names_that_differ(labels: OutputLabels, names: Sequence[str], theirs: Sequence[str], whose: str) -> Iterator[LabelFinding]:
    """L504, of `names` that are not `theirs`; `whose` says whose those are."""
    ours = ClassMap.of(names)
    if words := differences(names, theirs):
        map_of_theirs = ClassMap.of(theirs)
        yield labels.finding(
            "L504", f"class names differ from {whose}: {'; '.join(words)}", expected=f"{names_in_words(theirs)} "
            f"({map_of_theirs.short}), got {names_in_words(names)} ({ours.short})", sha256=ours.sha256,
            against_sha256=map_of_theirs.sha256, differences=words,
        )  # fmt: skip
