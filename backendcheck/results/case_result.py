"""One case judged: verdict, findings, diagnoses and headline, from its recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from backendcheck.compare.backends import concerned_legs, not_compared
from backendcheck.compare.findings import Comparison, Finding, findings_of, odd_one_out
from backendcheck.compare.tolerances import Override
from backendcheck.diagnose import Diagnosis, diagnose
from backendcheck.recordings.recording import Recording
from backendcheck.results.changes import Outcome
from backendcheck.results.figures import figures_of
from backendcheck.results.headline import headline
from backendcheck.results.stages import Stage
from backendcheck.results.stages import stages as find_stages
from backendcheck.verdicts.known import Divergence, Excuse, excuse
from backendcheck.verdicts.verdict import Judgement, Verdict, judge, supported
from backendcheck.vocabulary.problems import Problem


@dataclass(frozen=True, eq=False, kw_only=True)
class CaseResult:
    """One case: whether (verdict), what (findings), why (diagnoses), and what it rests on (recordings by leg).

    `known` are the entries of known_divergences.toml that apply to it, `changed` what is not as they say. `noise_notes` says what
    of its noise floor could not be measured. It has no slots, so that what reports ask for many times is computed once.
    """

    case: str
    verdict: Verdict
    headline: str
    claim: str
    file: str
    line: int
    odd_one_out: str | None
    problems: tuple[Problem, ...]
    comparisons: tuple[Comparison, ...]
    diagnoses: tuple[Diagnosis, ...]
    known: tuple[Divergence, ...]
    changed: tuple[str, ...]
    recordings: Mapping[str, Recording]
    noise_notes: tuple[str, ...] = ()

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        return findings_of(self.comparisons)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The computation stage by stage: where differences begin."""
        return find_stages(self.recordings, self.comparisons)

    @property
    def outcome(self) -> Outcome:
        """What is proved about the case, for a comparison with an earlier run."""
        return Outcome(
            verdict=self.verdict.value,
            headline=self.headline,
            findings=frozenset(
                (str(finding.oracle), *sorted(map(str, finding.sides)), finding.observation, str(finding.kind))
                for finding in self.findings
            ),
            raised={leg: recording.raised[0].type for leg, recording in self.recordings.items() if recording.raised},
            statuses={leg: str(recording.status) for leg, recording in self.recordings.items()},
            figures=figures_of(self.comparisons),
        )

    @cached_property
    def worst_excess(self) -> float | None:
        """The largest excess of all its comparisons: below 1 there is headroom."""
        return max((c.excess for c in self.comparisons if c.excess is not None), default=None)


def case_result(
    case: str,
    recordings: Mapping[str, Recording],
    expected: Sequence[str],
    entries: Sequence[Divergence],
    overrides: Sequence[Override],
    *,
    only_failing: bool = False,
) -> CaseResult:
    """Judge one case from its recordings by leg.

    `expected` are the legs that have to be there, `entries` the known divergences in force that match the case. With
    `only_failing`, a case that passes or differs as known is not diagnosed: only its verdict is asked for.
    """
    judgement = judge(recordings, expected, overrides)
    findings = judgement.findings
    verdict = judgement.verdict
    oracles = {oracle for recording in recordings.values() for oracle in recording.oracles}
    able = supported(recordings)
    excused = excuse(findings, able, entries, oracles, overrides) if verdict is not Verdict.ERROR else None
    if excused is not None:
        verdict = _with_excuse(excused)
    first = next(iter(recordings.values()), None)
    of_backends = [finding for finding in findings if not _is_random(finding, recordings)]
    asked = not only_failing or verdict not in (Verdict.PASSED, Verdict.XFAILED)
    diagnoses = tuple(diagnose(findings, able)) if asked else ()
    return CaseResult(
        case=case,
        verdict=verdict,
        headline=_headline(judgement, recordings, excused, diagnoses),
        claim=first.claim if first else "",
        file=first.file if first else "",
        line=first.line if first else 0,
        odd_one_out=odd_one_out(concerned_legs(able, of_backends), of_backends),
        problems=judgement.problems,
        comparisons=judgement.comparisons,
        diagnoses=diagnoses,
        known=excused.entries if excused else (),
        changed=excused.changed if excused else (),
        recordings=recordings,
    )


def _is_random(finding: Finding, recordings: Mapping[str, Recording]) -> bool:
    """Whether a finding is about random numbers, which a case compares with a reference of its own: they accuse no backend."""
    recording = recordings.get(finding.left.leg)
    return recording is not None and bool(not_compared(finding.observation, recording))


def _with_excuse(excused: Excuse) -> Verdict:
    if excused.gone:
        return Verdict.XPASSED
    return Verdict.XFAILED if excused.covered else Verdict.FAILED


def _headline(
    judgement: Judgement, recordings: Mapping[str, Recording], excused: Excuse | None, diagnoses: Sequence[Diagnosis]
) -> str:
    if excused is not None and excused.gone:
        return f"GONE: the known divergence does not occur any more ({excused.entries[0].name}). Remove the entry"
    text = headline(judgement, recordings)
    if diagnoses and not judgement.problems and diagnoses[0].headline:
        text = diagnoses[0].headline
    if excused is not None and excused.changed:
        text += f" [changed: {excused.changed[0]}]"
    return text
