"""L6: training data compared with validation and test data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from backendcheck.labels.contract.finding import TRAINING, LabelFinding, Place, Severity
from backendcheck.labels.contract.rules import make_finding
from backendcheck.labels.inputs.class_counts import class_counts, class_of_examples
from backendcheck.labels.inputs.encoding import EXCLUSIVE, Encoding
from backendcheck.labels.inputs.input_rows import WIDE, common_dtypes, digests, input_arrays, width_of
from backendcheck.labels.inputs.output_labels import OutputLabels
from backendcheck.labels.inputs.values import MOST_NAMED, names_text
from backendcheck.text.words import some_of


def find_in_inputs(inputs: Mapping[str, Any], labels: Mapping[str, Sequence[OutputLabels]]) -> Iterator[LabelFinding]:
    """L601 and L602.

    Args:
        inputs: x by split; the first split is training.
        labels: the labels of all outputs by split.
    """
    by_split = {split: input_arrays(x) for split, x in inputs.items()}
    arrays = {split: x for split, x in by_split.items() if x and all(array.ndim for array in x.values())}
    if not arrays:
        return
    dtypes = common_dtypes(list(arrays.values()))
    rows = {split: digests(x, dtypes) for split, x in arrays.items()}
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
            yield from _leaking(rows[first], rows[second], second, source=first, wide=width_of(arrays[second]) >= WIDE)


def _leaking(
    source_rows: list[bytes], rows: list[bytes], split: str, *, wide: bool, source: str = TRAINING
) -> Iterator[LabelFinding]:
    """L601 for `rows` of a split that are also among `source_rows`, those of the split `source`.

    Measurements in steps and answers on a form repeat without a copy. So it is an info if rows are shared about as often as
    rows repeat within the source.
    """
    index_of: dict[bytes, int] = {}
    for index, digest in enumerate(source_rows):
        index_of.setdefault(digest, index)
    pairs = [(index, index_of[digest]) for index, digest in enumerate(rows) if digest and digest in index_of]
    if not pairs:
        return
    repeats = Counter(digest for digest in source_rows if digest)
    n_repeating = sum(n for n in repeats.values() if n > 1)
    by_chance = n_repeating / max(len(source_rows), 1) * len(rows)
    evidence = {
        "n": len(pairs), "of": len(rows), "by_themselves": round(by_chance, 2),
        "first": [list(pair) for pair in pairs[:MOST_NAMED]],
    }  # fmt: skip
    problem = f"{len(pairs)} of {len(rows)} rows {'is' if len(pairs) == 1 else 'are'} also in the {source} data"
    place = Place(where=f"{split} data", split=split)
    if len(pairs) > 2 * by_chance + (0 if wide else 1):
        pair = f"row {pairs[0][0]} equal to row {pairs[0][1]} of {source}"
        yield make_finding("L601", place, problem, expected=f"no common rows, got {pair}", evidence=evidence)
    else:
        reason = "about as often as rows repeat there" if n_repeating else "which can be chance with so few values"
        yield make_finding(
            "L601", place, f"{problem} (row {pairs[0][0]} is row {pairs[0][1]} of {source}), {reason}",
            remedy="Remove them if they are copies.", severity=Severity.INFO, evidence=evidence,
        )  # fmt: skip


class _Row(NamedTuple):
    split: str
    number: int
    label: int

    def text(self, *, with_split: bool) -> str:
        return f"row {self.number}{f' of {self.split}' if with_split else ''} is {self.label}"


def _contradicting(
    rows: Mapping[str, list[bytes]], labels: Mapping[str, Sequence[OutputLabels]], *, across: bool = False
) -> Iterator[LabelFinding]:
    """L602 within one split, or, with `across`, between two."""
    by_output: dict[str, dict[str, OutputLabels]] = {}
    for split in rows:
        for output_labels in labels.get(split, ()):
            by_output.setdefault(output_labels.output, {})[split] = output_labels
    for by_split in by_output.values():
        first_rows: dict[bytes, _Row] = {}
        clashes: list[tuple[_Row, _Row]] = []
        for split, output_labels in by_split.items():
            has_classes = output_labels.encoding in (*EXCLUSIVE, Encoding.BINARY, Encoding.SIGN)
            classes = class_of_examples(output_labels) if has_classes else None
            if classes is None:
                continue
            for index, (digest, label) in enumerate(zip(rows[split], classes.tolist(), strict=False)):
                if not digest:
                    continue
                row = _Row(split, index, label)
                first = first_rows.setdefault(digest, row)
                if first.label != label and (not across or first.split != split):
                    clashes.append((first, row))
        if clashes:
            first, row = clashes[0]
            yield by_split[row.split].finding(
                "L602", f"{len(clashes)} {'row has' if len(clashes) == 1 else 'rows have'} another label than an identical row",
                expected=f"one label for equal inputs, got {first.text(with_split=across)} and {row.text(with_split=across)}",
                n=len(clashes), first=[[before.number, after.number] for before, after in clashes[:MOST_NAMED]],
            )  # fmt: skip


def find_unseen_classes(training: OutputLabels, labels: OutputLabels) -> Iterator[LabelFinding]:
    """L603: classes in the `labels` of another split that have no example in training."""
    if training.encoding is not labels.encoding or training.numbers is None or labels.numbers is None:
        return
    if training.encoding is Encoding.BINARY and (training.numbers.ndim > 1) != (labels.numbers.ndim > 1):
        return
    known, counts = class_counts(training), class_counts(labels)
    if not known or not counts:
        return
    columns = training.columns
    unseen = sorted(index for index in counts if index not in known and (columns is None or index < columns or columns == 1))
    if not unseen:
        return
    n = sum(counts[index] for index in unseen)
    named = [labels.class_text(index) for index in unseen]
    shown = names_text(named) if labels.class_names else some_of(named, MOST_NAMED)
    yield labels.finding(
        "L603",
        f"{n} of {int(np.size(labels.numbers, 0))} {'is' if n == 1 else 'are'} of classes without examples in training: {shown}",
        expected=f"only the {len(known)} classes of training", unseen=unseen[:20], n=n,
    )  # fmt: skip
