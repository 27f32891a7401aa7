"""Findings as text lines, as JSON and as GitHub commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from backendcheck.labels.contract.class_map import ClassMap
from backendcheck.labels.contract.finding import LabelFinding, Severity
from backendcheck.labels.contract.rules import GROUPS, RULES, Rule
from backendcheck.text import documentation
from backendcheck.text.escape import one_line
from backendcheck.text.github import annotation
from backendcheck.text.styled import StyledLine

_STYLES = {Severity.ERROR: "FAILED", Severity.WARNING: "XPASSED", Severity.INFO: "XFAILED"}  # red, yellow, cyan
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_MOST_ANNOTATIONS = 10  # GitHub shows no more for a step
SCHEMA = 1


def counts(findings: Sequence[LabelFinding]) -> dict[str, int]:
    """How many findings there are of each severity."""
    n_by_severity = Counter(finding.severity for finding in findings)
    return {severity.value: n_by_severity[severity] for severity in Severity}


def exit_code(findings: Sequence[LabelFinding], *, strict: bool) -> int:
    """1 if there is an error, or, with `strict`, a warning; 0 otherwise."""
    failing = (Severity.ERROR, Severity.WARNING) if strict else (Severity.ERROR,)
    return int(any(finding.severity in failing for finding in findings))


def lines(findings: Sequence[LabelFinding], *, today: bool = True) -> Iterator[str]:
    """A line for each finding, and, with `today`, a line with what backends do with such labels, once for each behavior."""
    shown_behaviors: set[str] = set()
    for finding in findings:
        yield StyledLine([
            (f"{finding.severity.value:<8}", _STYLES[finding.severity]), (f"{finding.code} ", "bold"),
            (f"{finding.name}  ", "dim"),
            (one_line(finding.message), ""),
        ])  # fmt: skip
        behavior = finding.today if today else None
        if behavior is not None and behavior.says not in shown_behaviors:
            shown_behaviors.add(behavior.says)
            yield StyledLine([("         today  ", "dim"), (one_line(behavior.says), "dim")])


def last_line(findings: Sequence[LabelFinding], source: str, n_labels: int) -> str:
    """The number of findings: ``1 error, 2 warnings in patients.csv (150 labels)``."""
    parts = [f"{n} {name}{'s' if n != 1 and name != 'info' else ''}" for name, n in counts(findings).items() if n]
    return f"{', '.join(parts) or 'no finding'} in {one_line(source)} ({n_labels} labels)"


def github_commands(findings: Sequence[LabelFinding]) -> Iterator[str]:
    """A workflow command for each finding, ten at most; the last one counts the others."""
    shown = findings if len(findings) <= _MOST_ANNOTATIONS else findings[: _MOST_ANNOTATIONS - 1]
    for finding in shown:
        yield annotation(_LEVELS[finding.severity], f"backendcheck {finding.code} {finding.name}", finding.message)
    if len(shown) < len(findings):
        yield annotation("notice", "backendcheck labels", f"{len(findings) - len(shown)} more findings; the log has them.")


def document(findings: Sequence[LabelFinding], source: str, class_map: ClassMap | None, *, strict: bool) -> dict[str, Any]:
    """The findings and the class map as JSON."""
    return {
        "schema": SCHEMA, "data": source, "counts": counts(findings), "exit_code": exit_code(findings, strict=strict),
        "class_map": {"classes": class_map.as_json, "sha256": class_map.sha256} if class_map is not None else None,
        "findings": [finding.to_dict() for finding in findings],
    }  # fmt: skip


# --- rules -----------------------------------------------------------------------------------------------------


def rule_list() -> Iterator[str]:
    """A line for each rule, by group."""
    for group, title in GROUPS.items():
        yield StyledLine([(f"{group} {title}", "bold")])
        for rule in RULES.values():
            if rule.code.startswith(group):
                severities = "/".join(severity.value for severity in rule.severities)
                yield f"  {rule.code}  {rule.name:<28}{severities:<15}{rule.looks_for.replace('`', '')}"


def rule_lines(rule: Rule) -> Iterator[str]:
    """One rule in full, with an example."""
    from backendcheck.labels.rule_examples import EXAMPLES, run_example

    severities = " or ".join(severity.value for severity in rule.severities)
    yield StyledLine([(f"{rule.code} ", "bold"), (f"{rule.name} ({severities})", "")])
    yield ""
    yield from (f"  looks for   {rule.looks_for}", f"  hurts       {rule.hurts}", f"  what to do  {rule.remedy}", "")
    example = EXAMPLES[rule.code][0]
    finding = next(candidate for candidate in run_example(example) if candidate.code == rule.code)
    yield f"  check_labels({example})"
    yield f"  {finding}"
    if finding.today is not None:
        yield from ("", f"  today       {finding.today.says}")
    if more := documentation.page("label-rules.md", rule.anchor):
        yield from ("", f"  more        {more}")
