"""Replay the declared loss under suppositions: the one whose value is that of a backend says what the backend did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from backendcheck.compare.tolerances import Allowed
from backendcheck.diagnose.evidence.diagnosis import Diagnosis, title
from backendcheck.diagnose.evidence.difference import FAR, NEAR, Difference, excess, residue
from backendcheck.diagnose.evidence.hypotheses import Supposition, smoothings, suppositions
from backendcheck.diagnose.evidence.identified import identified_loss
from backendcheck.diagnose.evidence.situation import Situation, allowance_of
from backendcheck.reference.of_recording import DeclaredLoss
from backendcheck.text.words import listed

# A gradient takes 14 evaluations for each class and each supposition: entries of the predictions times classes.
_LARGEST_GRADIENT = 40_000


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Side:
    """What one side recorded of a loss, by quantity, and where it differs from the other side."""

    legs: tuple[str, ...]
    words: str
    observed: Mapping[str, np.ndarray]
    differing: Mapping[str, Difference]
    opposite: Mapping[str, np.ndarray]
    allowances: Mapping[str, Allowed]
    trusted: bool = False


def detect(situation: Situation) -> list[Diagnosis]:
    """Claims the first supposition that gives what a side recorded, in all quantities of the loss and with a margin."""
    found = [*_claims(situation, trusted=False)] or [*_claims(situation, trusted=True)]
    return _joined(found)


def _claims(situation: Situation, *, trusted: bool) -> Iterator[Diagnosis]:
    """One claim for each leg, of what it is accused of; of sides that are `trusted` only if nobody else is to be explained."""
    told: set[str] = set()
    for leg, recording in situation.recordings.items():
        for output in recording.losses:
            for declared in _declarations(situation, leg, output) if leg not in told else ():
                sides = (side for side in _sides(situation, leg, output, declared) if side.trusted == trusted)
                claim = next((one for side in sides if (one := _claim(declared, side, output)) is not None), None)
                if claim is not None:
                    told |= {*claim.backends}
                    yield claim
                    break


def _declarations(situation: Situation, leg: str, output: str) -> Iterator[DeclaredLoss]:
    """The loss that this leg declares, then what other legs declare instead; or what a custom loss is known to be."""
    own = situation.declared.get((leg, output))
    if own is None:
        identified = identified_loss(situation, leg, output)
        if identified is not None:
            yield identified
        return
    yield own
    specs = [own.spec]
    for (_, name), other in situation.declared.items():
        if name == output and other is not None and other.spec not in specs:
            specs.append(other.spec)
            yield replace(own, spec=other.spec)


def _claim(declared: DeclaredLoss, side: _Side, output: str) -> Diagnosis | None:
    if not side.differing or _is_as_declared(declared, side):
        return None
    matching = [one for one in _candidates(declared, side) if _matches(one, side)]
    if not matching:
        return None
    best = matching[0]
    others = list(dict.fromkeys(f"{one.code} ({one.words})" for one in matching[1:] if one.code != best.code))
    quantity = next(iter(side.differing))
    difference = side.differing[quantity]
    value = best.value(quantity)
    what = {"gradient": "gradient", "loss": "loss", "per_example_loss": "per-example loss"}[quantity]
    evidence = {
        "observation": difference.observation,
        "supposed": best.words,
        "excess as declared": difference.excess(side.observed[quantity], side.opposite[quantity]),
        "excess as supposed": None if value is None else difference.excess(side.observed[quantity], value),
        **best.evidence,
    }
    if others:
        evidence["would fit as well"] = "; ".join(others[:4])
    of_output = f" of {output}" if output else ""
    only = " Only the gradient shows it: the loss that is printed is right." if quantity == "gradient" else ""
    return Diagnosis(
        code=best.code,
        backends=side.legs,
        message=f"The {what}{of_output} on {side.words} is what it would be if {best.words}.{only} {best.remedy}",
        evidence=evidence,
        headline=f"{title(best.code)}: the {what}{of_output} on {side.words} is as if {best.words}",
        remedy=best.remedy,
    )


def _is_as_declared(declared: DeclaredLoss, side: _Side) -> bool:
    """Whether the side did as declared: then whatever differs came with its predictions, or is the other side's doing."""
    plain = Supposition(code="", words="", remedy="", declared=declared)
    decisive = [quantity for quantity in side.differing if quantity != "gradient"] or ["gradient"]
    values = [(quantity, plain.value(quantity)) for quantity in decisive]
    return all(
        value is not None and side.differing[quantity].excess(side.observed[quantity], value) <= NEAR
        for quantity, value in values
    )


def _is_small(declared: DeclaredLoss) -> bool:
    return bool(declared.y_pred.size * (declared.y_pred.shape or (1,))[-1] <= _LARGEST_GRADIENT)


