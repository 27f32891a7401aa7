"""`batch-means`: the loss of an output is reported as the mean over batches, where one batch is shorter than the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, title
from backendcheck.diagnose.evidence.difference import Difference
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Quantity, of_output

CODES = ("batch-means",)
_SUFFIX = "_loss"
_REMEDY = "Choose a batch size that divides the number of examples, or read the total loss, which is weighed by examples."


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses legs on which the loss of an output is the mean over batches, where the other side has the mean over examples."""
    by_leg: dict[str, list[Difference]] = {}
    for difference in situation.differing(Quantity.METRIC):
        if difference.oracle in (Oracle.AGREEMENT, Oracle.REFERENCE) and difference.name.part.endswith(_SUFFIX):
            for side in difference.orientations:
                by_leg.setdefault(side.suspects[0], []).append(side)
    for differences in by_leg.values():
        losses = [_losses(difference) for difference in differences]
        for size in range(2, max(map(len, losses), default=0)):
            pairs = zip(differences, losses, strict=True)
            if all(_is_explained(difference, values, size) for difference, values in pairs):
                legs = list(dict.fromkeys(suspect for difference in differences for suspect in difference.suspects))
                return [_diagnosis(legs, differences, size)]
    return []


def _losses(difference: Difference) -> np.ndarray:
    """The loss of each example on the suspected leg, (N, …), by the output that the metric names; empty if not recorded."""
    observation = difference.recording.observations.get(of_output("per_example_loss", difference.name.part.removesuffix(_SUFFIX)))
    return np.empty(0) if observation is None or observation.is_text else np.atleast_1d(observation.value.astype(np.float64))


def _is_explained(difference: Difference, losses: np.ndarray, size: int) -> bool:
    """Whether batches of `size` examples, the last one shorter, give the suspected side, and all examples together the other."""
    if not difference.is_float or difference.left.ndim or not len(losses) % size:
        return False
    batches = np.asarray([losses[start : start + size].mean() for start in range(0, len(losses), size)])
    return difference.explained(right=batches.mean()) and difference.explained(left=losses.mean())


def _diagnosis(legs: Sequence[str], differences: Sequence[Difference], size: int) -> Diagnosis:
    names = list(dict.fromkeys(difference.name.part.removesuffix(_SUFFIX) for difference in differences))
    losses = "loss" if len(names) == 1 else "losses"
    report = "reports" if len(legs) == 1 else "report"
    text = f"{listed(legs)} {report} the {losses} of {listed(names)} as the mean over batches, not over examples"
    message = f"{text}. The last batch is shorter, and counts as much as the others. {_REMEDY}"
    evidence = {"batch size": size, "excess": max(difference.excess() for difference in differences)}
    headline = f"{title(CODES[0])}: {text}"
    return Diagnosis(code=CODES[0], backends=tuple(legs), message=message, remedy=_REMEDY, evidence=evidence, headline=headline)
