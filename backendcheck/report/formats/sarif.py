"""report.sarif: the failing cases, for code scanning (SARIF 2.1.0, https://docs.oasis-open.org/sarif/sarif/v2.1.0/)."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from backendcheck import __version__
from backendcheck.report.views.case import FAILING, by_verdict
from backendcheck.report.views.raised import place_of
from backendcheck.report.views.run import exit_sentence
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.escape import one_line, visible
from backendcheck.verdicts.verdict import Verdict

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_MOST_RESULTS = 5000  # the limit of code scanning for one run


def render(results: Results) -> str:
    """The text of report.sarif: a result for each failing case. Its rule is the first diagnosis, or else the kind of finding."""
    failing = by_verdict(results, *FAILING)
    left_out = len(failing) - _MOST_RESULTS
    failing = failing[:_MOST_RESULTS]
    rules = sorted({_rule(result) for result in failing})
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "backendcheck",
                        "semanticVersion": __version__,
                        "rules": [{"id": rule, "name": _pascal(rule), "shortDescription": {"text": rule}} for rule in rules],
                    }
                },
                "invocations": [_invocation(results, left_out)],
                "results": [_result(result, rules) for result in failing],
            }
        ],
    }
    return json.dumps(log, indent=1) + "\n"


def _invocation(results: Results, left_out: int) -> dict[str, Any]:
    """The exit code with its meaning, the problems of the run, and the number of results left out."""
    notes = [one_line(str(problem)) for problem in results.problems]
    if left_out > 0:
        notes.append(f"{left_out} more cases fail; see report.json")
    return {
        "executionSuccessful": results.exit_code in (0, 1),
        "exitCode": results.exit_code,
        "exitCodeDescription": exit_sentence(results),
        "toolExecutionNotifications": [{"level": "error", "message": {"text": note}} for note in notes],
    }


def _rule(result: CaseResult) -> str:
    if result.verdict is Verdict.ERROR:
        return "incomplete"
    if result.verdict is Verdict.XPASSED:
        return "known-divergence-gone"
    named = [diagnosis.code for diagnosis in result.diagnoses if diagnosis.code != "unexplained"]
    return named[0] if named else f"differs-{result.findings[0].kind}" if result.findings else "differs"


def _pascal(rule: str) -> str:
    return "".join(part.capitalize() for part in rule.split("-"))


def _result(result: CaseResult, rules: list[str]) -> dict[str, Any]:
    message = f"{visible(result.case)}: {one_line(result.headline)}"
    alert: dict[str, Any] = {
        "ruleId": _rule(result),
        "ruleIndex": rules.index(_rule(result)),
        "level": "error",
        "message": {"text": message},
        # A case keeps its alert when it moves within its file.
        "partialFingerprints": {"case/v1": visible(result.case)},
    }
    for file, line in dict.fromkeys([place_of(result), (result.file, result.line)]):
        path = PurePosixPath(file.replace("\\", "/"))
        if file and not path.is_absolute() and ".." not in path.parts:
            location = {"artifactLocation": {"uri": quote(visible(str(path)))}, "region": {"startLine": max(line, 1)}}
            alert["locations"] = [{"physicalLocation": location}]
            break
    return alert
