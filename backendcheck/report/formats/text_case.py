"""Terminal text: everything about one case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backendcheck.compare.findings import Finding
from backendcheck.report.views.case import cells, exceptions, further_problems, notes, odd_one_out, shown_claim, timings
from backendcheck.report.views.findings import (
    advised_tolerance,
    evidence,
    excess_words,
    finding_note,
    finding_rows,
    ordered_passes,
    tolerance_values,
    tolerance_words,
)
from backendcheck.report.views.noise import noise_measured, noise_words, noisiest
from backendcheck.report.views.raised import TRACEBACK, origins
from backendcheck.report.views.remedies import what_to_do
from backendcheck.report.views.values import ValueTable, value_tables
from backendcheck.results.results import CaseResult, Results
from backendcheck.results.stages import runs_in_words
from backendcheck.text.escape import block, one_line, visible
from backendcheck.text.lines import labeled, quoted, table, wrapped
from backendcheck.text.words import counted

_BRIEF = 12  # findings shown unless asked for all
_FRAMES = 6  # of a traceback, shown unless asked for all


def case(result: CaseResult, results: Results, width: int | None = 80, *, verbose: bool = False) -> Iterator[str]:
    """The text of `backendcheck show CASE`. `verbose` adds all findings, the comparisons that passed and the timings."""
    legs = results.backends
    heading = f"{result.verdict.value} {visible(result.case)}   {one_line(result.headline)}".rstrip()
    yield from wrapped(heading, width, hang="    ")
    yield from _identity(result, legs, width, verbose=verbose)
    for section in (
        _problems(result, width),
        _diagnoses(result, width),
        _findings(result, width, verbose=verbose),
        _exceptions(result, legs, width),
        _origins(result, legs, width, verbose=verbose),
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
        yield from labeled("claim", [claim], width)
    if rest and verbose:
        yield from quoted(rest, width, "              ")
    if result.file:
        yield from labeled("file", [f"{result.file}:{result.line}"], width)
    if result.recordings:
        shown = [f"{cell.leg}  {one_line(cell.text)}{'  (odd one out)' if cell.odd else ''}" for cell in cells(result, legs)]
        yield from labeled("backends", shown, width)
    if odd := odd_one_out(result):
        yield from labeled("odd one out", [odd], width)
    if remedy := what_to_do(result):
        yield from labeled("what to do", [one_line(remedy)], width)
    yield from _stages(result, width)
    for entry in result.known:
        explanation = entry.cause.explanation if entry.cause and verbose else ""
        lines = [one_line(f"{entry.name}: {entry.reason}"), *filter(None, [one_line(explanation), entry.link])]
        yield from labeled("known", lines, width)
    for change in result.changed:
        yield from labeled("changed", [change], width)


def _stages(result: CaseResult, width: int | None) -> Iterator[str]:
    """The stages of the computation, those in a row with the same state together."""
    if len(result.stages) > 1:
        yield from labeled("stages", [f"{words}: {names}" for words, names in runs_in_words(result.stages)], width)


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
    rows = finding_rows(result)
    if not rows:
        return
    yield f"findings ({len(result.findings)})"
    shown = rows if verbose else rows[:_BRIEF]
    for row in shown:
        yield from _finding(row.finding, result, width, row.likewise)
    if len(shown) < len(rows):
        n_shown = sum(1 + len(row.likewise) for row in shown)
        yield f"  and {len(result.findings) - n_shown} more; --verbose shows them"


def _finding(finding: Finding, result: CaseResult, width: int | None, likewise: Sequence[str]) -> Iterator[str]:
    yield visible(f"  {finding.observation}   {finding.oracle}, {finding.kind}: {finding.left} and {finding.right}")
    if likewise:
        yield from wrapped(f"likewise {'; '.join(likewise)}", width, first="    ", hang="      ")
    yield from wrapped(one_line(finding.message), width, first="    ", hang="      ")
    if note := finding_note(finding):
        yield from wrapped(one_line(note), width, first="    ", hang="      ")
    if finding.tolerance is None:
        return
    required = advised_tolerance(finding, result)
    passing = f"; the smallest that passes: {tolerance_values(required)}" if required else ""
    yield from wrapped(f"tolerance {tolerance_words(finding)}{passing}", width, first="    ", hang="      ")
    if noise := noise_words(finding):
        yield from wrapped(one_line(noise), width, first="    ", hang="      ")


def _exceptions(result: CaseResult, legs: Sequence[str], width: int | None) -> Iterator[str]:
    outcomes = exceptions(result, legs)
    if outcomes:
        yield "raised"
    for leg, errors, instead in outcomes:
        if not errors:
            yield from wrapped(f"{leg}  {instead}, raised no exception", width, first="  ", hang="    ")
        for error in errors:
            yield visible(f"  {leg}  {error.type} in stage {error.stage}")
            if error.message.strip():
                yield from quoted(error.message, width, "    ")


def _origins(result: CaseResult, legs: Sequence[str], width: int | None, *, verbose: bool) -> Iterator[str]:
    """Where exceptions were raised: the author's line under the lines above it, then the traceback."""
    for number, origin in enumerate(origins(result, legs)):
        if number:
            yield ""
        through = f" through {origin.path}" if origin.path else ""
        where = f" at {origin.frame.place} in {origin.frame.function}" if origin.frame is not None else ""
        yield from wrapped(one_line(f"{origin.error.type}{where}{through} ({', '.join(origin.legs)})"), width, hang="  ")
        for line in origin.source:
            yield visible(f"  {line}")
        # In words of its own, so that nothing takes it for a traceback of this command.
        lines = block(origin.traceback).replace(TRACEBACK, "traceback, most recent call last:").splitlines()
        frames = [number for number, line in enumerate(lines) if line.startswith("  File ")]
        if not verbose and len(frames) > _FRAMES:
            yield f"  | {lines[0]}"
            yield f"  |   … {counted(len(frames) - _FRAMES, 'frame')} left out; --verbose shows them"
            lines = lines[frames[-_FRAMES] :]
        for line in lines:
            yield f"  | {line}"


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
    """A header of columns, then the values of each side and example; a star marks the worst element."""
    if len(values.columns) > 1:
        yield ["", *(f"{column} " for column in values.columns)]
    for row in values.rows:
        marked = [f"{value}{'*' if column in row.worst else ' '}" for column, value in enumerate(row.values)]
        yield [f"{row.example} {row.side}".strip(), *marked]


