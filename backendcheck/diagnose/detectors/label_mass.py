"""`label-mass`: the gradient of a cross-entropy over classes takes each row of labels to sum to 1.

The loss -sum(y log softmax(z)) has the gradient sum(y) softmax(z) - y. Without the sum it holds only for rows that sum to 1.
Multi-hot rows, weighted rows and rows of zeros then get another gradient, while the losses agree.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, claim
from backendcheck.diagnose.evidence.difference import FAR, NEAR, Difference
from backendcheck.diagnose.evidence.hypotheses import softmax
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.text.words import counted
from backendcheck.vocabulary.observations import Quantity, of_output

CODES = ("label-mass",)
_ONE = 1e-3  # how far from 1 a row may sum


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses the first gradient by predictions, or by the biases of the last layer, that shows it."""
    diagnoses: dict[tuple[str, ...], Diagnosis] = {}
    for diagnosis in _label_mass(situation):
        diagnoses.setdefault(diagnosis.backends, diagnosis)
    return list(diagnoses.values())


def _label_mass(situation: Situation) -> Iterator[Diagnosis]:
    for difference in situation.differing(Quantity.GRADIENT):
        if difference.excess() < FAR:
            continue
        for side in difference.orientations:
            rows = _rows(side, situation)
            if rows is None:
                continue
            with_mass, without_mass, n_rows = rows
            factor = _factor(side.right.astype(np.float64), with_mass) or _factor(side.left.astype(np.float64), without_mass)
            if factor is None or factor <= 0:
                continue
            if side.excess(right=factor * without_mass) > NEAR or side.excess(left=factor * with_mass) > NEAR:
                continue
            rest = f"{counted(n_rows, 'row')} {'does' if n_rows == 1 else 'do'} not"
            text = f"{side.subject} takes each row of labels to sum to 1, and {rest}"
            remedy = "Give rows that sum to 1, or weight the examples instead of their labels."
            yield claim(side, "label-mass", text, remedy, excess=side.excess(), rows=n_rows)
            break


def _rows(side: Difference, situation: Situation) -> tuple[np.ndarray, np.ndarray, int] | None:
    """The gradient up to a factor, with the sums of the labels and without, and how many rows do not sum to 1."""
    recording, outputs = side.recording, [side.output] if side.name.of_predictions else list(side.recording.losses)
    for output in outputs:
        y = recording.labels.get(of_output("y_true", output))
        scores = recording.labels.get("y_pred")
        if scores is None and (predictions := recording.observations.get(of_output("predictions", output))) is not None:
            scores = predictions.value
        name = str(recording.losses.get(output, {}).get("name", ""))
        if y is None or scores is None or y.dtype == object or y.ndim != 2 or y.shape != scores.shape:  # noqa: PLR2004
            continue
        if recording.losses[output].get("from_keras") and name != "categorical_crossentropy":
            continue
        if any(situation.differs(of_output(quantity, output), *side.suspects) for quantity in ("per_example_loss", "loss")):
            continue
        y = y.astype(np.float64)
        mass = y.sum(axis=-1, keepdims=True)
        n_rows = int((np.abs(mass - 1.0) > _ONE).sum())
        are_shares = bool((scores >= 0).all() and np.allclose(scores.astype(np.float64).sum(axis=-1), 1.0, atol=_ONE))
        p = scores.astype(np.float64) if are_shares and not side.name.of_predictions else softmax(scores)
        by_row = mass * p - y, p - y
        if not n_rows:
            continue
        if side.name.of_predictions:
            return *by_row, n_rows
        if side.left.shape == y.shape[1:]:  # the biases of the layer in front of the softmax
            return by_row[0].sum(axis=0), by_row[1].sum(axis=0), n_rows
    return None


def _factor(gradient: np.ndarray, rows: np.ndarray) -> float | None:
    size = float((rows * rows).sum())
    if gradient.shape != rows.shape or size < 1e-12 or not np.isfinite(gradient).all():  # noqa: PLR2004 - nothing but rounding
        return None
    return float((gradient * rows).sum()) / size
