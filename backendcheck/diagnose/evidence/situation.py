"""The situation of a case: its findings and recordings, and the differences in them, with a suspected and a reference side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from backendcheck import reference
from backendcheck.case import Tolerance
from backendcheck.compare.findings import Finding, partition
from backendcheck.compare.tolerances import Allowed, Tolerances
from backendcheck.diagnose.evidence.difference import NEAR, Difference, excess
from backendcheck.recordings.recording import Recording
from backendcheck.reference.of_recording import DeclaredLoss, declared_loss
from backendcheck.vocabulary.findings import INSIDE_ONE_BACKEND, Oracle
from backendcheck.vocabulary.observations import Observation, ObservationName, Quantity, flow_key, of_output, quantity_of
from backendcheck.vocabulary.relations import is_relation

# Between backends first, then from the reference, then inside one backend: the order in which differences explain.
_ORACLES = (Oracle.AGREEMENT, Oracle.REFERENCE, Oracle.PATHS, Oracle.ORDER)


@dataclass(frozen=True, kw_only=True, eq=False)
class Situation:
    """The findings of one case and its recordings by leg."""

    findings: Sequence[Finding]
    recordings: Mapping[str, Recording]

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Differences between backends, then from the reference, then inside one leg; each part in the order of computation."""
        differences = [*_between_legs(self), *_against_reference(self), *_inside(self)]
        return tuple(
            sorted(differences, key=lambda difference: (_ORACLES.index(difference.oracle), flow_key(difference.observation)))
        )

    @cached_property
    def identified(self) -> dict[tuple[str, str], DeclaredLoss | None]:
        """The standard loss that a custom one equals, by leg and output, as far as `identified_loss` was asked for it."""
        return {}

    def without(self, oracle: Oracle) -> Situation:
        """The same without the findings of one oracle."""
        return Situation(findings=[finding for finding in self.findings if finding.oracle != oracle], recordings=self.recordings)

    def differing(self, *quantities: Quantity) -> list[Difference]:
        """The differences of these quantities whose sides are numbers in the same shape."""
        return [difference for difference in self.differences if difference.quantity in quantities and difference.is_numeric]

    def differs(self, observation: str, *legs: str) -> bool:
        """Whether any oracle found more than noise in this observation of any of these legs."""
        return any(
            difference.observation == observation
            and {*legs} & {*difference.suspects, difference.reference_side}
            and difference.excess() > NEAR
            for difference in self.differences
        )

    def differs_upstream(self, difference: Difference) -> bool:
        """Whether the predictions behind a loss or a gradient differ too."""
        if difference.quantity in (Quantity.PREDICTIONS, Quantity.VALUE):
            return False
        return self.differs(of_output("predictions", difference.output), *difference.suspects)

    @cached_property
    def declared(self) -> dict[tuple[str, str], DeclaredLoss | None]:
        """The declared standard loss by leg and output, on the predictions of that leg; None for other losses."""
        return {
            (leg, output): declared_loss(recording, output)
            for leg, recording in self.recordings.items()
            for output in recording.losses
        }

    def as_declared(self, observation: str, leg: str) -> bool | None:
        """Whether a leg recorded what its declared loss gives for its predictions; None if that is not known."""
        output, recording = ObservationName.parse(observation).output, self.recordings[leg]
        declared, recorded = self.declared.get((leg, output)), recording.observations.get(observation)
        if declared is None or recorded is None or declared.saturated:
            return None
        value = declared_value(declared, quantity_of(observation)) if observation != "loss" or declared.alone else None
        if value is None or value.shape != recorded.value.shape:
            return None
        return excess(recorded.value, value, allowance_of(recording, observation)) <= NEAR


def declared_value(declared: DeclaredLoss, quantity: Quantity) -> np.ndarray | None:
    """The per-example losses or the loss of `declared`; None without a reference, and for gradients, which are expensive."""
    try:
        with np.errstate(all="ignore"):
            if quantity is Quantity.PER_EXAMPLE_LOSS:
                return declared.per_example()
            return np.asarray(declared.loss()) if quantity is Quantity.LOSS else None
    except (reference.NoReference, ArithmeticError, IndexError, TypeError, ValueError):
        return None


def allowance_of(recording: Recording, name: str) -> Allowed:
    """How far apart values of this observation may be."""
    observation = recording.observations[name]
    return Tolerances.of(recording).allowed(name, observation.precision) if observation.is_float else _EXACT


# --- from findings to differences ------------------------------------------------------------------------------

_EXACT = Allowed(tolerance=Tolerance(rtol=0.0, atol=0.0), origin="exact", norm_wise=False)


def _expected(recording: Recording, observation: str) -> np.ndarray | None:
    if observation in recording.reference:
        value: np.ndarray | None = recording.reference[observation]
    else:
        value = recording.reference_values[observation].value if observation in recording.reference_values else None
    recorded = recording.observations.get(observation)
    if value is not None and recorded is not None and value.size == recorded.value.size == 1:
        return value.reshape(recorded.value.shape)
    return value


