"""`tie-order`: classes, indices or ranks differ only where the scores behind them tie."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.compare.tolerances import Tolerances
from backendcheck.diagnose.evidence.diagnosis import Diagnosis, sentence
from backendcheck.diagnose.evidence.difference import Difference
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import ObservationName, Quantity

CODES = ("tie-order",)
_LONGEST_LIST = 12
_BREAK_TIES = "Only ties are affected; break ties yourself."


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses the earliest observation that shows it, once for each set of legs."""
    diagnoses: dict[tuple[str, ...], Diagnosis] = {}
    for diagnosis in _tie_order(situation):
        diagnoses.setdefault(diagnosis.backends, diagnosis)
    return list(diagnoses.values())


def _tie_order(situation: Situation) -> Iterator[Diagnosis]:
    """Classes, indices or ranks that differ only where the scores behind them tie."""
    for difference in situation.differing(Quantity.PREDICTED_CLASS, Quantity.VALUE):
        if difference.left.dtype.kind not in "iu" or not difference.left.ndim or situation.differs_upstream(difference):
            continue
        if difference.quantity is Quantity.PREDICTED_CLASS and difference.oracle == Oracle.AGREEMENT:
            continue  # the agreement oracle accepts ties
        apart = difference.left != difference.right
        scores = _scores(difference, situation)
        for name, tied in scores:
            if tied.shape == apart.shape and apart.any() and not (apart & ~tied).any():
                places = np.argwhere(apart)
                index = tuple(places[0])
                text = (
                    f"{difference.observation} differs in {len(places)} of {apart.size} places, and in all of them "
                    f"{name} ties: at "
                    f"{places[0].tolist()} it is {int(difference.left[index])} on {difference.side}, "
                    f"{int(difference.right[index])} on {difference.reference_side}"
                )
                yield Diagnosis(
                    code="tie-order", backends=difference.suspects, headline=f"TIE ORDER: {text}",
                    message=f"{sentence(text)}. {_BREAK_TIES}", remedy=_BREAK_TIES,
                    evidence={"observation": difference.observation, "ties in": name,
                              "places": [place.tolist() for place in places[:_LONGEST_LIST]]},
                )  # fmt: skip
                break


def _scores(difference: Difference, situation: Situation) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays that agree on both sides, with the places where their values tie."""
    if difference.quantity is Quantity.PREDICTED_CLASS:
        predictions = difference.recording.observations.get(difference.observation.replace("predicted_class", "predictions", 1))
        if predictions is not None and predictions.value.shape[:-1] == difference.left.shape:
            yield "the best score", _ties_between(predictions.value, difference, predictions.precision)
        return
    for name, observation in difference.recording.observations.items():
        if name == difference.observation or observation.value.dtype.kind not in "fiu" or not observation.value.ndim:
            continue
        if situation.differs(name, *difference.suspects):
            continue
        values = observation.value.astype(np.float64)
        short = ObservationName.parse(name).part
        if values.shape == difference.left.shape:
            # For indices of sorted values, a tie is a value that occurs twice in its row.
            twice = (values[..., :, None] == values[..., None, :]).sum(axis=-1) > 1
            yield short, twice
        if values.ndim == difference.left.ndim + 1 and values.shape[:-1] == difference.left.shape:
            yield short, _ties_between(values, difference, observation.precision)
        if (
            values.shape[:-1] == difference.left.shape[:-1]
            and difference.left.max(initial=0) < values.shape[-1]
            and difference.left.min(initial=0) >= 0
        ):
            first = np.take_along_axis(values, difference.left.astype(np.int64), axis=-1)
            second = np.take_along_axis(values, np.clip(difference.right.astype(np.int64), 0, values.shape[-1] - 1), axis=-1)
            yield short, first == second


def _ties_between(scores: np.ndarray, difference: Difference, precision: str) -> np.ndarray:
    """Where the scores of the two classes differ by no more than the tolerance of scores."""
    n = scores.shape[-1]
    indices = [np.clip(classes.astype(np.int64), 0, n - 1)[..., None] for classes in (difference.left, difference.right)]
    first, second = (np.take_along_axis(scores.astype(np.float64), classes, axis=-1)[..., 0] for classes in indices)
    recording: Recording = difference.recording
    allowance = Tolerances.of(recording).allowed("predictions", precision)
    bound = allowance.tolerance.atol + allowance.tolerance.rtol * np.maximum(np.abs(first), np.abs(second))
    tied: np.ndarray = np.abs(first - second) <= 2 * bound
    return tied
