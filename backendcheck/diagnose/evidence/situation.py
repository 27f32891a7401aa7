"""What detectors look at: the differences of one case, each with a side that is suspected and a side that is trusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from backendcheck import reference
from backendcheck.case import Tolerance
from backendcheck.compare.arrays import Comparison
from backendcheck.compare.findings import partition
from backendcheck.compare.tolerances import Allowed, allowed, coarser
from backendcheck.diagnose.evidence.difference import NEAR, Difference, excess, output_of
from backendcheck.recordings.recording import Recording
from backendcheck.reference.of_recording import DeclaredLoss, declared_loss
from backendcheck.vocabulary.observations import Kind, Observation, flow_key, kind_of

_ORACLES = ("agreement", "reference", "paths", "order")


@dataclass(frozen=True, kw_only=True, eq=False)
class Situation:
    """All that is known of one case: its findings and its recordings by leg."""

    findings: Sequence[Comparison]
    recordings: Mapping[str, Recording]

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """In the order of the computation; between backends first, then against the reference, then inside one backend."""
        found = [*_between_legs(self), *_against_reference(self), *_inside(self)]
        return tuple(sorted(found, key=lambda one: (_ORACLES.index(one.oracle), flow_key(one.observation))))

    def without(self, oracle: str) -> Situation:
        """The same, without what one oracle has found."""
        return Situation(findings=[one for one in self.findings if one.oracle != oracle], recordings=self.recordings)

    def differing(self, *kinds: Kind) -> list[Difference]:
        """The differences of observations of these kinds whose sides can be held against each other."""
        return [one for one in self.differences if one.kind in kinds and one.is_numeric]

    def differs(self, observation: str, *legs: str) -> bool:
        """Whether any oracle has more than noise against this observation of any of these legs."""
        return any(
            one.observation == observation and {*legs} & {*one.suspects, one.trusted} and one.excess() > NEAR
            for one in self.differences
        )

    def differs_upstream(self, one: Difference) -> bool:
        """Whether what goes into a loss or a gradient, the predictions of its output, is not alike either."""
        if one.kind in (Kind.PREDICTIONS, Kind.VALUE):
            return False
        return self.differs(f"predictions/{one.output}" if one.output else "predictions", *one.suspects)

    @cached_property
    def declared(self) -> dict[tuple[str, str], DeclaredLoss | None]:
        """The standard loss of each leg and output, on what that leg predicted."""
        return {
            (leg, output): declared_loss(recording, output)
            for leg, recording in self.recordings.items()
            for output in recording.losses
        }

    def as_declared(self, observation: str, leg: str) -> bool | None:
        """Whether a leg's loss is what the declared loss gives for its predictions; None if there is no saying."""
        output, recording = output_of(observation), self.recordings[leg]
        found, seen = self.declared.get((leg, output)), recording.observations.get(observation)
        if found is None or seen is None or found.saturated:
            return None
        value = declared_value(found, kind_of(observation)) if observation != "loss" or found.alone else None
        if value is None or value.shape != seen.value.shape:
            return None
        return excess(seen.value, value, allowance_of(recording, observation)) <= NEAR


def declared_value(declared: DeclaredLoss, kind: Kind) -> np.ndarray | None:
    """The per-example losses or the loss of `declared`; None where the reference is silent, and for gradients: they cost much."""
    try:
        with np.errstate(all="ignore"):
            if kind is Kind.PER_EXAMPLE_LOSS:
                return declared.per_example()
            return np.asarray(declared.loss()) if kind is Kind.LOSS else None
    except (reference.NoReference, ArithmeticError, IndexError, TypeError, ValueError):
        return None


def allowance_of(recording: Recording, name: str) -> Allowed:
    """What the observation of one leg may be off."""
    seen = recording.observations[name]
    return allowed(recording.case, name, seen.precision, recording.tolerance, ()) if seen.is_float else _EXACT


# --- from findings to differences ------------------------------------------------------------------------------

_EXACT = Allowed(tolerance=Tolerance(rtol=0.0, atol=0.0), origin="exact", norm_wise=False)


def _expected(recording: Recording, observation: str) -> np.ndarray | None:
    if observation in recording.reference:
        value: np.ndarray | None = recording.reference[observation]
    else:
        value = recording.reference_values[observation].value if observation in recording.reference_values else None
    seen = recording.observations.get(observation)
    if value is not None and seen is not None and value.size == seen.value.size == 1:
        return value.reshape(seen.value.shape)
    return value


