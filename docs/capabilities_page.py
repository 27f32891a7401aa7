"""The page capabilities.md: what each leg of a run can do with labels, by topic and by rule of the label contract."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from backendcheck.labels import RULES
from backendcheck.labels.contract.backend_behavior import cases_of_rules
from backendcheck.report.formats import capabilities
from backendcheck.results.capabilities import Outcome, by_rule, by_topic

NAME = "capabilities"


def capabilities_page(report: Mapping[str, Any]) -> Iterator[str]:
    """Two tables, by topic and by rule, of the built-in cases on the legs of `report`."""
    legs = report["backends"]
    versions = {leg: environment["versions"] for leg, environment in report["environments"].items()}
    keras = ", ".join(sorted({of_leg["keras"] for of_leg in versions.values()}))
    of_backend = {leg: versions[leg].get(report["legs"][leg]["backend"], "?").partition("-")[0] for leg in legs}
    backends = ", ".join(f"{leg} {version}" for leg, version in of_backend.items())
    yield from ("# What each backend can do with labels", "")
    n_cases = len(report["results"])
    yield f"Made from a run of the {n_cases} built-in cases on Keras {keras} with {backends}, CPU."
    yield "[capabilities.json](capabilities.json) has the same as data."
    yield "[`backendcheck certify`](certify.md) makes it for your backend."
    yield from ("", "| outcome | meaning |", "| --- | --- |")
    yield from (f"| {outcome} | {outcome.meaning} |" for outcome in reversed(Outcome))
    yield from ("", "## By topic", "", "A topic is a folder of the [built-in cases](case-index.md).", "")
    yield from capabilities.markdown_lines(by_topic(report), legs, "topic")
    yield from ("", "## By rule of the label contract", "")
    yield "The cases in which labels break a rule. A backend should reject them, or give what the rule's page says is right."
    yield ""
    anchors = {rule.code: f"label-rules.md#{rule.code.lower()}-{rule.name}" for rule in RULES.values()}
    for line in capabilities.markdown_lines(by_rule(report, cases_of_rules()), legs, "rule", "{}"):
        code = line.partition("](")[2].partition(")")[0]
        yield line.replace(f"]({code})", f"]({anchors[code]})") if code in anchors else line


def capabilities_json(report: Mapping[str, Any]) -> list[str]:
    """The same as data."""
    return [json.dumps(capabilities.document(report, cases_of_rules()), indent=1)]
