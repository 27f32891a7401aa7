"""Terminal text: what a run found in lines, worst first. Plain, without colours; those are up to the command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from backendcheck.report.escape import one_line, visible
from backendcheck.report.lines import labelled, wrapped
from backendcheck.report.text_case import case
from backendcheck.report.view import (
    FAILING,
    by_verdict,
    changes_line,
    counted,
    counts_line,
    further_problems,
    odd_one_out,
    reasons,
    run_notes,
)
from backendcheck.report.view_findings import main_evidence, main_tolerance
from backendcheck.report.view_noise import noise_line
from backendcheck.results import CaseResult, Results
from backendcheck.verdict import Verdict

_MOST_CHANGES = 20

__all__ = ["case", "failing", "first_line", "summary"]


def summary(results: Results, width: int | None = 80) -> Iterator[str]:
    """The failing cases, each with its evidence; the known divergences in a line each; the run's problems; the counts.

    Lines are wrapped at `width` with a hanging indent, or whole if it is None (for a file, or a log to be searched).
    """
    for result in by_verdict(results, *FAILING):
        yield from failing(result, width)
        yield ""
    known = by_verdict(results, Verdict.XFAILED)
    for result in known:
        yield from wrapped(f"{first_line(result, '')}   {one_line(reasons(result.known))}".rstrip(), width, hang="    ")
    notes = [("PROBLEM", problem) for problem in results.problems] + run_notes(results)
    if known and notes:
        yield ""
    for label, note in notes:
        yield from wrapped(f"{label} {one_line(note)}", width, hang="    ")
    if known or notes:
        yield ""
    if noise := noise_line(results):
        yield from wrapped(one_line(noise), width, hang="    ")
    if results.since:
        yield from wrapped(f"since {one_line(results.since)}: {changes_line(results)}", width, hang="    ")
        for change in results.changes[:_MOST_CHANGES]:
            before = f"{change.before} -> " if change.before else ""
            text = f"  {change.what}  {visible(change.case)}  {one_line(before + (change.now or 'no such case'))}"
            yield from wrapped(text, width, hang="      ")
        if len(results.changes) > _MOST_CHANGES:
            yield f"  and {len(results.changes) - _MOST_CHANGES} more"
        yield ""
    yield counts_line(results)


def first_line(result: CaseResult, headline: str | None = None) -> str:
    """Verdict, case and headline: enough alone."""
    text = one_line(result.headline if headline is None else headline)
    return f"{result.verdict.value} {visible(result.case)}   {text}".rstrip()


def failing(result: CaseResult, width: int | None = 80, place: str = "") -> Iterator[str]:
    """What a summary says of a failing case: the first line, then what proves it and what to do next.

    `place` is the directory of its legs, if it is not the one where commands look by themselves.
    """
    yield from wrapped(first_line(result), width, hang="    ")
    if result.verdict is Verdict.ERROR:
        yield from _problems(result, width)
    elif result.verdict is Verdict.FAILED:
        yield from _differences(result, width)
    for entry in result.known:
        yield from labelled("known", [one_line(f"{entry.name}: {entry.reason}")], width)
    for change in result.changed:
        yield from labelled("changed", [change], width)
    yield from labelled("next", _next(result, place), width, whole=True)


def _problems(result: CaseResult, width: int | None) -> Iterator[str]:
    for problem in further_problems(result):
        yield from labelled("problem", [one_line(problem)], width)
    if result.findings:
        words = f"{counted(len(result.findings), 'finding')} among the backends that were compared"
        yield from labelled("besides", [words], width)


def _differences(result: CaseResult, width: int | None) -> Iterator[str]:
    yield from labelled("evidence", [f"{what}  {figures}".rstrip() for what, figures in main_evidence(result)], width)
    for label, text in (("odd one out", odd_one_out(result)), ("tolerance", main_tolerance(result))):
        if text:
            yield from labelled(label, [text], width)


def _next(result: CaseResult, place: str) -> list[str]:
    there = f" --out {shlex.quote(visible(place))}" if place else ""
    steps = [f"backendcheck show {shlex.quote(visible(result.case))}{there}"]
    if result.verdict is Verdict.FAILED and not result.known:
        steps.append("known? add it to known_divergences.toml")
    if result.verdict is Verdict.FAILED and result.known:
        steps.append("look again, then correct the entry")
    return steps
