"""What a situation shows: its recordings judged by the oracles of the tool, and what proves nothing left out.

A difference is a finding if rounding cannot explain it. So a value that differs is looked at again, with every input moved by
one unit in the last place. If that alone moves the value as far, the difference is within what float32 determines, or a
decision lies on a threshold or a tie.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from backendcheck.compare.findings import Finding, leading, odd_one_out, partition
from backendcheck.diagnose import diagnose
from backendcheck.explore.left_out import (
    SHOWN,
    is_limit_of_float32,
    moves_as_far,
    reason_to_leave_out,
    refuses_what_it_has,
)
from backendcheck.explore.legs import Legs, Request, array_entry
from backendcheck.explore.numbers import arrays_of, batches_of, jittered, options_of
from backendcheck.explore.paths import plain_call
from backendcheck.explore.program import program_of
from backendcheck.explore.references import with_reference
from backendcheck.explore.situation import Situation
from backendcheck.recordings.recording import Recording
from backendcheck.results.case_result import CaseResult, case_result
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.stages import recorded_in
from backendcheck.vocabulary.states import Status

N_JITTERS = 6
_NO_TYPE, _NO_ARGUMENT = "unsupported-type", "unsupported-argument"
_WITHOUT_CAUSE = ("unexplained", "refused-everywhere", "")
_ROUNDING, _SATURATION = "rounding", "saturation"
_NOT_OBSERVED, _NOT_COMPARABLE = "could not be observed", "not comparable"
_CRASHED = {Status.CRASHED: "crashes", Status.TIMED_OUT: "hangs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What makes two findings the same."""

    oracle: str
    kind: str
    stage: str
    legs: tuple[str, ...]
    target: str
    diagnosis: str
    path: str

    def is_like(self, other: Signature) -> bool:
        """Whether a smaller situation with the signature `other` shows the same. What explains a value may change with it.

        A simpler path that differs on the same legs shows why the other one differs.
        """
        if other.path != self.path:
            shared = ("oracle", "kind", "legs", "target")
            return all(getattr(self, name) == getattr(other, name) for name in shared)
        if self.kind in (FindingKind.VALUE, FindingKind.NON_FINITE):
            return replace(self, diagnosis="") == replace(other, diagnosis="")
        return self == other

    def __str__(self) -> str:
        parts = (self.oracle, self.kind, self.stage, "+".join(self.legs), self.target, self.diagnosis, self.path)
        return "|".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sighting:
    """A finding in one situation. `result` is the judged case."""

    signature: Signature
    situation: Situation
    headline: str
    finding: Finding | None
    result: CaseResult | None
    recordings: Mapping[str, Recording]


@dataclass(slots=True, eq=False)
class Counts:
    """What was left out, by reason."""

    unsupported: int = 0
    crashed: int = 0
    dismissed: Counter[str] = field(default_factory=Counter)

    @property
    def not_compared(self) -> int:
        """The situations in which nothing was compared."""
        return self.unsupported + sum(self.dismissed[reason] for reason in (_NOT_OBSERVED, _NOT_COMPARABLE))


def request_of(situation: Situation, arrays: Mapping[str, np.ndarray] | None = None, *, kind: str = "") -> Request:
    """The request for the recording of a situation; with `arrays`, on these numbers. `kind` is that of the target."""
    program = program_of(situation, kind)
    if arrays is None:
        arrays = arrays_of(situation) if program is None else program.arrays
    request = {
        "do": "observe", "case": f"explored/{situation.key}", "target": situation.target, "options": options_of(situation),
        "path": situation.path, "batches": batches_of(situation),
        "arrays": {name: array_entry(array) for name, array in arrays.items()},
    }  # fmt: skip
    if program is None:
        return request
    precision = [situation.policy.removeprefix("mixed_")]
    return {**request, "kind": kind, "source": program.source, "stage": str(program.stage), "precision": precision}


