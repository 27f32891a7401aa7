"""`sample-weight-ignored`, `sample-weight-misapplied`: weights for each label, in a loss that is known by its values.

The losses of the labels are computed from the recorded labels and predictions. The side that is not suspected has to be their
mean with the weights as given, and the suspected side their mean with the weights changed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, claim
from backendcheck.diagnose.evidence.difference import FAR, NEAR, Difference
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.vocabulary.observations import Quantity, of_output

CODES = ("sample-weight-ignored", "sample-weight-misapplied")
_EPSILON = 1e-7
_REMEDY = "Check that this path takes sample_weight; multiply the unreduced loss by hand to be sure."


def detect(situation: Situation) -> list[Diagnosis]:
    """At most one diagnosis for each set of legs."""
    diagnoses: dict[tuple[str, ...], Diagnosis] = {}
    for difference in situation.differing(Quantity.PER_EXAMPLE_LOSS):
        if difference.excess() < FAR or situation.differs_upstream(difference):
            continue
        for side in difference.orientations:
            for diagnosis in _of_labels(side):
                diagnoses.setdefault(diagnosis.backends, diagnosis)
    return list(diagnoses.values())


def _of_labels(difference: Difference) -> Iterator[Diagnosis]:
    labels = difference.recording.labels
    y, weight = (labels.get(of_output(name, difference.output)) for name in ("y_true", "sample_weight"))
    predictions = difference.recording.observations.get(of_output("predictions", difference.output))
    p = labels.get("y_pred", None if predictions is None else predictions.value)
    if y is None or weight is None or p is None or not y.shape == weight.shape == p.shape or y.ndim != 2:  # noqa: PLR2004
        return
    w = weight.astype(np.float64)
    for losses in _losses_of_labels(y.astype(np.float64), p.astype(np.float64)):
        if difference.right.shape != losses.shape[:1] or difference.excess(left=(w * losses).mean(axis=1)) > NEAR:
            continue
        for code, words, changed in _changed(w):
            if difference.explained(right=(changed * losses).mean(axis=1)):
                yield claim(difference, code, f"on {difference.side} {words}", _REMEDY, excess=difference.excess())
                return


def _losses_of_labels(y: np.ndarray, p: np.ndarray) -> Iterator[np.ndarray]:
    """Cross-entropy, squared and absolute error of each label."""
    if ((p >= 0) & (p <= 1)).all():
        clipped = np.clip(p, _EPSILON, 1.0 - _EPSILON)
        yield -(y * np.log(clipped) + (1.0 - y) * np.log1p(-clipped))
    yield np.logaddexp(0.0, p) - y * p
    yield (y - p) ** 2
    yield np.abs(y - p)


def _changed(weight: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    if not (weight == 1.0).all():
        yield "sample-weight-ignored", "the weights of the labels are not applied", np.ones_like(weight)
    code = "sample-weight-misapplied"
    yield code, "the weights of the labels are applied twice", weight**2
    if weight.mean():
        yield code, "the weights of the labels are divided by their mean", weight / weight.mean()
    for step in (1, -1):
        yield code, "each example has the weights of its neighbor", np.roll(weight, step, axis=0)
        yield code, "each label has the weight of its neighbor", np.roll(weight, step, axis=1)
