"""What changes on one backend between two versions: the recordings of its two legs, compared case by case.

A difference between backends that both versions show is no change. What is random is not compared, and what is not the same in
two recordings of one version is not a change either.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backendcheck.compare.backends import compare_backends
from backendcheck.compare.findings import Comparison, Finding, Pairing, error_words, findings_of, leading
from backendcheck.compare.tolerances import Override
from backendcheck.diagnose import diagnose
from backendcheck.recordings.legs import Leg
from backendcheck.recordings.recording import WHOLE, Recording, Variant
from backendcheck.results.case_result import CaseResult
from backendcheck.results.headline import headline
from backendcheck.results.results import Results
from backendcheck.text.words import listed
from backendcheck.verdicts.run_problems import run_problems
from backendcheck.verdicts.verdict import Judgement, Verdict, incomparable, not_observed, reasons_not_compared, supported
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import Observation
from backendcheck.vocabulary.problems import Problem, ProblemCode
from backendcheck.vocabulary.sides import Side

_ON_A_PATH = (FindingKind.RAISED, FindingKind.SHAPE, FindingKind.ORDER, FindingKind.NON_FINITE, FindingKind.VALUE)
_WORST_FIRST = (Verdict.ERROR, Verdict.FAILED, Verdict.PASSED)

Recordings = Mapping[str, Recording]  # of one case, by leg


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The names of the two legs of one backend, the earlier version first."""

    backend: str
    before: str
    after: str

    @property
    def names(self) -> tuple[str, str]:
        return self.before, self.after


def changes_of(
    pair: Pair, legs: Sequence[Leg], overrides: Sequence[Override] = (), repeats: Mapping[str, Recordings] | None = None,
    now: datetime.datetime | None = None,
) -> Results:  # fmt: skip
    """Judge every case of the two legs: FAILED is changed, PASSED unchanged or not compared, ERROR not comparable.

    `legs` may lack one of the two. `repeats` has second recordings, by case and leg.
    """
    legs = sorted((leg for leg in legs if leg.label in pair.names), key=lambda leg: pair.names.index(leg.label))
    missing = [name for name in pair.names if name not in {leg.label for leg in legs}]
    cases = dict.fromkeys(case for leg in legs for case in (*leg.environment.cases, *leg.recordings))
    results = []
    for case in cases:
        recordings = {leg.label: leg.recordings[case] for leg in legs if case in leg.recordings}
        results.append(_case_result(case, pair, recordings, overrides, (repeats or {}).get(case, {})))
    results.sort(key=lambda result: (_WORST_FIRST.index(result.verdict), result.case))
    created = (now or datetime.datetime.now(datetime.UTC)).isoformat(timespec="seconds")
    problems = tuple(run_problems(legs, missing, None))
    return Results(legs=tuple(legs), expected=pair.names, cases=tuple(results), problems=problems, created=created)


def _case_result(
    case: str, pair: Pair, recordings: Recordings, overrides: Sequence[Override], repeats: Recordings
) -> CaseResult:  # fmt: skip
    judgement, unsteady = _judged(pair, recordings, overrides, repeats)
    able = supported(recordings)
    words = headline(judgement, recordings)
    diagnoses = diagnose([finding for finding in judgement.findings if finding.oracle is Oracle.AGREEMENT], able)
    if unsteady and not judgement.findings and not judgement.problems:
        words = f"NOT COMPARED: {unsteady}"
    elif judgement.findings and (first := leading(judgement.findings)).oracle is not Oracle.AGREEMENT:
        words = f"{first.kind.upper()}: {first.observation}: {first.message}"  # the same path twice: no paths differ
    elif diagnoses and diagnoses[0].headline and not judgement.problems:
        words = diagnoses[0].headline
    recording = next(iter(recordings.values()), None)
    claim, file, line = (recording.claim, recording.file, recording.line) if recording else ("", "", 0)
    return CaseResult(
        case=case, verdict=judgement.verdict, headline=words, claim=claim, file=file, line=line, odd_one_out=None,
        problems=judgement.problems, comparisons=judgement.comparisons, diagnoses=tuple(diagnoses), known=(), changed=(),
        recordings=recordings,
    )  # fmt: skip