class Judge:
    """Judges situations, and looks again at values that differ."""

    def __init__(self, legs: Legs, kinds: Mapping[str, str] | None = None) -> None:
        """`kinds` are those of the targets, by name."""
        self.legs = legs
        self.kinds = kinds or {}
        self.counts = Counts()

    @contextlib.contextmanager
    def not_counting(self) -> Iterator[None]:
        """For looks at situations that the search itself does not have: what they leave out is not counted."""
        counts, self.counts = self.counts, Counts()
        try:
            yield
        finally:
            self.counts = counts

    def request(self, situation: Situation, arrays: Mapping[str, np.ndarray] | None = None) -> Request:
        """As `request_of`."""
        return request_of(situation, arrays, kind=self.kinds.get(situation.target, "loss"))

    def sightings(self, situations: Sequence[Situation]) -> list[Sighting | None]:
        """What each situation shows. None where it shows nothing."""
        recordings = self.legs.observe([self.request(situation) for situation in situations])
        return [self.sighting(situation, of_legs) for situation, of_legs in zip(situations, recordings, strict=True)]

    def sighting(self, situation: Situation, recordings: Mapping[str, Recording], *, look_again: bool = True) -> Sighting | None:
        """What a situation shows, from its recordings. `look_again` needs the legs to have nothing else to answer."""
        with np.errstate(all="ignore"):
            return self._sighting(situation, recordings, look_again=look_again)

    def _sighting(self, situation: Situation, recordings: Mapping[str, Recording], *, look_again: bool) -> Sighting | None:
        if crashed := {leg: recording for leg, recording in recordings.items() if recording.status in _CRASHED}:
            self.counts.crashed += 1
            return _crash(situation, recordings, crashed)
        if any(not recording.was_observed for recording in recordings.values()):
            self.counts.dismissed[_NOT_OBSERVED] += 1
            return None
        if not all(recording.raised for recording in recordings.values()):
            recordings = with_reference(situation, recordings)
        elif (called := plain_call(situation)) is None or (look_again and not self._is_taken(called)):
            self.counts.unsupported += 1
            return None
        result = case_result(f"explored/{situation.key}", recordings, list(recordings), [], [], only_failing=False)
        if result.verdict is Verdict.ERROR:
            self.counts.dismissed[_NOT_COMPARABLE] += 1
            return None
        findings = [finding for finding in result.findings if not self._proves_nothing(situation, finding, recordings)]
        if findings and look_again:
            findings = self._beyond_rounding(situation, findings, recordings)
        if not findings:
            return None
        refused = {diagnosis.code: diagnosis.backends for diagnosis in result.diagnoses}
        if _NO_ARGUMENT in refused or (_NO_TYPE in refused and not refuses_what_it_has(situation, refused[_NO_TYPE], recordings)):
            self.counts.unsupported += 1  # a leg refuses a type or an option that its backend does not have, and says so
            return None
        if result.diagnoses and result.diagnoses[0].code == _ROUNDING:
            self.counts.dismissed["rounding"] += 1
            return None
        first = result.diagnoses[0].code if result.diagnoses else ""
        if (situation.predictions == "saturated" or first == _SATURATION) and is_limit_of_float32(leading(findings), recordings):
            self.counts.dismissed["a clipped prediction that float32 does not have"] += 1
            return None
        return _sighting(situation, findings, result, recordings)

    def _is_taken(self, situation: Situation) -> bool:
        """Whether every leg takes a situation. If that is a plain call, a model should take its labels as well."""
        (recordings,) = self.legs.observe([self.request(situation)])
        return all(recording.was_observed and not recording.raised for recording in recordings.values())

    def _proves_nothing(self, situation: Situation, finding: Finding, recordings: Mapping[str, Recording]) -> str:
        """Why a finding is left out; empty if it counts."""
        reason = reason_to_leave_out(situation, finding, recordings)
        if reason:
            self.counts.dismissed[reason] += 1
        return reason

    def _beyond_rounding(
        self, situation: Situation, findings: Sequence[Finding], recordings: Mapping[str, Recording]
    ) -> list[Finding]:
        """The findings that rounding of the inputs does not explain."""
        values = [finding for finding in findings if finding.kind is FindingKind.VALUE]
        if not values:
            return list(findings)
        program = program_of(situation, self.kinds.get(situation.target, "loss"))
        arrays = arrays_of(situation) if program is None else program.arrays
        moved = self.legs.observe([
            self.request(situation, jittered(arrays, number, policy=situation.policy)) for number in range(N_JITTERS)
        ])
        kept = []
        for finding in findings:
            if finding.kind is FindingKind.VALUE and moves_as_far(finding, recordings, moved):
                self.counts.dismissed["within what rounding of the inputs does"] += 1
            else:
                kept.append(finding)
        return kept