def _allowance(
    findings: Sequence[Finding], recording: Recording, name: str, sides: tuple[Observation, Observation]
) -> Allowed:
    """The tolerance that the oracle used, so that diagnoses use it too."""
    if not sides[0].is_float:
        return _EXACT
    usual = Tolerances.of(recording).allowed(name, *(side.precision for side in sides))
    tolerance = next((finding.tolerance for finding in findings if finding.tolerance is not None), None)
    return usual if tolerance is None else replace(usual, tolerance=tolerance)


def _between_legs(situation: Situation) -> Iterator[Difference]:
    recordings = situation.recordings
    for name in _names(situation, Oracle.AGREEMENT):
        findings = [f for f in situation.findings if f.oracle == Oracle.AGREEMENT and f.observation == name]
        legs = [leg for leg in recordings if name in recordings[leg].observations]
        groups = partition(name, findings, legs)
        values = {leg: recordings[leg].observations[name] for leg in legs}
        trust = {group[0]: _trust(group, name, values, situation) for group in groups}
        reference_group = max(groups, key=lambda group: trust[group[0]], default=[])
        for group in groups:
            if group is reference_group:
                continue
            undecided = trust[group[0]][:-1] == trust[reference_group[0]][:-1] and len(groups) == 2  # noqa: PLR2004 - one side against one
            of_pair = [f for f in findings if {*f.sides} & {*group} and {*f.sides} & {*reference_group}]
            left, right = recordings[group[0]].observations[name], recordings[reference_group[0]].observations[name]
            yield Difference(
                oracle=Oracle.AGREEMENT, observation=name, suspects=tuple(group), reference_side=reference_group[0],
                left=left.value, right=right.value, recording=recordings[group[0]],
                kinds=frozenset(f.kind for f in of_pair if f.kind),
                allowance=_allowance(of_pair, recordings[group[0]], name, (left, right)),
                other=recordings[reference_group[0]] if undecided else None,
            )  # fmt: skip


def _trust(
    group: Sequence[str], name: str, values: Mapping[str, Observation], situation: Situation
) -> tuple[bool, bool, int, int]:
    """How likely a side is right, as a sort key: not contradicted by the reference, finite, in the majority, the earlier leg."""
    contradicted = any(
        f.oracle == Oracle.REFERENCE and f.observation == name and f.left in group and (f.excess is None or f.excess > NEAR)
        for f in situation.findings
    )
    # The built-in reference is evidence even if the reference oracle is off.
    contradicted = contradicted or situation.as_declared(name, group[0]) is False
    contradicts_itself = any(f.oracle in INSIDE_ONE_BACKEND and f.left in group for f in situation.findings)
    value = values[group[0]].value
    finite = value.dtype.kind != "f" or bool(np.isfinite(value).all())
    allowance = allowance_of(situation.recordings[group[0]], name)
    n_near = len(group) + sum(
        leg not in group and excess(value, observation.value, allowance) <= NEAR for leg, observation in values.items()
    )
    return not contradicted, finite and not contradicts_itself, n_near, -list(situation.recordings).index(group[0])


def _against_reference(situation: Situation) -> Iterator[Difference]:
    for name in _names(situation, Oracle.REFERENCE):
        findings = [f for f in situation.findings if f.oracle == Oracle.REFERENCE and f.observation == name]
        legs = [f.left for f in findings if name in situation.recordings[f.left].observations]
        for group in partition(name, situation.findings, list(dict.fromkeys(legs))):
            recording = situation.recordings[group[0]]
            expected, observation = _expected(recording, name), recording.observations[name]
            if expected is None:
                continue
            of_group = [f for f in findings if f.left in group]
            yield Difference(
                oracle=Oracle.REFERENCE, observation=name, suspects=tuple(group), reference_side="reference",
                left=observation.value, right=expected, recording=recording, kinds=frozenset(f.kind for f in of_group if f.kind),
                allowance=_allowance(of_group, recording, name, (observation, observation)),
            )  # fmt: skip


def _inside(situation: Situation) -> Iterator[Difference]:
    variants = {
        (leg, variant.oracle, variant.path): variant
        for leg, recording in situation.recordings.items()
        for variant in recording.variants
    }
    for finding in situation.findings:
        leg, path = finding.right.leg, finding.right.path
        variant = variants.get((leg, finding.oracle, path))
        if variant is None or finding.observation not in variant.observations:
            continue
        if variant.oracle is Oracle.ORDER and is_relation(path):
            continue  # a value on other examples, labels or weights, which detectors take for those of the case
        recording = situation.recordings[leg]
        if finding.observation not in recording.observations:
            continue
        variant_observation, observation = variant.observations[finding.observation], recording.observations[finding.observation]
        yield Difference(
            oracle=finding.oracle, observation=finding.observation, suspects=(leg,), reference_side=leg,
            left=variant_observation.value, right=observation.value,
            recording=recording, kinds=frozenset([finding.kind] if finding.kind else []), path=path,
            allowance=_allowance([finding], recording, finding.observation, (observation, variant_observation)),
        )  # fmt: skip


def _names(situation: Situation, oracle: Oracle) -> list[str]:
    return list(dict.fromkeys(f.observation for f in situation.findings if f.oracle == oracle and f.observation != "raised"))
