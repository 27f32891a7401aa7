"""What legs can do, from a report: the outcome of each case on each leg, by topic and by rule of the label contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from backendcheck.compare.findings import agreeing_groups


class Outcome(StrEnum):
    """What a case came to on one leg. The first that applies, in this order."""

    NOT_RECORDED = "not recorded"
    NOT_SUPPORTED = "not supported"
    REJECTS = "rejects"
    WRONG = "silently wrong"
    DIFFERS = "differs"
    ACCEPTS = "accepts"

    @property
    def meaning(self) -> str:
        """What it says of the leg, in one sentence."""
        return _MEANINGS[self]


_MEANINGS: Mapping[Outcome, str] = {
    Outcome.NOT_RECORDED: "The case crashed, took too long or could not be observed.",
    Outcome.NOT_SUPPORTED: "The backend does not do what the case is about, and says so.",
    Outcome.REJECTS: "The case raises an exception, whether it should or not.",
    Outcome.WRONG: "The case gives a number that a reference contradicts, or where it should raise an exception.",
    Outcome.DIFFERS: "The leg deviates from others, or its own paths differ, and no reference contradicts it.",
    Outcome.ACCEPTS: "The case gives what it should, or what the other legs give.",
}
_AGAINST_TRUTH = ("reference", "expectation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """The outcomes of some cases: a topic, or a rule of the label contract.

    Attributes:
        name: ``outputs``, or ``L103``.
        n_cases: how many cases it has.
        legs: how many cases came to each outcome, by leg.
    """

    name: str
    n_cases: int
    legs: Mapping[str, Mapping[Outcome, int]]

    def as_json(self) -> dict[str, Any]:
        """The capability as JSON."""
        legs = {leg: {outcome.value: n for outcome, n in counts.items()} for leg, counts in self.legs.items()}
        return {"name": self.name, "n_cases": self.n_cases, "legs": legs}


def outcome_of(result: Mapping[str, Any], leg: str) -> Outcome:
    """What a case of ``report.json`` came to on a leg."""
    status = result["statuses"].get(leg, {}).get("status", "")
    if "case" in result.get("not_supported", {}).get(leg, {}):
        return Outcome.NOT_SUPPORTED
    if status == "raised":
        return Outcome.REJECTS
    if status != "recorded":
        return Outcome.NOT_RECORDED
    if _is_wrong(result, leg):
        return Outcome.WRONG
    own = any(finding["oracle"] != "agreement" and finding["left"] == leg for finding in result["findings"])
    return Outcome.DIFFERS if own or leg in _deviating(result) else Outcome.ACCEPTS


def _is_wrong(result: Mapping[str, Any], leg: str) -> bool:
    return any(
        finding["oracle"] in _AGAINST_TRUTH and finding["left"] == leg and finding["kind"] not in ("dtype", "missing")
        for finding in result["findings"]
    )


def _deviating(result: Mapping[str, Any]) -> set[str]:
    """The legs that are not in the largest group of those that agree; all, if no group is larger than the others.

    Legs that raise an exception, and those that a reference contradicts, are in no group: only the others are compared.
    """
    recorded = [
        leg for leg, of_leg in result["statuses"].items()
        if of_leg.get("status") == "recorded" and not _is_wrong(result, leg)
    ]  # fmt: skip
    pairs = {
        frozenset((finding["left"], finding["right"])) for finding in result["findings"] if finding["oracle"] == "agreement"
    }
    *smaller, largest = agreeing_groups(recorded, pairs) or [[]]
    return {*recorded} if any(len(group) == len(largest) for group in smaller) else {*recorded} - {*largest}


def by_topic(report: Mapping[str, Any]) -> list[Capability]:
    """The capabilities of a report, by the folder of the case file; by the file, where all are in one folder."""
    folders = {result["case"]: PurePosixPath(result["file"]).parent.name for result in report["results"]}
    if len(set(folders.values())) < 2:  # noqa: PLR2004 - one topic tells nothing
        folders = {result["case"]: PurePosixPath(result["file"]).stem for result in report["results"]}
    return _grouped(report, {name: [case for case, of in folders.items() if of == name] for name in sorted({*folders.values()})})


def by_rule(report: Mapping[str, Any], cases: Mapping[str, Iterable[str]]) -> list[Capability]:
    """The capabilities of a report by rule. `cases` has the ids of the cases of each; those not in the report are left out."""
    recorded = {result["case"] for result in report["results"]}
    found = {rule: [case for case in dict.fromkeys(of_rule) if case in recorded] for rule, of_rule in cases.items()}
    return _grouped(report, {rule: of_rule for rule, of_rule in found.items() if of_rule})


def _grouped(report: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> list[Capability]:
    results = {result["case"]: result for result in report["results"]}
    legs = report["backends"]
    return [
        Capability(
            name=name, n_cases=len(cases),
            legs={leg: dict(Counter(outcome_of(results[case], leg) for case in cases)) for leg in legs},
        )
        for name, cases in groups.items()
    ]  # fmt: skip