def _allowance(
    findings: Sequence[Comparison], recording: Recording, name: str, sides: tuple[Observation, Observation]
) -> Allowed:
    """The tolerance that the oracle used, so that a diagnosis measures with the same yard."""
    if not sides[0].is_float:
        return _EXACT
    usual = allowed(recording.case, name, coarser(*(side.precision for side in sides)), recording.tolerance, ())
    given = next((one.tolerance for one in findings if one.tolerance is not None), None)
    return usual if given is None else replace(usual, tolerance=given)


def _between_legs(situation: Situation) -> Iterator[Difference]:
    recordings = situation.recordings
    for name in _names(situation, "agreement"):
        findings = [f for f in situation.findings if f.oracle == "agreement" and f.observation == name]
        legs = [leg for leg in recordings if name in recordings[leg].observations]
        groups = partition(name, findings, legs)
        values = {leg: recordings[leg].observations[name] for leg in legs}
        trust = {group[0]: _trust(group, name, values, situation) for group in groups}
        trusted = max(groups, key=lambda group: trust[group[0]], default=[])
        for group in groups:
            if group is trusted:
                continue
            undecided = trust[group[0]][:-1] == trust[trusted[0]][:-1] and len(groups) == 2  # noqa: PLR2004 - one against one
            of_pair = [f for f in findings if {*f.sides} & {*group} and {*f.sides} & {*trusted}]
            left, right = recordings[group[0]].observations[name], recordings[trusted[0]].observations[name]
            yield Difference(
                oracle="agreement", observation=name, suspects=tuple(group), trusted=trusted[0],
                left=left.value, right=right.value, recording=recordings[group[0]],
                kinds=frozenset(f.kind for f in of_pair if f.kind),
                allowance=_allowance(of_pair, recordings[group[0]], name, (left, right)),
                other=recordings[trusted[0]] if undecided else None,
            )  # fmt: skip


def _trust(
    group: Sequence[str], name: str, values: Mapping[str, Observation], situation: Situation
) -> tuple[bool, bool, int, int]:
    """Which side is held to be right: one that the reference does not contradict, one with numbers, that of most, the earlier."""
    contradicted = any(
        f.oracle == "reference" and f.observation == name and f.left in group and (f.excess is None or f.excess > NEAR)
        for f in situation.findings
    )
    # Asked or not, the reference is evidence of who is wrong.
    contradicted = contradicted or situation.as_declared(name, group[0]) is False
    alone = any(f.oracle in ("paths", "order") and f.left in group for f in situation.findings)
    own = values[group[0]].value
    finite = own.dtype.kind != "f" or bool(np.isfinite(own).all())
    yard = allowance_of(situation.recordings[group[0]], name)
    n_near = len(group) + sum(leg not in group and excess(own, one.value, yard) <= NEAR for leg, one in values.items())
    return not contradicted, finite and not alone, n_near, -list(situation.recordings).index(group[0])


def _against_reference(situation: Situation) -> Iterator[Difference]:
    for name in _names(situation, "reference"):
        findings = [f for f in situation.findings if f.oracle == "reference" and f.observation == name]
        legs = [f.left for f in findings if name in situation.recordings[f.left].observations]
        for group in partition(name, situation.findings, list(dict.fromkeys(legs))):
            recording = situation.recordings[group[0]]
            expected, seen = _expected(recording, name), recording.observations[name]
            if expected is None:
                continue
            of_group = [f for f in findings if f.left in group]
            yield Difference(
                oracle="reference", observation=name, suspects=tuple(group), trusted="reference", left=seen.value, right=expected,
                recording=recording, kinds=frozenset(f.kind for f in of_group if f.kind),
                allowance=_allowance(of_group, recording, name, (seen, seen)),
            )  # fmt: skip


def _inside(situation: Situation) -> Iterator[Difference]:
    doors = {
        (leg, variant.oracle, variant.path): variant
        for leg, recording in situation.recordings.items()
        for variant in recording.variants
    }
    for finding in situation.findings:
        leg, _, door = finding.right.partition(":")
        variant = doors.get((leg, finding.oracle, door))
        if variant is None or finding.observation not in variant.observations:
            continue
        recording = situation.recordings[leg]
        if finding.observation not in recording.observations:
            continue
        seen, own = variant.observations[finding.observation], recording.observations[finding.observation]
        yield Difference(
            oracle=finding.oracle, observation=finding.observation, suspects=(leg,), trusted=leg,
            left=seen.value, right=own.value,
            recording=recording, kinds=frozenset([finding.kind or ""]), door=door,
            allowance=_allowance([finding], recording, finding.observation, (own, seen)),
        )  # fmt: skip


def _names(situation: Situation, oracle: str) -> list[str]:
    return list(dict.fromkeys(f.observation for f in situation.findings if f.oracle == oracle and f.observation != "raised"))
