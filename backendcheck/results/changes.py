"""What has changed since an earlier run, from its report.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput
from backendcheck.files import read_text
from backendcheck.results.figures import Figure, Moved, Pair, figures_in, moved

_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run proved about a case, and its headline. The words of a headline change from version to version.

    `findings` are oracle, sides, observation and kind of each finding; `raised` is the type of the first exception of each leg;
    `statuses` are those of the recordings by leg. They are None where an earlier version did not write them. `figures` are the
    differences of all comparisons, and decide nothing.
    """

    verdict: str
    headline: str
    findings: frozenset[tuple[str, ...]] | None = None
    raised: Mapping[str, str] | None = None
    statuses: Mapping[str, str] | None = None
    figures: Mapping[Pair, Figure] = field(default_factory=dict)

    def differs(self, before: Outcome) -> bool:
        """Whether something else is proved than before."""
        if self.verdict != before.verdict:
            return True
        if self.verdict == "PASSED":
            return False
        sides = (
            (self.findings, before.findings), (self.raised, before.raised),
            # What differs is in the findings; a case that could not be compared has none.
            (self.statuses, before.statuses) if self.verdict == "ERROR" else (None, None),
        )  # fmt: skip
        return any(now != earlier for now, earlier in sides if now is not None and earlier is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """An earlier run: when it was made, and the outcome of each of its cases."""

    created: str
    outcomes: Mapping[str, Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A case that is not as it was: ``new``, ``gone``, or ``changed`` in verdict or in what differs."""

    case: str
    what: str
    before: str
    now: str


def read_baseline(path: Path) -> Baseline:
    """Read the report.json of an earlier run.

    Raises:
        UnreadableInput: if it is not a report.json, or is of a later version.
    """
    remedy = "Give the report.json that an earlier run wrote."
    try:
        report = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{path}: unreadable, or invalid JSON ({error}). {remedy}"
        raise UnreadableInput(message) from error
    if not isinstance(report, dict) or not isinstance(report.get("results"), list):
        message = f"{path}: is not a report; expected an object with 'schema' and 'results'. {remedy}"
        raise UnreadableInput(message)
    if report.get("schema") != _SCHEMA:
        message = f"{path}: has schema {report.get('schema')!r}; expected {_SCHEMA}. {remedy}"
        raise UnreadableInput(message)
    try:
        outcomes = {str(result["case"]): _outcome(result) for result in report["results"]}
        return Baseline(created=str(report.get("created", "")), outcomes=outcomes)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        message = f"{path}: a result lacks {error}; expected 'case' and 'verdict' in each. {remedy}"
        raise UnreadableInput(message) from error


def stored_id(case: str) -> str:
    """The id of a case as report.json has it: lone surrogates are escaped there."""
    return case.encode("utf-8", "backslashreplace").decode()


def _outcome(result: Mapping[str, Any]) -> Outcome:
    findings, raised, cells, comparisons = (result.get(name) for name in ("findings", "raised", "statuses", "comparisons"))
    statuses = None if cells is None else {str(leg): str(cell["status"]) for leg, cell in cells.items()}
    return Outcome(
        verdict=str(result["verdict"]),
        headline=str(result.get("headline", "")),
        findings=None if findings is None else frozenset(map(_finding, findings)),
        raised=None if raised is None else {str(leg): str(errors[0]["type"]) for leg, errors in raised.items()},
        figures=figures_in(comparisons) if isinstance(comparisons, list) else {},
        statuses=None if statuses is None else {leg: status for leg, status in statuses.items() if status != "missing"},
    )


def _finding(finding: Mapping[str, Any]) -> tuple[str, ...]:
    sides = sorted(str(finding[side]) for side in ("left", "right"))
    return (str(finding["oracle"]), *sides, str(finding["observation"]), str(finding["kind"]))


def changes(baseline: Baseline, now: Mapping[str, Outcome]) -> list[Change]:
    """What is new, changed or gone. What fails comes first."""
    earlier = {stored_id(case): outcome for case, outcome in baseline.outcomes.items()}
    stored = set(map(stored_id, now))
    differences = []
    for case, outcome in now.items():
        before = earlier.get(stored_id(case))
        if before is None:
            differences.append(Change(case=case, what="new", before="", now=outcome.verdict))
        elif before.verdict != outcome.verdict:
            differences.append(Change(case=case, what="changed", before=before.verdict, now=outcome.verdict))
        elif outcome.differs(before):
            words = f"{before.verdict}, {before.headline}"
            differences.append(Change(case=case, what="changed", before=words, now=outcome.headline))
    differences += [
        Change(case=case, what="gone", before=outcome.verdict, now="")
        for case, outcome in earlier.items()
        if case not in stored
    ]
    worst = ("ERROR", "FAILED", "XPASSED")
    return sorted(differences, key=lambda change: (change.now.partition(",")[0] not in worst, change.what == "new", change.case))


def moved_figures(baseline: Baseline, now: Mapping[str, Outcome]) -> dict[str, list[Moved]]:
    """The cases with figures that have moved much since the baseline."""
    earlier = {stored_id(case): outcome.figures for case, outcome in baseline.outcomes.items()}
    by_case = {case: moved(earlier.get(stored_id(case), {}), outcome.figures) for case, outcome in now.items()}
    return {case: figures for case, figures in by_case.items() if figures}
