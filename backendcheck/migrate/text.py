"""What the terminal shows of a migration: the decision, each question, the lines of the source, and what to change."""

from __future__ import annotations

from collections.abc import Iterator

from backendcheck.labels import report as label_report
from backendcheck.migrate.decision import Answer, Migration
from backendcheck.text.lines import wrapped
from backendcheck.text.styled import StyledLine
from backendcheck.text.words import counted

_MOST = 8  # lines of the source and examples, unless all are asked for
_STYLES = {Answer.GO: "PASSED", Answer.NO_GO: "FAILED", Answer.INCOMPLETE: "ERROR"}


def migration_lines(migration: Migration, width: int | None, *, verbose: bool = False, quiet: bool = False) -> Iterator[str]:
    """The text. `verbose` shortens no list, `quiet` leaves out what decides nothing."""
    title = f"{migration.model}: from {migration.source} to {migration.target}"
    yield StyledLine([(f"{migration.answer.value.upper()}  ", _STYLES[migration.answer]), (title, "")])
    if migration.problem:
        yield from wrapped(migration.problem, width, first="  ", hang="    ")
    for check in migration.checks:
        yield from wrapped(f"{check.state:<10}{check.question}: {check.detail}", width, first="  ", hang="            ")
    for decisions in migration.decisions:
        shown = decisions.changed if verbose else decisions.changed[:_MOST]
        for place, old, new in shown:
            name = f" of {decisions.output}" if decisions.output else ""
            yield f"      example {place}{name}: {old} on {migration.source}, {new} on {migration.target}"
    if migration.label_findings:
        yield "  labels"
        for line in label_report.lines(migration.label_findings):
            yield StyledLine([("    ", ""), *line.parts]) if isinstance(line, StyledLine) else f"    {line}"
    for why, finding in migration.deciding:
        yield from wrapped(f"{why:<15}{finding.place}  {finding.source}", width, first="  ", hang="                 ")
        yield from wrapped(finding.what, width, first="                 ", hang="                 ")
    look_at = () if quiet else migration.to_look_at
    if look_at:
        yield f"  look at ({counted(len(look_at), 'line')}; alone they decide nothing)"
    for finding in look_at if verbose else look_at[:_MOST]:
        yield from wrapped(f"{finding.place}  {finding.what}", width, first="    ", hang="      ")
        yield from wrapped(finding.remedy, width, first="      ", hang="      ")
    if len(look_at) > _MOST and not verbose:
        yield f"    and {len(look_at) - _MOST} more; --verbose lists them all"
    for remedy in migration.remedies:
        yield from wrapped(f"{'change':<15}{remedy}", width, first="  ", hang="                 ")


def exit_sentence(migration: Migration) -> str:
    """What the exit code means here."""
    meaning = {0: "go", 1: "no go", 3: "incomplete, no decision"}[migration.exit_code]
    return f"exit code {migration.exit_code}: {meaning}"
