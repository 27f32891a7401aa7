"""An upgrade: the changes on all backends, grouped by what changes and why, with its exit code and its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from backendcheck.compare.findings import Finding, leading
from backendcheck.results.results import CaseResult, Results
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.findings import FindingKind

SCHEMA = 1
_UNNAMED = ("unexplained", "undiagnosed")  # diagnoses that name no cause
_WHAT = {
    FindingKind.MISSING: "observation new or gone", FindingKind.SHAPE: "other shape", FindingKind.ORDER: "other order",
    FindingKind.NON_FINITE: "NaN or infinity", FindingKind.VALUE: "other value", FindingKind.DTYPE: "other dtype",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What changes in one case on one backend. `known` are the causes and entries of known divergences of the case."""

    case: str
    backend: str
    what: str
    diagnosis: str
    headline: str
    findings: tuple[Finding, ...]
    known: tuple[str, ...] = ()

    @property
    def group(self) -> tuple[str, str]:
        """What it is told together with."""
        return self.what, self.diagnosis


@dataclass(frozen=True, kw_only=True, eq=False)
class Upgrade:
    """The results of each backend, and what changes in all. `known` has the causes of known divergences by case."""

    package: str
    before: str
    after: str
    results: Mapping[str, Results]
    known: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """The changes, by what they are, cause, case and backend."""
        changes = [
            _change(result, backend, results.expected[0], self.known.get(result.case, ()))
            for backend, results in self.results.items()
            for result in results.cases
            if result.verdict is Verdict.FAILED
        ]
        return tuple(sorted(changes, key=lambda change: (change.group, change.case)))

    @cached_property
    def groups(self) -> dict[tuple[str, str], list[Change]]:
        """The changes by what they are and their diagnosis, the largest group first."""
        groups: dict[tuple[str, str], list[Change]] = {}
        for change in self.changes:
            groups.setdefault(change.group, []).append(change)
        return dict(sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])))

    @property
    def not_comparable(self) -> list[tuple[str, CaseResult]]:
        """By backend, the cases that could not be compared."""
        return self._with(lambda result: result.verdict is Verdict.ERROR)

    @property
    def not_compared(self) -> list[tuple[str, CaseResult]]:
        """By backend, the unchanged cases of which something was not compared, because it is random or not supported."""
        return self._with(lambda result: result.verdict is Verdict.PASSED and bool(result.headline))

    def _with(self, holds: Any) -> list[tuple[str, CaseResult]]:
        return [(backend, result) for backend, of in self.results.items() for result in of.cases if holds(result)]

    @property
    def n_cases(self) -> int:
        return len({result.case for results in self.results.values() for result in results.cases})

    @property
    def exit_code(self) -> int:
        """0 nothing changed, 1 something changed, 3 something could not be compared; 3 goes before 1."""
        compared = any(results.n_comparisons for results in self.results.values())
        if self.not_comparable or not compared or any(results.problems for results in self.results.values()):
            return 3
        return 1 if self.changes else 0

    def as_json(self) -> dict[str, Any]:
        """What upgrade.json holds."""
        not_comparable = [
            {"case": result.case, "backend": backend, "problems": [str(problem) for problem in result.problems]}
            for backend, result in self.not_comparable
        ]
        return {
            "schema": SCHEMA, "package": self.package, "from": self.before, "to": self.after,
            "backends": {backend: list(results.expected) for backend, results in self.results.items()},
            "environments": {leg.label: dict(leg.environment.versions) for of in self.results.values() for leg in of.legs},
            "exit_code": self.exit_code,
            "counts": {
                "cases": self.n_cases, "changed": len({change.case for change in self.changes}), "changes": len(self.changes),
                "not_comparable": len(not_comparable), "not_compared": len(self.not_compared),
            },
            "groups": [
                {"what": what, "diagnosis": diagnosis or None, "cases": list(dict.fromkeys(change.case for change in changes))}
                for (what, diagnosis), changes in self.groups.items()
            ],
            "changes": [_change_as_json(change) for change in self.changes],
            "not_comparable": not_comparable,
            "not_compared": [
                {"case": result.case, "backend": backend, "reason": result.headline} for backend, result in self.not_compared
            ],
            "problems": [str(problem) for results in self.results.values() for problem in results.problems],
        }  # fmt: skip


def _change(result: CaseResult, backend: str, before: str, known: Sequence[str]) -> Change:
    first = leading(result.findings)
    what = _exception(result, before) if first.kind is FindingKind.RAISED else _WHAT[first.kind]
    diagnosis = next((diagnosis.code for diagnosis in result.diagnoses if diagnosis.code not in _UNNAMED), "")
    return Change(
        case=result.case, backend=backend, what=what, diagnosis=diagnosis, headline=result.headline, findings=result.findings,
        known=tuple(known),
    )  # fmt: skip


def _exception(result: CaseResult, before: str) -> str:
    """Whether an exception is new, gone or another one."""
    finding = leading(result.findings)
    path = finding.left.path
    raises = {
        leg: any(variant.path == path and variant.raised for variant in of.variants) if path else bool(of.raised)
        for leg, of in result.recordings.items()
    }
    if all(raises.values()):
        return "other exception"
    return "exception gone" if raises[before] else "new exception"


def _change_as_json(change: Change) -> dict[str, Any]:
    findings = [
        {
            "oracle": str(finding.oracle), "observation": finding.observation, "kind": str(finding.kind),
            "left": str(finding.left), "right": str(finding.right), "message": finding.message, "excess": finding.excess,
        }
        for finding in change.findings
    ]  # fmt: skip
    return {
        "case": change.case, "backend": change.backend, "what": change.what, "diagnosis": change.diagnosis or None,
        "headline": change.headline, "known": list(change.known), "findings": findings,
    }  # fmt: skip
