"""Terminal text: everything about one case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backendcheck.compare.findings import Finding
from backendcheck.report.views.case import cells, exceptions, further_problems, notes, odd_one_out, shown_claim, timings
from backendcheck.report.views.findings import (
    evidence,
    excess_words,
    finding_note,
    in_words,
    ordered_findings,
    ordered_passes,
    required_tolerance,
    tolerance_words,
)
from backendcheck.report.views.noise import noise_words, noisiest
from backendcheck.report.views.values import ValueTable, value_tables
from backendcheck.results.results import CaseResult, Results
from backendcheck.results.stages import runs_in_words
from backendcheck.text.escape import one_line, visible
from backendcheck.text.lines import labelled, quoted, table, wrapped
from backendcheck.text.words import counted

_BRIEF = 12  # findings shown unless asked for all


def case(result: CaseResult, results: Results, width: int | None = 80, *, verbose: bool = False) -> Iterator[str]:
    """What `backendcheck show CASE` prints. `verbose` adds every finding, the comparisons that passed and the timings."""
    legs = results.backends
    heading = f"{result.verdict.value} {visible(result.case)}   {one_line(result.headline)}".rstrip()
    yield from wrapped(heading, width, hang="    ")
    yield from _identity(result, legs, width, verbose=verbose)
    for section in (
        _problems(result, width),
        _diagnoses(result, width),
        _findings(result, width, verbose=verbose),
        _exceptions(result, legs, width),
        _stderr(result, legs, width),
        _values(result, legs),
        _notes(result, legs, width),
        _passes(result) if verbose else (),
        _timings(result, legs) if verbose else (),
    ):
        yield from _behind_blank(section)
    if not verbose:
        yield from _behind_blank([_passes_counted(result)])
    yield from _noise(result, width)


def _behind_blank(lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number == 0:
            yield ""
        yield line


def _identity(result: CaseResult, legs: Sequence[str], width: int | None, *, verbose: bool) -> Iterator[str]:
    claim, rest = shown_claim(result)
    if claim:
        yield from labelled("claim", [claim], width)
    if rest and verbose:
        yield from quoted(rest, width, "              ")
    if result.file:
        yield from labelled("file", [f"{result.file}:{result.line}"], width)
    if result.recordings:
        shown = [f"{cell.leg}  {one_line(cell.text)}{'  (odd one out)' if cell.odd else ''}" for cell in cells(result, legs)]
        yield from labelled("backends", shown, width)
    if odd := odd_one_out(result):
        yield from labelled("odd one out", [odd], width)
    yield from _stages(result, width)
    for entry in result.known:
        explanation = entry.cause.explanation if entry.cause and verbose else ""
        lines = [one_line(f"{entry.name}: {entry.reason}"), *filter(None, [one_line(explanation), entry.link])]
        yield from labelled("known", lines, width)
    for change in result.changed:
        yield from labelled("changed", [change], width)


def _stages(result: CaseResult, width: int | None) -> Iterator[str]:
    """The computation as runs of one state, in words: they are read out as well as they are read."""
    found = result.stages
    if len(found) > 1:
        yield from labelled("stages", [f"{words}: {names}" for words, names in runs_in_words(found)], width)


def _problems(result: CaseResult, width: int | None) -> Iterator[str]:
    problems = further_problems(result)
    if problems:
        yield "problems"
    for problem in problems:
        yield from wrapped(one_line(problem), width, first="  ", hang="    ")


def _diagnoses(result: CaseResult, width: int | None) -> Iterator[str]:
    for diagnosis in result.diagnoses:
        yield visible(f"why: {diagnosis.code} ({', '.join(diagnosis.backends)})")
        yield from wrapped(one_line(diagnosis.message), width, first="  ", hang="  ")
        for what, shown in evidence(diagnosis, result):
            yield from wrapped(f"{what}  {one_line(shown)}", width, first="    ", hang="      ")


def _findings(result: CaseResult, width: int | None, *, verbose: bool) -> Iterator[str]:
    findings = ordered_findings(result)
    if not findings:
        return
    yield f"findings ({len(findings)})"
    shown = findings if verbose else findings[:_BRIEF]
    for finding in shown:
        yield from _finding(finding, width)
    if len(shown) < len(findings):
        yield f"  and {len(findings) - len(shown)} more; --verbose shows them"


def _finding(finding: Finding, width: int | None) -> Iterator[str]:
    yield visible(f"  {finding.observation}   {finding.oracle}, {finding.kind}: {finding.left} and {finding.right}")
    yield from wrapped(one_line(finding.message), width, first="    ", hang="      ")
    if note := finding_note(finding):
        yield from wrapped(one_line(note), width, first="    ", hang="      ")
    if finding.tolerance is None:
        return
    required = required_tolerance(finding)
    passing = f"; the smallest that passes: {in_words(required)}" if required else ""
    yield from wrapped(f"tolerance {tolerance_words(finding)}{passing}", width, first="    ", hang="      ")
    if noise := noise_words(finding):
        yield from wrapped(one_line(noise), width, first="    ", hang="      ")


def _exceptions(result: CaseResult, legs: Sequence[str], width: int | None) -> Iterator[str]:
    seen = exceptions(result, legs)
    if seen:
        yield "raised"
    for leg, errors, instead in seen:
        if not errors:
            yield from wrapped(f"{leg}  {instead}, raised nothing", width, first="  ", hang="    ")
        for error in errors:
            yield visible(f"  {leg}  {error.type} in stage {error.stage}")
            if error.message.strip():
                yield from quoted(error.message, width, "    ")


def _stderr(result: CaseResult, legs: Sequence[str], width: int | None) -> Iterator[str]:
    for leg in legs:
        recording = result.recordings.get(leg)
        if recording is not None and recording.stderr_tail.strip():
            yield visible(f"last lines of standard error, {leg}")
            yield from quoted(recording.stderr_tail, width, "  ")


def _values(result: CaseResult, legs: Sequence[str]) -> Iterator[str]:
    tables = value_tables(result, legs)
    if tables:
        yield "values"
    for values in tables:
        yield visible(f"  {values.observation}")
        yield from table(_value_rows(values), "    ", right=True)


def _value_rows(values: ValueTable) -> Iterator[list[str]]:
    """A header of columns, then side and example with their values; the worst element is marked with a star."""
    if len(values.columns) > 1:
        yield ["", *(f"{column} " for column in values.columns)]
    for row in values.rows:
        marked = [f"{value}{'*' if column in row.worst else ' '}" for column, value in enumerate(row.values)]
        yield [f"{row.example} {row.side}".strip(), *marked]


def _notes(result: CaseResult, legs: Sequence[str], width: int | None) -> Iterator[str]:
    said = notes(result, legs)
    if said:
        yield "notes"
    for note in said:
        yield from wrapped(one_line(note), width, first="  ", hang="    ")


def _passes(result: CaseResult) -> Iterator[str]:
    passes = ordered_passes(result)
    if not passes:
        return
    yield f"passed ({len(passes)}), least head-room first"
    yield from table(
        (
            [
                f"{excess_words(comparison.excess) or '-'}",
                comparison.observation,
                comparison.oracle,
                f"{comparison.left} and {comparison.right}",
                one_line(comparison.message),
                tolerance_words(comparison),
                one_line(noise_words(comparison)),
            ]
            for comparison in passes
        ),
        "  ",
    )


def _passes_counted(result: CaseResult) -> str:
    n_passes = len(result.comparisons) - len(result.findings)
    worst = (
        "" if result.findings or result.worst_excess is None else f", the worst with excess {excess_words(result.worst_excess)}"
    )
    return f"{counted(n_passes, 'comparison')} passed{worst}; --verbose shows them"


def _noise(result: CaseResult, width: int | None) -> Iterator[str]:
    found = noisiest(result)
    if found is not None:
        comparison, _ = found
        sides = f"{comparison.left} and {comparison.right}"
        words = noise_words(comparison).removeprefix("noise floor ")
        line = f"noise floor, least room: {comparison.observation} ({comparison.oracle}, {sides}): {words}"
        yield from wrapped(one_line(line), width, hang="  ")


def _timings(result: CaseResult, legs: Sequence[str]) -> Iterator[str]:
    seconds = timings(result, legs)
    if seconds is not None:
        yield "timings in seconds"
        rows = [[leg, *figures, total] for leg, figures, total in seconds.rows]
        yield from table([["", *seconds.stages, "total"], *rows], "  ", right=True)