def _judged(
    pair: Pair, recordings: Recordings, overrides: Sequence[Override], repeats: Recordings
) -> tuple[Judgement, str]:
    """The verdict, and what of the case is not the same twice in one version."""
    usable = {leg: recording for leg, recording in recordings.items() if recording.was_observed}
    problems = [*not_observed(recordings, pair.names), *incomparable(usable)]
    comparisons = [] if problems or len(usable) < len(pair.names) else list(_compared(usable, overrides))
    steady, unsteady = comparisons, ""
    if comparisons and repeats:
        differing = {leg: _differing(recordings[leg], repeat, overrides) for leg, repeat in repeats.items()}
        names = {name for of_leg in differing.values() for name in of_leg}
        steady = [comparison for comparison in comparisons if _key(comparison) not in names]
        if len(steady) < len(comparisons):
            observations = listed(sorted({observation for _, _, observation in names}), most=3)
            on = listed([leg for leg, of_leg in differing.items() if of_leg])
            unsteady = f"{observations}: not the same in two recordings on {on}"
    declared = reasons_not_compared(usable) or unsteady or any(WHOLE in of.not_supported for of in recordings.values())
    if not problems and not declared and not any(comparison.compared for comparison in comparisons):
        problems.append(Problem(code=ProblemCode.NOTHING_COMPARED, legs=tuple(usable), text="nothing could be compared"))
    verdict = Verdict.ERROR if problems else Verdict.FAILED if findings_of(steady) else Verdict.PASSED
    return Judgement(verdict=verdict, comparisons=tuple(steady), problems=tuple(problems)), unsteady


def _compared(recordings: Recordings, overrides: Sequence[Override]) -> Iterator[Comparison]:
    """All comparisons of two recordings of one backend: what was recorded, then each path and permutation of it.

    A difference on a path that the recording itself shows is the same change, and is not repeated.
    """
    (before, first), (after, second) = recordings.items()
    shown = set()
    for comparison in _of_two(recordings, overrides):
        yield comparison
        if isinstance(comparison, Finding):
            shown.add((comparison.observation, comparison.kind))
    if ("raised", FindingKind.RAISED) in shown:
        return
    earlier = {(variant.oracle, variant.path): variant for variant in first.variants}
    for later in second.variants:
        variant = earlier.get((later.oracle, later.path))
        if variant is None:
            continue  # a path that one version does not take
        sides = {str(Side.of(before, later.path)): _of(variant, first), str(Side.of(after, later.path)): _of(later, second)}
        for finding in findings_of(_of_two(sides, overrides)):
            if finding.kind in _ON_A_PATH and (finding.observation, finding.kind) not in shown:
                yield replace(finding, oracle=later.oracle)


def _of(variant: Variant, recording: Recording) -> Recording:
    """A variant as a recording of its own."""
    raised = () if variant.raised is None else (variant.raised,)
    return replace(recording, observations=variant.observations, raised=raised, variants=())


def _of_two(recordings: Recordings, overrides: Sequence[Override]) -> Iterator[Comparison]:
    """What is the same and what is not, also where both sides raise, or both have NaN at the same place."""
    (before, first), (after, second) = recordings.items()
    if first.raised and second.raised:
        pairing = Pairing(oracle=Oracle.AGREEMENT, observation="raised", left=Side(before), right=Side(after))
        if first.raised[0].type == second.raised[0].type:
            yield pairing.passed(n_elements=1)
        else:  # code that expects the first exception does not see the second
            words = [error_words(of.raised[0], f" on {side}") for side, of in recordings.items()]
            yield pairing.structural(FindingKind.RAISED, "; ".join(words))
    yield from compare_backends(dict(zip(recordings, _without_shared_nan(first, second), strict=True)), overrides)


def _without_shared_nan(first: Recording, second: Recording) -> tuple[Recording, Recording]:
    """The recordings with 0 where both have the same NaN or infinity: to have it on both versions is no change."""
    changed: tuple[dict[str, Observation], dict[str, Observation]] = ({}, {})
    for name in {*first.observations} & {*second.observations}:
        pair = first.observations[name], second.observations[name]
        if not all(observation.is_float for observation in pair) or pair[0].value.shape != pair[1].value.shape:
            continue
        left, right = (observation.value.astype(np.float64) for observation in pair)
        shared = ~np.isfinite(left) & ((left == right) | (np.isnan(left) & np.isnan(right)))
        for place, observation in enumerate(pair) if shared.any() else ():
            changed[place][name] = replace(observation, value=np.where(shared, 0, observation.value))
    return (
        replace(first, observations={**first.observations, **changed[0]}),
        replace(second, observations={**second.observations, **changed[1]}),
    )


def _differing(recording: Recording, repeat: Recording, overrides: Sequence[Override]) -> set[tuple[str, str, str]]:
    """What is not the same in two recordings of one case on one leg."""
    if not repeat.was_observed:
        return set()
    leg = recording.backend
    return {_key(finding) for finding in findings_of(_compared({leg: recording, f"{leg}#2": repeat}, overrides))}


def _key(comparison: Comparison) -> tuple[str, str, str]:
    return str(comparison.oracle), comparison.left.path, comparison.observation
