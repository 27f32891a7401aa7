"""L701: how evenly the examples are distributed over the classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from backendcheck.labels.checks.l1_sentinels import is_sentinel
from backendcheck.labels.checks.l3_one_hot_rows import is_multi_hot
from backendcheck.labels.contract.finding import TRAINING, LabelFinding
from backendcheck.labels.inputs.class_counts import class_counts
from backendcheck.labels.inputs.encoding import EXCLUSIVE, Encoding
from backendcheck.labels.inputs.output_labels import OutputLabels


def class_weight(counts: dict[int, int]) -> dict[int, float]:
    """Weights for `model.fit(class_weight=…)` that give every class the same total: n / (classes * examples of the class).

    They are the "balanced" weights of scikit-learn (`sklearn.utils.class_weight.compute_class_weight`), after King and Zeng,
    Logistic Regression in Rare Events Data (2001). Classes without examples get no weight.
    """
    total = sum(counts.values())
    return {index: round(total / (len(counts) * n), 6) for index, n in sorted(counts.items())}


def find_in_balance(labels: OutputLabels, threshold: float) -> Iterator[LabelFinding]:
    """L701, for exclusive classes. `threshold` is the smallest ratio of the largest to the smallest class that is reported.

    Only classes are counted. Labels that stand for nothing, or that another rule reports as wrong, get no weight.
    """
    numbers = labels.numbers
    if labels.split != TRAINING or numbers is None:
        return
    single = labels.encoding is Encoding.BINARY and (numbers.ndim == 1 or numbers.shape[-1] == 1)
    if labels.encoding not in EXCLUSIVE and not single:
        return
    counts = _class_counts(labels)
    if len(counts) < 2 or max(counts.values()) < threshold * min(counts.values()):  # noqa: PLR2004 - two classes
        return
    most, least = max(counts, key=lambda index: counts[index]), min(counts, key=lambda index: counts[index])
    from_one = _starts_at_one(labels, counts)
    weights = class_weight({index - from_one: n for index, n in counts.items()})
    yield labels.finding(
        "L701",
        f"class {labels.class_text(most)} has {counts[most]} examples, class {labels.class_text(least)} has {counts[least]}",
        expected=f"a ratio below {threshold:g}, got {counts[most] / counts[least]:.3g}",
        remedy=_remedy(labels, numbers, weights, from_one=from_one), variant="exclusive",
        class_weight={str(key): weight for key, weight in weights.items()}, counts={str(key): n for key, n in counts.items()},
        ratio=counts[most] / counts[least],
    )  # fmt: skip


def _class_counts(labels: OutputLabels) -> dict[int, int]:
    """How many examples each class has, of those that have a column in the head."""
    counts = class_counts(labels) or {}
    if labels.encoding is Encoding.ONE_HOT:
        return {} if is_multi_hot(labels) else counts  # L401
    if labels.encoding is Encoding.BINARY:
        return counts if counts.keys() <= {0, 1} else {}  # L109
    counts = {index: n for index, n in counts.items() if not is_sentinel(index, labels)}
    n_classes = labels.columns
    if n_classes is None or _starts_at_one(labels, counts):
        return counts
    return {index: n for index, n in counts.items() if index < n_classes}


def _starts_at_one(labels: OutputLabels, counts: Mapping[int, int]) -> bool:
    """Whether L104 says of these classes that 1 is to be subtracted."""
    if labels.encoding is not Encoding.INTEGER or labels.by_name or not counts or min(counts) != 1:
        return False
    return max(counts) == (labels.columns or len(counts))


def _remedy(labels: OutputLabels, numbers: np.ndarray, weights: Mapping[int, float], *, from_one: bool) -> str:
    """How to give these weights. `fit` takes class_weight for one output with one label for each example, without sample weights.

    Otherwise each label gets its weight. `tests/backends/test_label_advice.py` tries both on every backend.
    """
    most = 10  # what a line takes
    shown = ", ".join(f"{index}: {weight:g}" for index, weight in list(weights.items())[:most])
    table = f"{{{shown}{'' if len(weights) <= most else f', … {len(weights)} classes in all'}}}"
    start = "Once they start at 0, pass" if from_one else "To balance them, pass"
    is_one_hot = labels.encoding is Encoding.ONE_HOT
    flat = numbers.ndim == 2 if is_one_hot else labels.raw.size == len(labels.raw)  # noqa: PLR2004 - rows
    if flat and labels.n_outputs == 1 and labels.weights is None:
        return f"{start} class_weight={table}."
    indices = "y.argmax(-1)" if is_one_hot else "y"
    weighted = f"np.vectorize(lambda label: weights.get(label, 0.0))({indices})"
    if labels.weights is not None:
        return f"{start} the sample weights times {weighted}, with weights = {table}."
    several = " for this output" if labels.n_outputs > 1 else ""
    return f"{start} sample_weight={weighted}{several}, with weights = {table}."
