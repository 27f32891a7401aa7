"""`wrong-update`: an optimizer makes another step of a gradient than its documented rule."""

from __future__ import annotations

from collections.abc import Sequence

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, title
from backendcheck.diagnose.evidence.difference import Difference
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import OPTIMIZER_BY_HAND, Quantity

CODES = ("wrong-update",)
_MARGIN = 2.0  # of the excess; what is allowed is ten times the noise of sound gradients already
_MOST = 3  # observations named in the message
_REMEDY = "Compare the options of the optimizer with its documentation, and its rule with that of another version of Keras."


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses legs whose optimizer, called by hand with the recorded gradients, also misses its rule.

    The reference starts from the recorded gradients. `fit` and the optimizer by hand agree, so the gradients of `fit` are these.
    """
    by_legs: dict[tuple[str, ...], list[Difference]] = {}
    for difference in situation.differences:
        of_update = difference.quantity in (Quantity.TRAIN_WEIGHT, Quantity.TRAIN_OPTIMIZER)
        if difference.oracle is not Oracle.REFERENCE or not of_update or difference.excess() < _MARGIN:
            continue
        legs = tuple(leg for leg in difference.suspects if _is_confirmed(situation, difference, leg))
        if legs:
            by_legs.setdefault(legs, []).append(difference)
    return [_diagnosis(legs, differences) for legs, differences in by_legs.items()]


def _is_confirmed(situation: Situation, difference: Difference, leg: str) -> bool:
    """Whether a leg misses the built-in reference by hand, too, and has the same value there as in `fit`.

    A sparse gradient, of which `fit` takes the rows one by one, is dense by hand, and then meets the reference.
    """
    recording = situation.recordings[leg]
    by_hand = [
        variant.observations[difference.observation].value for variant in recording.variants
        if variant.path == OPTIMIZER_BY_HAND and variant.raised is None and difference.observation in variant.observations
    ]  # fmt: skip
    if difference.observation in recording.reference or not by_hand:
        return False
    if any(difference.excess(left=value) < _MARGIN for value in by_hand):
        return False
    gradient = f"gradient/{difference.name.part}"
    return not any(
        finding.left == leg and (finding.right.path == OPTIMIZER_BY_HAND or finding.observation == gradient)
        for finding in situation.findings
    )


def _diagnosis(legs: tuple[str, ...], differences: Sequence[Difference]) -> Diagnosis:
    optimizer = differences[0].recording.optimizer.rpartition(".")[2]
    names = [difference.observation for difference in differences]
    named = listed(names[:_MOST]) + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")
    text = f"the update on {listed(legs)} does not follow the documented rule of {optimizer}"
    worst = max(differences, key=lambda difference: difference.excess())
    return Diagnosis(
        code=CODES[0],
        backends=legs,
        message=(
            f"T{text[1:]}, although the gradients are right: {named} differ from it. The optimizer called by hand with the "
            f"recorded gradients misses the rule as fit does. {_REMEDY}"
        ),
        remedy=_REMEDY,
        evidence={"observation": worst.observation, "optimizer": optimizer, "excess": worst.excess()},
        headline=f"{title(CODES[0])}: {text}: {named}",
    )
