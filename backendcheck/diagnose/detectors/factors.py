"""`sign`, `scale`, `reduction`: one side is a constant times the other, or its weights moved a multiple of the gradient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.diagnose.evidence.counts import counts, ignored_labels
from backendcheck.diagnose.evidence.counts import factors as counted_factors
from backendcheck.diagnose.evidence.diagnosis import Diagnosis, claim
from backendcheck.diagnose.evidence.difference import Difference
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.vocabulary.observations import Quantity, of_output

CODES = ("sign", "scale", "reduction")
_SAME = 1e-3  # relative difference of a factor from a count that noise may cause
_FEWEST = 3  # so many elements must show a factor
_AFTER_TRAINING = (Quantity.TRAIN_LOSS, Quantity.TRAIN_METRIC, Quantity.TRAIN_WEIGHT)


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses the earliest observation that a factor explains, once for each code and set of legs."""
    diagnoses: dict[tuple[str, tuple[str, ...]], Diagnosis] = {}
    for look in (_sign_and_scale, _step):
        for difference in situation.differences:
            if object not in (difference.left.dtype, difference.right.dtype):
                for diagnosis in look(difference, situation):
                    diagnoses.setdefault((diagnosis.code, diagnosis.backends), diagnosis)
    return list(diagnoses.values())


def _sign_and_scale(difference: Difference, _: Situation) -> Iterator[Diagnosis]:
    """A constant factor, shown by enough elements; the factor -1 by any number of them."""
    if not difference.is_float or not difference.left.size or difference.quantity in _AFTER_TRAINING:
        return
    if difference.explained(right=-difference.right.astype(np.float64)):
        remedy = "Look for a loss that is maximized there, or a subtraction with exchanged operands."
        yield claim(difference, "sign", f"{difference.subject} has the opposite sign", remedy)
    elif (factor := constant_factor(difference)) is not None:
        if (words := _count_behind(difference, factor)) is not None:
            text = f"{difference.subject} is {words}"
            yield claim(
                difference, "reduction", text, "Set reduction= explicitly, and check which axes are summed.", factor=factor
            )
            return
        remedy = "Look for a sum instead of a mean, or a constant that one side leaves out."
        yield claim(
            difference, "scale", f"{difference.subject} is {factor:.6g} times what it is elsewhere", remedy, factor=factor
        )


def _count_behind(difference: Difference, factor: float) -> str | None:
    """What a factor of per-example losses counts (classes, steps, examples, unmasked entries), in words; None if nothing."""
    if difference.quantity is not Quantity.PER_EXAMPLE_LOSS:
        return None
    recording, output = difference.recording, difference.output
    predictions = recording.labels.get("y_pred")
    if predictions is None and (observation := recording.observations.get(of_output("predictions", output))) is not None:
        predictions = observation.value
    mask = recording.labels.get(of_output("mask", output))
    numbers = counts(predictions, len(difference.left), mask=mask, ignored=ignored_labels(difference))
    fitting = [words for words, number in counted_factors(numbers) if abs(factor / number - 1.0) < _SAME]
    return " or ".join(fitting) or None


def constant_factor(difference: Difference) -> float | None:
    """The factor between the sides, if enough elements of different sizes show it; None otherwise."""
    left, right = difference.left.astype(np.float64).ravel(), difference.right.astype(np.float64).ravel()
    if left.shape != right.shape or not (np.isfinite(left).all() and np.isfinite(right).all()):
        return None
    telling = np.abs(right) > 1e-3 * np.abs(right).max(initial=0.0)
    if telling.sum() < _FEWEST or not np.ptp(np.abs(right[telling])):
        return None
    factor = float(left @ right / (right @ right))
    if f"{factor:.6g}" == "1":
        return None  # in float64 the rounding of float32 is far beyond the tolerance, and along the numbers by chance
    return factor if factor != 0.0 and difference.explained(right=factor * difference.right.astype(np.float64)) else None


def _step(difference: Difference, situation: Situation) -> Iterator[Diagnosis]:
    """Trained weights that differ by a multiple of a gradient on which the sides agree: another step length or direction."""
    if difference.quantity is not Quantity.TRAIN_WEIGHT or not difference.is_float:
        return
    name = difference.observation.replace("train/weight", "gradient", 1)
    gradient_observation = difference.recording.observations.get(name)
    if (
        gradient_observation is None
        or gradient_observation.value.shape != difference.left.shape
        or situation.differs(name, *difference.suspects)
    ):
        return
    gradient = gradient_observation.value.astype(np.float64).ravel()
    apart = (difference.left.astype(np.float64) - difference.right).ravel()
    telling = np.abs(gradient) > 1e-3 * np.abs(gradient).max(initial=0.0)
    if telling.sum() < _FEWEST or not np.isfinite(apart).all() or not np.isfinite(gradient).all() or not np.ptp(np.abs(gradient)):
        return
    ahead = float(apart @ gradient / (gradient @ gradient))
    if difference.explained(left=difference.left - (ahead * gradient).reshape(difference.left.shape)):
        text = (
            f"{difference.subject} is {abs(ahead):.4g} times its gradient {'short of' if ahead > 0 else 'beyond'} "
            f"where it is elsewhere"
        )
        remedy = "The gradients agree, so check the step: learning rate, sign, number of steps, scaling by the optimizer."
        yield claim(difference, "scale", text, remedy, **{"times the gradient": ahead})