def _candidates(declared: DeclaredLoss, side: _Side) -> Iterator[Supposition]:
    if {*side.differing} == {"gradient"}:
        one = side.differing["gradient"]
        if not _is_small(declared) or one.explained(right=-one.right.astype(np.float64)):
            return  # a change of sign is that, though of two classes their exchange may look alike
    order = [*suppositions(declared)]
    late = ("logits-as-probabilities", "axis", "broadcast", "reduction")
    at = next(
        (n for n, one in enumerate(order) if one.code in late),
        len(order),
    )
    yield from order[:at]
    yield from smoothings(declared, {name: side.observed[name] for name in side.differing if name in side.observed})
    yield from order[at:]


def _matches(supposed: Supposition, side: _Side) -> bool:
    """Whether it gives every quantity of the side, and is far from the other side in one that differs.

    What noise may be left is measured by the quantity that differs most: it is one run, and one noise.
    """
    before = {quantity: one.excess(side.observed[quantity], side.opposite[quantity]) for quantity, one in side.differing.items()}
    if max(before.values()) < FAR:
        return False
    of_losses = max((figure for quantity, figure in before.items() if quantity != "gradient"), default=0.0)
    bound = residue(max(before.values()))
    for quantity, seen in side.observed.items():
        if quantity == "gradient" and of_losses >= FAR:
            continue  # costs much and decides nothing
        value = supposed.value(quantity)
        if value is None or value.shape != seen.shape:
            if quantity in side.differing:
                return False
            continue
        if quantity not in side.differing:
            if excess(seen, value, side.allowances[quantity]) > NEAR:
                return False
        elif side.differing[quantity].excess(seen, value) > min(bound, before[quantity] / 2):
            return False
    return True


def _sides(situation: Situation, leg: str, output: str, declared: DeclaredLoss) -> Iterator[_Side]:
    """The sides of `leg`, as it recorded them and as its doors did, each with its opposite."""
    suffix = f"/{output}" if output else ""
    names = {f"per_example_loss{suffix}": "per_example_loss", f"loss{suffix}": "loss", f"gradient/y_pred{suffix}": "gradient"}
    if declared.alone:
        names |= {"loss": "loss"}
    else:
        names.pop(f"gradient/y_pred{suffix}", None)
        if not suffix:
            names.pop("loss", None)
    recording = situation.recordings[leg]
    own = {quantity: recording.observations[name].value for name, quantity in names.items() if name in recording.observations}
    allowances = {quantity: allowance_of(recording, name) for name, quantity in names.items() if name in recording.observations}
    small = _is_small(declared)
    if not small:
        own.pop("gradient", None)
    by_door: dict[str, dict[str, Difference]] = {}
    accused: dict[str, Difference] = {}
    for one in situation.differences:
        quantity = names.get(one.observation)
        if quantity is None or not one.is_numeric or (quantity == "gradient" and not small) or one.excess() <= NEAR:
            continue
        if one.door and leg in one.suspects:
            by_door.setdefault(one.door, {}).setdefault(quantity, one)
        elif leg in one.suspects:
            accused.setdefault(quantity, one)
        elif one.trusted == leg and not one.door:
            by_door.setdefault("", {}).setdefault(quantity, one)
    legs = max((one.suspects for one in accused.values()), key=len, default=(leg,))
    if accused:
        opposite = {quantity: one.right for quantity, one in accused.items()}
        yield _Side(
            legs=legs, words=listed(legs), observed=own, differing=_in_flow(accused), opposite=opposite, allowances=allowances
        )
    for door, differing in by_door.items():
        if not door:  # this leg is trusted, without the reference having spoken: perhaps wrongly
            opposite = {quantity: one.left for quantity, one in differing.items()}
            yield _Side(
                legs=(leg,),
                words=leg,
                observed=own,
                differing=_in_flow(differing),
                opposite=opposite,
                allowances=allowances,
                trusted=True,
            )
            continue
        seen = {quantity: one.left for quantity, one in differing.items()}
        opposite = {quantity: one.right for quantity, one in differing.items()}
        yield _Side(
            legs=(leg,),
            words=f"{leg} through {door}",
            observed=seen,
            differing=_in_flow(differing),
            opposite=opposite,
            allowances=allowances,
        )
        yield _Side(
            legs=(leg,), words=leg, observed=opposite, differing=_in_flow(differing), opposite=seen, allowances=allowances
        )


def _in_flow(differing: Mapping[str, Difference]) -> dict[str, Difference]:
    return {quantity: differing[quantity] for quantity in ("per_example_loss", "loss", "gradient") if quantity in differing}


def _joined(found: list[Diagnosis]) -> list[Diagnosis]:
    """One diagnosis for legs of which the same is said."""
    joined: dict[tuple[str, str], Diagnosis] = {}
    for one in found:
        joined.setdefault((one.code, str(one.evidence.get("supposed"))), one)
    return list(joined.values())
