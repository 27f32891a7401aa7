"""L701: how evenly the examples are distributed over the classes."""

from __future__ import annotations

from collections.abc import Iterator

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
    """L701, for exclusive classes. `threshold` is the smallest ratio of the largest to the smallest class that is reported."""
    numbers = labels.numbers
    if labels.split != TRAINING or numbers is None:
        return
    single = labels.encoding is Encoding.BINARY and (numbers.ndim == 1 or numbers.shape[-1] == 1)
    if labels.encoding not in EXCLUSIVE and not single:
        return
    counts = class_counts(labels)
    if counts is None or len(counts) < 2 or max(counts.values()) < threshold * min(counts.values()):  # noqa: PLR2004 - two classes
        return
    most, least = max(counts, key=lambda index: counts[index]), min(counts, key=lambda index: counts[index])
    weights = class_weight(counts)
    shown = ", ".join(f"{index}: {weight:g}" for index, weight in list(weights.items())[:10])
    more = "" if len(weights) <= 10 else f", … {len(weights)} classes in all"  # noqa: PLR2004 - what a line takes
    yield labels.finding(
        "L701",
        f"class {labels.class_text(most)} has {counts[most]} examples, class {labels.class_text(least)} has {counts[least]}",
        expected=f"a ratio below {threshold:g}, got {counts[most] / counts[least]:.3g}",
        remedy=f"To balance them, pass class_weight={{{shown}{more}}}.", variant="exclusive",
        class_weight={str(key): weight for key, weight in weights.items()}, counts={str(key): n for key, n in counts.items()},
        ratio=counts[most] / counts[least],
    )  # fmt: skip
