"""L6: training, validation and test data against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from backendcheck.labels.contract.finding import LabelFinding, Severity
from backendcheck.labels.inputs.class_counts import class_counts, class_of_examples
from backendcheck.labels.inputs.encoding import EXCLUSIVE, Encoding
from backendcheck.labels.inputs.input_rows import WIDE, common_dtypes, digests, input_arrays, width_of
from backendcheck.labels.inputs.output_labels import OutputLabels, make_finding, names_in_words

_MOST_SHOWN = 5


def find_in_inputs(inputs: Mapping[str, Any], labels: Mapping[str, Sequence[OutputLabels]]) -> Iterator[LabelFinding]:
    """L601 and L602, from the inputs by split (the first is training) and the labels by split."""
    of_split = {split: input_arrays(x) for split, x in inputs.items()}
    arrays = {
        split: arrays_of_split
        for split, arrays_of_split in of_split.items()
        if arrays_of_split and all(array.ndim for array in arrays_of_split.values())
    }
    if not arrays:
        return
    dtypes = common_dtypes(list(arrays.values()))
    rows = {split: digests(arrays_of_split, dtypes) for split, arrays_of_split in arrays.items()}
    training, *other_splits = inputs
    if training not in rows:
        return
    yield from _contradicting(rows, {training: labels.get(training, ())})
    for split in other_splits:
        if split not in rows or width_of(arrays[split]) != width_of(arrays[training]):
            continue
        yield from _leaking(rows[training], rows[split], split, wide=width_of(arrays[split]) >= WIDE)
        yield from _contradicting({training: rows[training], split: rows[split]}, labels, across=True)
    for first, second in combinations((split for split in other_splits if split in rows), 2):
        if width_of(arrays[first]) == width_of(arrays[second]):
            yield from _leaking(rows[first], rows[second], second, of=first, wide=width_of(arrays[second]) >= WIDE)


def _leaking(
    known: list[bytes], other_digests: list[bytes], split: str, *, wide: bool, of: str = "training"
) -> Iterator[LabelFinding]:
    """L601 of the rows `other` that are among `known`, those of the split `of`."""
    index_of: dict[bytes, int] = {}
    for index, digest in enumerate(known):
        index_of.setdefault(digest, index)
    pairs = [(index, index_of[digest]) for index, digest in enumerate(other_digests) if digest and digest in index_of]
    if not pairs:
        return
    # Measured in steps, or answered on a form, examples are the same by themselves: as often here as there.
    repeats = Counter(digest for digest in known if digest)
    n_repeating = sum(n for n in repeats.values() if n > 1)
    by_itself = n_repeating / max(len(known), 1) * len(other_digests)
    severe = len(pairs) > 2 * by_itself + (0 if wide else 1)
    evidence = {
        "n": len(pairs), "of": len(other_digests), "by_themselves": round(by_itself, 2),
        "first": [list(pair) for pair in pairs[:_MOST_SHOWN]],
    }  # fmt: skip
    pair = f"row {pairs[0][0]} is row {pairs[0][1]} of {of}"
    if severe:
        yield make_finding("L601", f"{split} data", f"{_rows(len(pairs), len(other_digests))} in the {of} data as well",
                           expected=f"none, got {pair}", split=split, evidence=evidence)  # fmt: skip
    else:
        as_many = "about as many as repeat by themselves" if n_repeating else "which so few numbers may do by chance"
        yield make_finding(
            "L601", f"{split} data", f"{_rows(len(pairs), len(other_digests))} in the {of} data as well ({pair}), {as_many}",
            remedy="If they are copies and no coincidence, remove them.",
            severity=Severity.INFO, split=split, evidence=evidence,
        )  # fmt: skip


def _rows(n: int, of: int) -> str:
    return f"{n} of {of} rows {'is' if n == 1 else 'are'}"


def _contradicting(
    rows: Mapping[str, list[bytes]], labels: Mapping[str, Sequence[OutputLabels]], *, across: bool = False
) -> Iterator[LabelFinding]:
    """L602 within one split, or, `across`, between two."""
    by_output: dict[str, dict[str, OutputLabels]] = {}
    for split in rows:
        for output_labels in labels.get(split, ()):
            by_output.setdefault(output_labels.output, {})[split] = output_labels
    for of_split in by_output.values():
        first_rows: dict[bytes, tuple[str, int, int]] = {}
        clashes: list[tuple[tuple[str, int, int], tuple[str, int, int]]] = []
        for split, output_labels in of_split.items():
            classes = (
                class_of_examples(output_labels)
                if output_labels.encoding in (*EXCLUSIVE, Encoding.BINARY, Encoding.SIGN)
                else None
            )
            if classes is None:
                continue
            for index, (digest, label) in enumerate(zip(rows[split], classes.tolist(), strict=False)):
                if not digest:
                    continue
                before = first_rows.setdefault(digest, (split, index, label))
                if before[2] != label and (not across or before[0] != split):
                    clashes.append((before, (split, index, label)))
        if clashes:
            output_labels = of_split[clashes[0][1][0]]
            (split, index, label), (other_split, other_index, other_label) = clashes[0]
            of_this, of_other = (f" of {split}", f" of {other_split}") if across else ("", "")
            rows_named = f"row {other_index}{of_other} is {other_label}, row {index}{of_this} is {label}"
            yield output_labels.finding(
                "L602", f"{len(clashes)} {'row has' if len(clashes) == 1 else 'rows have'} another label than an identical "
                "row before", expected=f"one label for one input, got: {rows_named}", n=len(clashes),
                first=[[before[1], after[1]] for before, after in clashes[:_MOST_SHOWN]],
            )  # fmt: skip


def find_unseen(training: OutputLabels, other: OutputLabels) -> Iterator[LabelFinding]:
    """L603: classes of another split that training does not have."""
    if training.encoding is not other.encoding or training.numbers is None or other.numbers is None:
        return
    if training.encoding is Encoding.BINARY and (training.numbers.ndim > 1) != (other.numbers.ndim > 1):
        return
    known, occurring = class_counts(training), class_counts(other)
    if not known or not occurring:
        return
    columns = training.columns
    unseen = [index for index in occurring if index not in known and (columns is None or index < columns or columns == 1)]
    if not unseen:
        return
    n = sum(occurring[index] for index in unseen)
    named = [other.class_names[index] if index < len(other.class_names) else str(index) for index in sorted(unseen)]
    shown = names_in_words(named) if other.class_names else ", ".join(named[:_MOST_SHOWN])
    yield other.finding(
        "L603", f"{n} of {int(np.size(other.numbers, 0))} of classes without an example in training: {shown}",
        expected=f"some of the {len(known)} classes of training", unseen=sorted(unseen)[:20], n=n,
    )  # fmt: skip