# --- sightings ---------------------------------------------------------------------------------------------------


def _sighting(
    situation: Situation, findings: Sequence[Finding], result: CaseResult, recordings: Mapping[str, Recording]
) -> Sighting:
    finding = leading(findings)
    legs = list(recordings)
    same = [each for each in findings if each.oracle is finding.oracle and each.kind is finding.kind]
    diagnoses = result.diagnoses if len(findings) == len(result.findings) else diagnose(findings, recordings)
    signature = Signature(
        oracle=str(finding.oracle), kind=str(finding.kind), stage=_stage(finding, recordings),
        legs=_odd_legs(finding, same, legs), target=situation.target,
        diagnosis=_explanation(finding, diagnoses[0].code if diagnoses else "", recordings), path=situation.path,
    )  # fmt: skip
    headline = diagnoses[0].headline if diagnoses and diagnoses[0].headline else f"{finding.observation}: {finding.message}"
    if finding.oracle is Oracle.EXPECTATION:
        headline = result.headline  # every backend refuses it
    return Sighting(
        signature=signature, situation=situation, headline=headline, finding=finding, result=result, recordings=recordings
    )


def _stage(finding: Finding, recordings: Mapping[str, Recording]) -> str:
    if finding.kind is FindingKind.RAISED:
        return next((recording.raised[0].stage for recording in recordings.values() if recording.raised), "")
    return str(recorded_in(finding.observation))


def _explanation(finding: Finding, diagnosis: str, recordings: Mapping[str, Recording]) -> str:
    """The diagnosis; where it names no cause of a refusal, the exception as well, since another one has another cause."""
    raised = [recording.raised[0].type for recording in recordings.values() if recording.raised]
    if finding.kind is not FindingKind.RAISED or diagnosis not in _WITHOUT_CAUSE or not raised:
        return diagnosis  # what a variant alone has raised is not of the recording
    return f"{diagnosis}: {raised[0]}"


def _odd_legs(finding: Finding, same: Sequence[Finding], legs: Sequence[str]) -> tuple[str, ...]:
    """The legs that the finding is about: the odd one out, or all that differ from the reference or from each other."""
    if finding.oracle is not Oracle.AGREEMENT:
        return tuple(leg for leg in legs if any(leg == each.left.leg for each in same))
    of_observation = [each for each in same if each.observation == finding.observation]
    if odd := odd_one_out(legs, of_observation):
        return (odd,)
    groups = partition(finding.observation, of_observation, legs)
    smaller = {leg for group in groups[:-1] for leg in group} if len(groups) > 1 and len(legs) > len(groups) else set(legs)
    return tuple(leg for leg in legs if leg in smaller)


def _crash(situation: Situation, recordings: Mapping[str, Recording], crashed: Mapping[str, Recording]) -> Sighting:
    words = ", ".join(f"{leg} {_CRASHED[recording.status]}" for leg, recording in crashed.items())
    signature = Signature(
        oracle=str(Oracle.AGREEMENT), kind=str(FindingKind.MISSING), stage="", legs=tuple(crashed), target=situation.target,
        diagnosis="", path=situation.path,
    )  # fmt: skip
    return Sighting(
        signature=signature, situation=situation, headline=f"CRASH: {words}", finding=None, result=None, recordings=recordings
    )


def outcome_words(recording: Recording) -> Any:
    """What a leg did, for reports: the name of the exception, or the loss or metric."""
    if recording.raised:
        return f"raises {recording.raised[0].type}"
    for name in SHOWN:
        if name in recording.observations:
            return recording.observations[name].value.tolist()
    return str(recording.status)


def expected_of(recordings: Mapping[str, Recording]) -> Any:
    """The float64 reference of what reports show, of the leg that has recorded it; None where nothing is right by definition."""
    for name in SHOWN:
        for recording in recordings.values():
            expected = recording.reference_values.get(name)
            if name in recording.observations and expected is not None and expected.directions is None:
                return expected.value.tolist()
    return None
