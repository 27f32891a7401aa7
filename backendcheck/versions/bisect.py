"""The first version in which a finding of a case appears or disappears, by halving."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from backendcheck.compare.findings import Finding, leading
from backendcheck.errors import UsageError
from backendcheck.results.case_result import CaseResult
from backendcheck.vocabulary.leg_names import parts_of
from backendcheck.vocabulary.problems import ProblemCode
from backendcheck.vocabulary.sides import Side

_NO_FINDING = (ProblemCode.ONE_LEG, ProblemCode.NOTHING_COMPARED)  # that nothing differs is an outcome like any other

Signature = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What a case does in one version: its findings by signature, or why it could not be judged there."""

    findings: Mapping[Signature, Finding] = field(default_factory=dict)
    diagnoses: tuple[str, ...] = ()
    headline: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bisection:
    """The result: `first` is the first version with (`appears`) or without the finding `target`.

    `skipped` are versions that could not be judged, with the reason. Those between `last` and `first` may be the first, too.
    """

    first: str
    last: str
    appears: bool
    target: Signature
    message: str
    diagnoses: tuple[str, ...]
    outcomes: Mapping[str, bool]
    skipped: Mapping[str, str]

    def undecided(self, versions: Sequence[str]) -> list[str]:
        """The skipped versions between the last one as before and the first one as after."""
        between = versions[versions.index(self.last) + 1 : versions.index(self.first)]
        return [version for version in between if version in self.skipped]


def outcome_of(result: CaseResult | None, problems: Sequence[str]) -> Outcome:
    """The outcome of the case, from the results of a run in one version."""
    if problems or result is None:
        return Outcome(problem="; ".join(problems) or "the case was not recorded")
    if unusable := [str(problem) for problem in result.problems if problem.code not in _NO_FINDING]:
        return Outcome(problem="; ".join(unusable))
    return Outcome(
        findings={signature_of(finding): finding for finding in result.findings}, headline=result.headline,
        diagnoses=tuple(diagnosis.code for diagnosis in result.diagnoses),
    )  # fmt: skip


def signature_of(finding: Finding) -> Signature:
    """What makes two findings of two versions the same: oracle, sides, observation and kind."""
    left, right = map(_without_version, finding.sides)
    return str(finding.oracle), left, right, finding.observation, str(finding.kind)


def _without_version(side: Side) -> str:
    """The side without versions of packages: ``jax:evaluate`` for ``jax/keras-3.14.1:evaluate``."""
    packages = "".join(f"/{package}" for package in parts_of(side.leg).packages)
    return str(Side.of(side.leg.replace(packages, "") if packages else side.leg, side.path))


def bisect(versions: Sequence[str], judge: Callable[[str], Outcome]) -> Bisection:
    """Find the first version that is not as the first of `versions`; `judge` records and judges the case in one.

    Raises:
        UsageError: if an end cannot be judged, or both ends have the same findings.
    """
    ends = []
    for version in (versions[0], versions[-1]):
        ends.append(outcome := judge(version))
        if outcome.problem:
            message = f"{version}: the case cannot be judged in this version ({outcome.problem}). Choose another end."
            raise UsageError(message)
    good, bad = ends
    target, appears = _target(versions, good, bad)
    low, high = 0, len(versions) - 1
    outcomes = {versions[low]: not appears, versions[high]: appears}
    skipped: dict[str, str] = {}
    while left := [place for place in range(low + 1, high) if versions[place] not in skipped]:
        middle = min(left, key=lambda place: abs(2 * place - low - high))
        outcome = judge(versions[middle])
        if outcome.problem:
            skipped[versions[middle]] = outcome.problem
            continue
        outcomes[versions[middle]] = target in outcome.findings
        if outcomes[versions[middle]] is appears:
            high = middle
        else:
            low = middle
    shown = bad if appears else good
    return Bisection(
        first=versions[high], last=versions[low], appears=appears, target=target, message=shown.findings[target].message,
        diagnoses=shown.diagnoses, outcomes=outcomes, skipped=skipped,
    )  # fmt: skip


def _target(versions: Sequence[str], good: Outcome, bad: Outcome) -> tuple[Signature, bool]:
    """The most telling finding that one end has and the other has not, and whether the later end has it."""
    for here, other, appears in ((bad, good, True), (good, bad, False)):
        if only := [finding for signature, finding in here.findings.items() if signature not in other.findings]:
            return signature_of(leading(only)), appears
    same = good.headline or "no finding"
    message = f"{versions[0]} and {versions[-1]}: the case has the same findings in both ({same}). Choose ends that differ."
    raise UsageError(message)
