"""Test hypotheses about a loss: the one whose value equals that of a backend tells what the backend did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from backendcheck.compare.tolerances import Allowed
from backendcheck.diagnose.evidence.diagnosis import Diagnosis, title
from backendcheck.diagnose.evidence.difference import FAR, NEAR, Difference, excess, residue
from backendcheck.diagnose.evidence.hypotheses import Hypothesis, hypotheses, smoothings
from backendcheck.diagnose.evidence.identified import identified_loss
from backendcheck.diagnose.evidence.situation import Situation, allowance_of
from backendcheck.reference.of_recording import DeclaredLoss
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import of_output

CODES = (
    "label-truncated", "label-wrapped", "off-by-one", "class-order", "example-order", "label-smoothing", "missing-label-counted",
    "mask-ignored", "sample-weight-ignored", "sample-weight-misapplied", "logits-as-probabilities", "axis", "broadcast",
    "reduction",
)  # fmt: skip
# Entries of the predictions times classes. A gradient takes 14 evaluations for each class and each hypothesis.
_LARGEST_GRADIENT = 40_000


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Side:
    """What one side of a difference recorded of a loss, by quantity, and where it differs from the opposite side."""

    legs: tuple[str, ...]
    words: str
    observed: Mapping[str, np.ndarray]
    differing: Mapping[str, Difference]
    opposite: Mapping[str, np.ndarray]
    allowances: Mapping[str, Allowed]
    is_reference_side: bool = False


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses the first hypothesis that gives all recorded quantities of the loss, with a margin.

    The reference side is tested only if no hypothesis fits a suspected side.
    """
    diagnoses = [*_claims(situation, reference_side=False)] or [*_claims(situation, reference_side=True)]
    return _joined(diagnoses)


def _claims(situation: Situation, *, reference_side: bool) -> Iterator[Diagnosis]:
    """At most one diagnosis for each leg, of its suspected sides or of its reference sides."""
    explained_legs: set[str] = set()
    for leg, recording in situation.recordings.items():
        for output in recording.losses:
            for declared in _declarations(situation, leg, output) if leg not in explained_legs else ():
                sides = (side for side in _sides(situation, leg, output, declared) if side.is_reference_side == reference_side)
                claim = next((diagnosis for side in sides if (diagnosis := _claim(declared, side, output)) is not None), None)
                if claim is not None:
                    explained_legs |= {*claim.backends}
                    yield claim
                    break


def _declarations(situation: Situation, leg: str, output: str) -> Iterator[DeclaredLoss]:
    """The loss that this leg declares, then those that other legs declare; or the standard loss that a custom loss equals."""
    own_loss = situation.declared.get((leg, output))
    if own_loss is None:
        identified = identified_loss(situation, leg, output)
        if identified is not None:
            yield identified
        return
    yield own_loss
    specs = [own_loss.spec]
    for (_, name), declared in situation.declared.items():
        if name == output and declared is not None and declared.spec not in specs:
            specs.append(declared.spec)
            yield replace(own_loss, spec=declared.spec)


def _claim(declared: DeclaredLoss, side: _Side, output: str) -> Diagnosis | None:
    if not side.differing or _is_as_declared(declared, side):
        return None
    matching = [hypothesis for hypothesis in _candidates(declared, side) if _matches(hypothesis, side)]
    if not matching:
        return None
    best = matching[0]
    alternatives = list(
        dict.fromkeys(f"{hypothesis.code} ({hypothesis.words})" for hypothesis in matching[1:] if hypothesis.code != best.code)
    )
    quantity = next(iter(side.differing))
    difference = side.differing[quantity]
    value = best.value(quantity)
    quantity_words = {"gradient": "gradient", "loss": "loss", "per_example_loss": "per-example loss"}[quantity]
    evidence = {
        "observation": difference.observation,
        "supposed": best.words,
        "excess as declared": difference.excess(side.observed[quantity], side.opposite[quantity]),
        "excess as supposed": None if value is None else difference.excess(side.observed[quantity], value),
        **best.evidence,
    }
    if alternatives:
        evidence["would fit as well"] = "; ".join(alternatives[:4])
    of_output = f" of {output}" if output else ""
    only = " Only the gradient shows it: the loss that is printed is right." if quantity == "gradient" else ""
    return Diagnosis(
        code=best.code,
        backends=side.legs,
        message=f"The {quantity_words}{of_output} on {side.words} is what it would be if {best.words}.{only} {best.remedy}",
        evidence=evidence,
        headline=f"{title(best.code)}: the {quantity_words}{of_output} on {side.words} is as if {best.words}",
        remedy=best.remedy,
    )


def _is_as_declared(declared: DeclaredLoss, side: _Side) -> bool:
    """Whether this side has the declared loss. Then its predictions differ, or the opposite side is wrong."""
    plain = Hypothesis(code="", words="", remedy="", declared=declared)
    decisive = [quantity for quantity in side.differing if quantity != "gradient"] or ["gradient"]
    values = [(quantity, plain.value(quantity)) for quantity in decisive]
    return all(
        value is not None and side.differing[quantity].excess(side.observed[quantity], value) <= NEAR
        for quantity, value in values
    )


def _is_small(declared: DeclaredLoss) -> bool:
    return bool(declared.y_pred.size * (declared.y_pred.shape or (1,))[-1] <= _LARGEST_GRADIENT)


