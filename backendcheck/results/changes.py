"""What has changed since an earlier run, from its report.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backendcheck.errors import UnreadableInput
from backendcheck.files import read_text

_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """An earlier run: when it was made, and verdict and headline of each of its cases."""

    created: str
    verdicts: Mapping[str, str]
    headlines: Mapping[str, str]


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
        return Baseline(
            created=str(report.get("created", "")),
            verdicts={str(result["case"]): str(result["verdict"]) for result in report["results"]},
            headlines={str(result["case"]): str(result.get("headline", "")) for result in report["results"]},
        )
    except (KeyError, TypeError, AttributeError) as error:
        message = f"{path}: a result lacks {error}; expected 'case' and 'verdict' in each. {remedy}"
        raise UnreadableInput(message) from error


def changes(baseline: Baseline, now: Mapping[str, tuple[str, str]]) -> list[Change]:
    """What is new, changed or gone; `now` maps each case to its verdict and headline. What fails comes first."""
    differences = []
    for case, (verdict, headline) in now.items():
        before = baseline.verdicts.get(case)
        if before is None:
            differences.append(Change(case=case, what="new", before="", now=verdict))
        elif before != verdict:
            differences.append(Change(case=case, what="changed", before=before, now=verdict))
        elif verdict != "PASSED" and _without_numbers(baseline.headlines.get(case, "")) != _without_numbers(headline):
            differences.append(Change(case=case, what="changed", before=f"{before}, {baseline.headlines[case]}", now=headline))
    differences += [
        Change(case=case, what="gone", before=verdict, now="") for case, verdict in baseline.verdicts.items() if case not in now
    ]
    worst = ("ERROR", "FAILED", "XPASSED")
    return sorted(differences, key=lambda change: (change.now.partition(",")[0] not in worst, change.what == "new", change.case))


def _without_numbers(headline: str) -> str:
    """A headline without its numbers, which differ in their last digits from run to run."""
    return "".join(char for char in headline if not char.isdigit() and char not in ".+-e")
