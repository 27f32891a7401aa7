"""Numbers by which a loss may be divided or multiplied: of examples, classes, steps and unmasked entries, and sums of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from backendcheck.diagnose.evidence.difference import Difference
from backendcheck.vocabulary.observations import of_output


def counts(
    predictions: np.ndarray | None,
    n_examples: int,
    weight: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    ignored: np.ndarray | None = None,
) -> dict[str, float]:
    """The numbers by name.

    Args:
        predictions: (N, C) or (N, T, C), if known.
        n_examples: N.
        weight: sample weights, (N, …).
        mask: (N, …), False for masked entries.
        ignored: (N, …), True for labels that the loss leaves out, such as those of `ignore_class`.
    """
    numbers = {"the number of examples": float(n_examples)}
    if predictions is not None and predictions.ndim > 1:
        n_classes = predictions.shape[-1]
        numbers |= {
            "the number of classes": float(n_classes),
            "the number of examples times classes": float(n_examples * n_classes),
        }
    numbers["the number of examples squared"] = float(n_examples * n_examples)
    if predictions is not None and predictions.ndim > 2:  # noqa: PLR2004 - (N, T, C)
        n_steps = int(np.prod(predictions.shape[1:-1]))
        numbers |= {"the number of steps": float(n_steps), "the number of entries": float(n_examples * n_steps)}
    if weight is not None and weight.size:
        weight = weight.astype(np.float64)
        numbers |= {"the sum of weights": float(weight.sum()), "the mean weight": float(weight.mean())}
        numbers["the share of non-zero weights"] = np.count_nonzero(weight) / weight.size
    for left_out in (None if mask is None else ~mask.astype(bool), ignored):
        if left_out is not None and left_out.any() and not left_out.all():
            n_counted = float(np.count_nonzero(~left_out))
            numbers |= {"the number of unmasked entries": n_counted, "the share of unmasked entries": n_counted / left_out.size}
    return numbers


def factors(numbers: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Each number as a factor and as a divisor, in words; without those that change nothing."""
    for words, count in numbers.items():
        if np.isfinite(count) and count > 0 and abs(count - 1.0) > 1e-9:  # noqa: PLR2004
            yield f"divided by {words}", 1.0 / count
            yield f"multiplied by {words}", count


def ignored_labels(difference: Difference) -> np.ndarray | None:
    """Where labels equal the `ignore_class` of the loss; None if the loss does not have it."""
    ignore_class = difference.recording.losses.get(difference.output, {}).get("options", {}).get("ignore_class")
    labels = difference.recording.labels.get(of_output("y_true", difference.output))
    return None if ignore_class is None or labels is None else labels == ignore_class