def _candidates(declared: DeclaredLoss, side: _Side) -> Iterator[Hypothesis]:
    if {*side.differing} == {"gradient"}:
        gradient = side.differing["gradient"]
        if not _is_small(declared) or gradient.explained(right=-gradient.right.astype(np.float64)):
            return  # a change of sign; with two classes their exchange looks the same
    order = [*hypotheses(declared)]
    late = ("logits-as-probabilities", "axis", "broadcast", "reduction")
    at = next(
        (n for n, hypothesis in enumerate(order) if hypothesis.code in late),
        len(order),
    )
    yield from order[:at]
    yield from smoothings(declared, {name: side.observed[name] for name in side.differing if name in side.observed})
    yield from order[at:]


def _matches(hypothesis: Hypothesis, side: _Side) -> bool:
    """Whether the hypothesis gives every quantity of the side, and the sides were far apart before.

    The quantity that differs most determines how much noise may remain, because all quantities come from one run.
    """
    before = {
        quantity: difference.excess(side.observed[quantity], side.opposite[quantity])
        for quantity, difference in side.differing.items()
    }
    if max(before.values()) < FAR:
        return False
    of_losses = max((value for quantity, value in before.items() if quantity != "gradient"), default=0.0)
    bound = residue(max(before.values()))
    for quantity, observed in side.observed.items():
        if quantity == "gradient" and of_losses >= FAR:
            continue  # expensive, and the losses decide already
        value = hypothesis.value(quantity)
        if value is None or value.shape != observed.shape:
            if quantity in side.differing:
                return False
            continue
        if quantity not in side.differing:
            if excess(observed, value, side.allowances[quantity]) > NEAR:
                return False
        elif side.differing[quantity].excess(observed, value) > min(bound, before[quantity] / 2):
            return False
    return True


def _sides(situation: Situation, leg: str, output: str, declared: DeclaredLoss) -> Iterator[_Side]:
    """The sides of `leg`: as recorded, and through its other paths, each with the opposite side."""
    names = {of_output(quantity, output): quantity for quantity in ("per_example_loss", "loss")}
    names[of_output("gradient/y_pred", output)] = "gradient"
    if declared.alone:
        names |= {"loss": "loss"}
    else:
        names.pop(of_output("gradient/y_pred", output), None)
        if not output:
            names.pop("loss", None)
    recording = situation.recordings[leg]
    observed = {
        quantity: recording.observations[name].value for name, quantity in names.items() if name in recording.observations
    }
    allowances = {quantity: allowance_of(recording, name) for name, quantity in names.items() if name in recording.observations}
    small = _is_small(declared)
    if not small:
        observed.pop("gradient", None)
    by_path: dict[str, dict[str, Difference]] = {}
    suspected: dict[str, Difference] = {}
    for difference in situation.differences:
        quantity = names.get(difference.observation)
        if difference.oracle is Oracle.ORDER:
            continue  # it permutes labels and weights itself
        if quantity is None or not difference.is_numeric or (quantity == "gradient" and not small) or difference.excess() <= NEAR:
            continue
        if difference.path and leg in difference.suspects:
            by_path.setdefault(difference.path, {}).setdefault(quantity, difference)
        elif leg in difference.suspects:
            suspected.setdefault(quantity, difference)
        elif difference.reference_side == leg and not difference.path:
            by_path.setdefault("", {}).setdefault(quantity, difference)
    legs = max((difference.suspects for difference in suspected.values()), key=len, default=(leg,))
    if suspected:
        opposite = {quantity: difference.right for quantity, difference in suspected.items()}
        yield _Side(
            legs=legs,
            words=listed(legs),
            observed=observed,
            differing=_in_flow(suspected),
            opposite=opposite,
            allowances=allowances,
        )
    for path, differing in by_path.items():
        if not path:  # the leg is on the reference side, perhaps wrongly: no reference has confirmed it
            opposite = {quantity: difference.left for quantity, difference in differing.items()}
            yield _Side(
                legs=(leg,),
                words=leg,
                observed=observed,
                differing=_in_flow(differing),
                opposite=opposite,
                allowances=allowances,
                is_reference_side=True,
            )
            continue
        observed_there = {quantity: difference.left for quantity, difference in differing.items()}
        opposite = {quantity: difference.right for quantity, difference in differing.items()}
        yield _Side(
            legs=(leg,),
            words=f"{leg} through {path}",
            observed=observed_there,
            differing=_in_flow(differing),
            opposite=opposite,
            allowances=allowances,
        )
        yield _Side(
            legs=(leg,),
            words=leg,
            observed=opposite,
            differing=_in_flow(differing),
            opposite=observed_there,
            allowances=allowances,
        )


def _in_flow(differing: Mapping[str, Difference]) -> dict[str, Difference]:
    return {quantity: differing[quantity] for quantity in ("per_example_loss", "loss", "gradient") if quantity in differing}


def _joined(diagnoses: list[Diagnosis]) -> list[Diagnosis]:
    """One diagnosis for legs with the same hypothesis."""
    joined: dict[tuple[str, str], Diagnosis] = {}
    for diagnosis in diagnoses:
        joined.setdefault((diagnosis.code, str(diagnosis.evidence.get("supposed"))), diagnosis)
    return list(joined.values())