def _notes(result: CaseResult, legs: Sequence[str], width: int | None) -> Iterator[str]:
    lines = notes(result, legs)
    if lines:
        yield "notes"
    for note in lines:
        yield from wrapped(one_line(note), width, first="  ", hang="    ")


def _passes(result: CaseResult) -> Iterator[str]:
    passes = ordered_passes(result)
    if not passes:
        return
    yield f"passed ({len(passes)}), least headroom first"
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
    shows_worst = not result.findings and result.worst_excess is not None
    worst = f", the worst with excess {excess_words(result.worst_excess)}" if shows_worst else ""
    return f"{counted(n_passes, 'comparison')} passed{worst}; --verbose shows them"


def _noise(result: CaseResult, width: int | None) -> Iterator[str]:
    noisy = noisiest(result)
    if noisy is not None:
        comparison, _ = noisy
        sides = f"{comparison.left} and {comparison.right}"
        words = noise_measured(comparison)
        line = f"noise floor, least headroom: {comparison.observation} ({comparison.oracle}, {sides}): {words}"
        yield from wrapped(one_line(line), width, hang="  ")


def _timings(result: CaseResult, legs: Sequence[str]) -> Iterator[str]:
    seconds = timings(result, legs)
    if seconds is not None:
        yield "seconds by stage"
        rows = [[leg, *texts, total] for leg, texts, total in seconds.rows]
        yield from table([["", *seconds.stages, "total"], *rows], "  ", right=True)
