"""The table of `backendcheck certify`: what legs accept, reject, get wrong and do not support, by topic and by label rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backendcheck.results.capabilities import Capability, Outcome, by_rule, by_topic

SCHEMA = 1
_SHOWN = (Outcome.ACCEPTS, Outcome.REJECTS, Outcome.WRONG, Outcome.DIFFERS, Outcome.NOT_SUPPORTED, Outcome.NOT_RECORDED)


def document(report: Mapping[str, Any], cases_of_rules: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The capabilities of a report as JSON: versions, and the outcomes by topic and by rule."""
    return {
        "schema": SCHEMA,
        "legs": report["backends"],
        "versions": {leg: environment["versions"] for leg, environment in report["environments"].items()},
        "topics": [capability.as_json() for capability in by_topic(report)],
        "rules": [capability.as_json() for capability in by_rule(report, cases_of_rules)],
    }


def text_lines(report: Mapping[str, Any], legs: Sequence[str]) -> Iterator[str]:
    """A table for each of `legs`, by topic, with the whole below; columns without a case are left out."""
    topics = by_topic(report)
    for leg in legs:
        versions = report["environments"].get(leg, {}).get("versions", {})
        of_keras = f", Keras {versions['keras']}" if versions.get("keras") else ""
        yield f"{leg} {versions.get(report['legs'][leg]['backend'], '')}".rstrip() + of_keras
        rows = [[topic.name, str(topic.n_cases), *_counts(topic, leg)] for topic in topics]
        whole = ["all", str(sum(topic.n_cases for topic in topics)), *_sums(topics, leg)]
        columns = [0, 1, *(2 + n for n, count in enumerate(whole[2:]) if count != "")]
        yield from _table([["topic", "cases", *map(str, _SHOWN)], *rows, whole], columns)
        yield ""


def markdown_lines(capabilities: Sequence[Capability], legs: Sequence[str], what: str, link: str = "") -> Iterator[str]:
    """One table: a row for each capability, a column for each leg. `link` has the page of a name, with ``{}`` for it."""
    yield f"| {what} | cases | {' | '.join(legs)} |"
    yield f"| --- | ---: |{' --- |' * len(legs)}"
    for capability in capabilities:
        name = f"[{capability.name}]({link.format(capability.name)})" if link else capability.name
        yield f"| {name} | {capability.n_cases} | {' | '.join(_words(capability.legs[leg]) for leg in legs)} |"


def _words(counts: Mapping[Outcome, int]) -> str:
    return "<br>".join(f"{outcome} {counts[outcome]}" for outcome in _SHOWN if counts.get(outcome)) or "-"


def _counts(capability: Capability, leg: str) -> list[str]:
    return [str(capability.legs[leg].get(outcome) or "") for outcome in _SHOWN]


def _sums(topics: Sequence[Capability], leg: str) -> list[str]:
    return [str(sum(topic.legs[leg].get(outcome, 0) for topic in topics) or "") for outcome in _SHOWN]


def _table(rows: Sequence[Sequence[str]], columns: Sequence[int]) -> Iterator[str]:
    widths = {column: max(len(row[column]) for row in rows) for column in columns}
    for row in rows:
        first, *others = columns
        cells = [row[first].ljust(widths[first]), *(row[column].rjust(widths[column]) for column in others)]
        yield f"  {'  '.join(cells)}".rstrip()
