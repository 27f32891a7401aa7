"""`sparse-gradient`: an optimizer takes the rows of a gradient one by one, where the sum of those of one label is meant."""

from __future__ import annotations

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, title
from backendcheck.diagnose.evidence.difference import excess, residue
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.text.words import listed
from backendcheck.vocabulary.observations import DENSE_GRADIENTS, Kind

_CODE = "sparse-gradient"
_MOST = 3  # weights that are named


def detect(situation: Situation) -> list[Diagnosis]:
    """Claims it where a backend trains to other weights once rows of a gradient are added up, and then to those of the others.

    Recording trains a second time for it, with every gradient as one tensor; nothing else is different.
    """
    found = [
        one for one in situation.differences
        if one.oracle == "paths" and one.door == DENSE_GRADIENTS and one.kind is Kind.TRAIN_WEIGHT and one.is_float
    ]  # fmt: skip
    if not found:
        return []
    leg = found[0].suspects[0]
    others = [other for other in situation.recordings if other != leg]
    for one in found:
        for other in others:
            seen = situation.recordings[other].observations.get(one.observation)
            if seen is None or excess(one.left, seen.value, one.allowance) > residue(one.excess()):
                return []
    paths = [one.observation.removeprefix("train/weight/") for one in found]
    named = listed(paths[:_MOST]) + (f" and {len(paths) - _MOST} more" if len(paths) > _MOST else "")
    then = f"it trains as {listed(others)}" if len(others) == 1 else f"it trains as {listed(others)} do"
    text = f"{leg} takes the gradient of {named} row by row; added up first, {then if others else 'it trains otherwise'}"
    remedy = (
        "Train with plain SGD, or hand the optimizer dense gradients: in a train_step of your own, "
        "tf.convert_to_tensor(gradient) for each tf.IndexedSlices."
    )
    message = (
        f"{text}. What is looked up several times in a batch has as many rows in the gradient of an embedding, and the optimizer "
        f"squares each by itself where the square of their sum is meant. {remedy}"
    )
    evidence = {
        "observation": found[0].observation, "optimizer": found[0].recording.optimizer.rpartition(".")[2],
        "excess": max(one.excess() for one in found),
    }  # fmt: skip
    headline = f"{title(_CODE)}: {text}"
    return [Diagnosis(code=_CODE, backends=(leg,), message=message, remedy=remedy, evidence=evidence, headline=headline)]
