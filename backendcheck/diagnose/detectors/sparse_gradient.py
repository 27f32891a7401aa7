"""`sparse-gradient`: an optimizer applies the rows of a sparse gradient one by one instead of their sum."""

from __future__ import annotations

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, title
from backendcheck.diagnose.evidence.difference import excess, residue
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import DENSE_GRADIENTS, Quantity

CODES = ("sparse-gradient",)
_MOST = 3  # weights named in the message


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses a backend that reaches the weights of the other backends only if the rows of its gradients are summed first.

    For this, the recorder trains a second time with dense gradients; nothing else is different.
    """
    differences = [
        difference for difference in situation.differences
        if difference.oracle == Oracle.PATHS and difference.path == DENSE_GRADIENTS
        and difference.quantity in (Quantity.TRAIN_WEIGHT, Quantity.TRAIN_OPTIMIZER) and difference.is_float
    ]  # fmt: skip
    if not differences:
        return []
    # A small step may leave the weights within tolerance, and only the squares that the optimizer keeps differ.
    weights = [difference for difference in differences if difference.quantity is Quantity.TRAIN_WEIGHT]
    paths = [difference.name.part for difference in weights] or [
        difference.name.part.rpartition("/")[0] for difference in differences
    ]
    differences = weights or differences
    leg = differences[0].suspects[0]
    other_legs = [leg_name for leg_name in situation.recordings if leg_name != leg]
    for difference in differences:
        for leg_name in other_legs:
            observation = situation.recordings[leg_name].observations.get(difference.observation)
            if observation is None or excess(difference.left, observation.value, difference.allowance) > residue(
                difference.excess()
            ):
                return []
    paths = list(dict.fromkeys(paths))
    named = listed(paths[:_MOST]) + (f" and {len(paths) - _MOST} more" if len(paths) > _MOST else "")
    then = f"it trains as {listed(other_legs)}" if len(other_legs) == 1 else f"it trains as {listed(other_legs)} do"
    # Where several weights differ, those behind the one with rows do so as a consequence.
    taken = f"the gradient of {named} row by row" if len(paths) == 1 else f"a gradient row by row, which changes {named}"
    text = f"{leg} takes {taken}; added up first, {then if other_legs else 'it trains otherwise'}"
    remedy = (
        "Train with plain SGD, or give the optimizer dense gradients: in a custom train_step, "
        "tf.convert_to_tensor(gradient) for each tf.IndexedSlices."
    )
    message = (
        f"{text}. The gradient of an embedding has one row for each lookup in the batch. The optimizer squares each "
        f"row instead of "
        f"their sum. {remedy}"
    )
    evidence = {
        "observation": differences[0].observation, "optimizer": differences[0].recording.optimizer.rpartition(".")[2],
        "excess": max(difference.excess() for difference in differences),
    }  # fmt: skip
    headline = f"{title(CODES[0])}: {text}"
    return [Diagnosis(code=CODES[0], backends=(leg,), message=message, remedy=remedy, evidence=evidence, headline=headline)]
