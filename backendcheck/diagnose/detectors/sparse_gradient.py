"""`sparse-gradient`: an optimizer applies the rows of a sparse gradient one by one instead of their sum."""

from __future__ import annotations

from collections.abc import Sequence

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, title
from backendcheck.diagnose.evidence.difference import Difference, excess, residue
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import DENSE_GRADIENTS, Quantity

CODES = ("sparse-gradient",)
_MOST = 3  # weights named in the message
_REMEDY = (
    "Train with plain SGD, or give the optimizer dense gradients: in a custom train_step, "
    "tf.convert_to_tensor(gradient) for each tf.IndexedSlices."
)


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses a backend that reaches the weights of the other backends only if the rows of its gradients are summed first.

    For this, the recorder trains a second time with dense gradients; nothing else is different. Where the step is so small that
    all of this is within tolerance, and only the reference tells it, the dense gradients have to give the reference.
    """
    differences = [
        difference for difference in situation.differences
        if difference.oracle == Oracle.PATHS and difference.path == DENSE_GRADIENTS and _is_of_training(difference)
    ]  # fmt: skip
    if not differences:
        return _against_the_reference(situation)
    # A small step may leave the weights within tolerance, and only the squares that the optimizer keeps differ.
    differences = [difference for difference in differences if difference.quantity is Quantity.TRAIN_WEIGHT] or differences
    leg = differences[0].suspects[0]
    other_legs = [leg_name for leg_name in situation.recordings if leg_name != leg]
    for difference in differences:
        for leg_name in other_legs:
            observation = situation.recordings[leg_name].observations.get(difference.observation)
            if observation is None or excess(difference.left, observation.value, difference.allowance) > residue(
                difference.excess()
            ):
                return []
    then = f"it trains as {listed(other_legs)}" if len(other_legs) == 1 else f"it trains as {listed(other_legs)} do"
    return [_diagnosis(leg, differences, then if other_legs else "it trains otherwise")]


def _against_the_reference(situation: Situation) -> list[Diagnosis]:
    differences = [
        difference for difference in situation.differences
        if difference.oracle is Oracle.REFERENCE and len(difference.suspects) == 1 and _is_of_training(difference)
    ]  # fmt: skip
    by_leg: dict[str, list[Difference]] = {}
    for difference in differences:
        dense = [
            variant.observations[difference.observation].value
            for variant in situation.recordings[difference.suspects[0]].variants
            if variant.path == DENSE_GRADIENTS and variant.raised is None and difference.observation in variant.observations
        ]
        if not dense or any(difference.excess(left=value) > residue(difference.excess()) for value in dense):
            return []
        by_leg.setdefault(difference.suspects[0], []).append(difference)
    return [
        _diagnosis(leg, of_leg, f"it follows the documented rule of {_optimizer(of_leg[0])}") for leg, of_leg in by_leg.items()
    ]


def _is_of_training(difference: Difference) -> bool:
    return difference.quantity in (Quantity.TRAIN_WEIGHT, Quantity.TRAIN_OPTIMIZER) and difference.is_float


def _diagnosis(leg: str, differences: Sequence[Difference], then: str) -> Diagnosis:
    paths = list(dict.fromkeys(
        difference.name.part if difference.quantity is Quantity.TRAIN_WEIGHT else difference.name.part.rpartition("/")[0]
        for difference in differences
    ))  # fmt: skip
    named = listed(paths[:_MOST]) + (f" and {len(paths) - _MOST} more" if len(paths) > _MOST else "")
    # Where several weights differ, those behind the one with rows do so as a consequence.
    taken = f"the gradient of {named} row by row" if len(paths) == 1 else f"a gradient row by row, which changes {named}"
    text = f"{leg} takes {taken}; added up first, {then}"
    message = (
        f"{text}. The gradient of an embedding has one row for each lookup in the batch. The optimizer squares each "
        f"row instead of their sum. {_REMEDY}"
    )
    evidence = {
        "observation": differences[0].observation, "optimizer": _optimizer(differences[0]),
        "excess": max(difference.excess() for difference in differences),
    }  # fmt: skip
    headline = f"{title(CODES[0])}: {text}"
    return Diagnosis(code=CODES[0], backends=(leg,), message=message, remedy=_REMEDY, evidence=evidence, headline=headline)


def _optimizer(difference: Difference) -> str:
    return difference.recording.optimizer.rpartition(".")[2]
