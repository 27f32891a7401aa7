"""L7: how the examples are spread over the classes."""

from __future__ import annotations

from collections.abc import Iterator

from backendcheck.labels.contract.finding import LabelFinding
from backendcheck.labels.inputs.class_counts import class_counts
from backendcheck.labels.inputs.encoding import EXCLUSIVE, Encoding
from backendcheck.labels.inputs.output_labels import TRAINING, OutputLabels


def class_weight(counts: dict[int, int]) -> dict[int, float]:
    """Weights for `model.fit(class_weight=…)` that make every class count alike: n / (classes * examples of the class).

    It is what scikit-learn calls "balanced" (`sklearn.utils.class_weight.compute_class_weight`), after King and Zeng, Logistic
    Regression in Rare Events Data (2001). Classes without examples have none.
    """
    total = sum(counts.values())
    return {index: round(total / (len(counts) * n), 6) for index, n in sorted(counts.items())}


def find_in_balance(labels: OutputLabels, threshold: float) -> Iterator[LabelFinding]:
    """L701, on classes that exclude each other."""
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
        "L701", f"class {_called(labels, most)} has {counts[most]} examples, class {_called(labels, least)} has {counts[least]}",
        expected=f"a ratio below {threshold:g}, got {counts[most] / counts[least]:.3g}",
        remedy=f"class_weight={{{shown}{more}}} would balance them.", kind="exclusive",
        class_weight={str(key): weight for key, weight in weights.items()}, counts={str(key): n for key, n in counts.items()},
        ratio=counts[most] / counts[least],
    )  # fmt: skip


def _called(labels: OutputLabels, index: int) -> str:
    return labels.class_names[index] if index < len(labels.class_names) else str(index)
