"""`mask-ignored`, `sample-weight-ignored`, `reduction`: what an accuracy counts, from the recorded predictions and labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, claim
from backendcheck.diagnose.evidence.difference import FAR, Difference
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.vocabulary.observations import Quantity, of_output

CODES = ("mask-ignored", "sample-weight-ignored", "reduction")
_ACCURACIES = ("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy", "binary_accuracy")


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses the first accuracy that shows it, once for each code and set of legs."""
    diagnoses: dict[tuple[str, tuple[str, ...]], Diagnosis] = {}
    for difference in situation.differing(Quantity.METRIC, Quantity.TRAIN_METRIC):
        for diagnosis in list(_of_accuracy(difference))[:1]:
            diagnoses.setdefault((diagnosis.code, diagnosis.backends), diagnosis)
    return list(diagnoses.values())


def _of_accuracy(difference: Difference) -> Iterator[Diagnosis]:
    """An accuracy of all entries on one side, and of unmasked or weighted entries on the other."""
    metric = difference.name.part
    output = next((name for name in difference.recording.losses if name and metric.startswith(f"{name}_")), "")
    if metric.removeprefix(f"{output}_") not in _ACCURACIES or difference.left.size != 1:
        return
    predictions = difference.recording.observations.get(of_output("predictions", output))
    labels = difference.recording.labels.get(of_output("y_true", output))
    if predictions is None or labels is None or labels.dtype == object:
        return
    scores = predictions.value
    if scores.shape[-1] > 1 and labels.size == scores.size // scores.shape[-1]:
        right = scores.argmax(axis=-1) == labels.reshape(scores.shape[:-1])
    elif scores.shape[-1] > 1 and labels.shape == scores.shape:
        right = scores.argmax(axis=-1) == labels.argmax(axis=-1)
    else:
        return
    mask = difference.recording.labels.get(of_output("mask", output))
    weight = difference.recording.labels.get(of_output("sample_weight", output))
    counted = np.ones(right.shape) if mask is None or mask.shape != right.shape else mask.astype(np.float64)
    plain = np.array(right.mean(), np.float64)
    values = {"left": difference.left.astype(np.float64), "right": difference.right.astype(np.float64)}
    if mask is not None and 0 < counted.sum() < counted.size:
        masked = np.array((right * counted).sum() / counted.sum())
        for side, (side_name, other_name) in (
            (difference.side, ("left", "right")),
            (difference.reference_side, ("right", "left")),
        ):
            if (
                difference.excess(values[side_name], plain) <= 1
                and difference.excess(values[other_name], masked) <= 1
                and difference.excess() >= FAR
            ):
                text = f"on {difference.side} the accuracy counts masked entries ({int((counted == 0).sum())} of {counted.size})"
                if side != difference.side:
                    text = f"on {difference.side} the accuracy is that of unmasked entries, where {side} counts masked ones"
                yield claim(difference, "mask-ignored", text, "Do not rely on masked metrics; apply the mask yourself.")
                return
    shown = plain if mask is None else np.array((right * counted).sum() / max(counted.sum(), 1.0))
    if (words := _wrong_count(difference, values, float(shown), counted)) is not None:
        yield claim(difference, "reduction", f"on {difference.side} the accuracy {words}", "Count the examples yourself.")
        return
    if weight is not None and weight.size == len(right) and right.ndim == 1:
        weight = weight.reshape(len(right)).astype(np.float64)
        weighed = np.array((right * weight).sum() / weight.sum()) if weight.sum() else plain
        if (
            difference.excess(values["left"], plain) <= 1
            and difference.excess(values["right"], weighed) <= 1
            and difference.excess() >= FAR
        ):
            yield claim(
                difference,
                "sample-weight-ignored",
                f"on {difference.side} the accuracy takes no weights",
                "Name it in weighted_metrics.",
            )


def _wrong_count(difference: Difference, values: Mapping[str, np.ndarray], right: float, counted: np.ndarray) -> str | None:
    """By what the accuracy of the suspects is divided instead of the number of entries, in words; None if nothing fits."""
    n = float(counted.sum())
    counts = {"twice their number": 2 * n, "their number and one more": n + 1, "their number without one": n - 1}
    if counted.ndim > 1 and len(counted) != n:
        counts["the number of sequences"] = float(len(counted))
    if not right or difference.excess() < FAR or difference.excess(values["right"], np.full(values["right"].shape, right)) > 1:
        return None
    fitting = [
        words for words, count in counts.items()
        if count > 0 and difference.excess(values["left"], np.full(values["left"].shape, right * n / count)) <= 1
    ]  # fmt: skip
    return f"divides the hits by {fitting[0]}" if len(fitting) == 1 else None
