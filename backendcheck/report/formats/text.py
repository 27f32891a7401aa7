"""Terminal text: the summary of a run, worst case first. Plain text; the command adds color."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from backendcheck.report.formats.moment import in_text
from backendcheck.report.formats.text_case import case
from backendcheck.report.formats.text_matrix import matrix
from backendcheck.report.views.case import (
    FAILING,
    by_verdict,
    changes_line,
    counts_line,
    further_problems,
    known_notes,
    odd_one_out,
    reasons,
    run_notes,
)
from backendcheck.report.views.findings import main_evidence, main_tolerance
from backendcheck.report.views.moment import ENVIRONMENTS, KEPT, Moment
from backendcheck.report.views.noise import noise_line
from backendcheck.report.views.raised import authors_frame, frames_in_words, refused_everywhere
from backendcheck.report.views.remedies import what_to_do
from backendcheck.report.views.run import exit_sentence
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.escape import one_line, visible
from backendcheck.text.lines import labeled, wrapped
from backendcheck.text.styled import fitted
from backendcheck.text.words import counted
from backendcheck.verdicts.verdict import Verdict

_MOST_CHANGES = 20
_MOST_KNOWN = 8  # in a line each
_IN_FULL, _IN_LINES = 20, 200  # failing cases with their evidence, and those behind them in a line each
_SOME = 3

__all__ = ["case", "failing", "failing_early", "last_line", "summary", "summary_frame", "verdict_line"]


def summary(
    results: Results, width: int | None = 80, *, verbose: bool = False, quiet: bool = False, run: str = ""
) -> Iterator[str]:
    """The failing cases, each with its evidence; the matrix; known divergences; problems of the run; the counts.

    Lines are wrapped at `width` with a hanging indent, or not at all if it is None, for a file or a log. `verbose` shows
    everything, `quiet` only failing cases and problems. `run` is that of `failing`.
    """
    lines = summary_frame(results, width, verbose=verbose, quiet=quiet, run=run)
    yield from in_text(lines, Moment.of(results), width)


def summary_frame(
    results: Results, width: int | None = 80, *, verbose: bool = False, quiet: bool = False, run: str = ""
) -> Iterator[str]:
    """The same with marks in place of the lines that concern the run alone."""
    yield from _failing_cases(results, width, verbose=verbose, run=run)
    if not quiet:
        yield from _closed(matrix(results, width, whole=verbose))
        yield from _closed(_known(results, width, verbose=verbose))
    yield from _closed(_notes(results, width, quiet=quiet))
    if not quiet:
        if noise := noise_line(results):
            yield from wrapped(one_line(noise), width, hang="    ")
        yield KEPT
        yield from _closed(_changes(results, width, verbose=verbose))
        if verbose:
            yield ENVIRONMENTS
        yield from wrapped(counts_line(results), width, hang="    ")


def last_line(results: Results, width: int | None = 80) -> Iterator[str]:
    """What the exit code means for this run."""
    yield from wrapped(exit_sentence(results), width, hang="    ")


def _closed(lines: Iterable[str]) -> Iterator[str]:
    """`lines` followed by a blank one; empty if `lines` is."""
    n_lines = 0
    for n_lines, line in enumerate(lines, 1):  # noqa: B007 - the count is used after the loop
        yield line
    if n_lines:
        yield ""


def _failing_cases(results: Results, width: int | None, *, verbose: bool, run: str) -> Iterator[str]:
    """The failing cases, worst first; cases with the same problem are one. Of very many, the later ones have a line each."""
    cases = by_verdict(results, *FAILING)
    alike: dict[str, list[CaseResult]] = {}
    for result in cases:
        of_problem = result.verdict is Verdict.ERROR and not verbose
        key = f"{result.headline}\n{further_problems(result)}" if of_problem else result.case
        alike.setdefault(key, []).append(result)
    groups = list(alike.values())
    in_full = len(groups) if verbose else _IN_FULL
    in_lines = len(groups) if verbose else _IN_LINES
    for first, *others in groups[:in_full]:
        yield from failing(first, width, run)
        if others:
            names = [visible(result.case) for result in others[:_SOME]]
            more = f" and {len(others) - _SOME} more; --verbose lists them all" if len(others) > _SOME else ""
            yield from wrapped(f"  the same in {counted(len(others), 'case')}: {', '.join(names)}{more}", width, hang="    ")
        yield ""
    rest = groups[in_full:in_lines]
    for first, *others in rest:
        more = f"   (and {counted(len(others), 'case')} more)" if others else ""
        line = f"{verdict_line(first)}{more}"
        yield line if width is None else fitted(line, width).rstrip()
    if rest:
        yield ""
    if left_out := sum(map(len, groups[in_lines:])):
        yield f"and {left_out} more that fail; report.json and --verbose list them all"
        yield ""


def _known(results: Results, width: int | None, *, verbose: bool) -> Iterator[str]:
    """The known divergences, in a line each if they are few."""
    known = by_verdict(results, Verdict.XFAILED)
    if len(known) > _MOST_KNOWN and not verbose:
        text = f"{counted(len(known), 'known divergence')} (XFAILED), each with its reason in the report and with --verbose"
        yield from wrapped(text, width, hang="    ")
        return
    for result in known:
        yield from wrapped(f"{verdict_line(result, '')}   {one_line(reasons(result.known))}".rstrip(), width, hang="    ")


def _notes(results: Results, width: int | None, *, quiet: bool) -> Iterator[str]:
    notes = [("PROBLEM", str(problem)) for problem in results.problems]
    if not quiet or results.strict_known:
        notes += known_notes(results) if quiet else run_notes(results)
    for label, note in notes:
        yield from wrapped(f"{label} {one_line(note)}", width, hang="    ")


def _changes(results: Results, width: int | None, *, verbose: bool) -> Iterator[str]:
    if not results.since:
        return
    yield from wrapped(f"since {one_line(results.since)}: {changes_line(results)}", width, hang="    ")
    most = len(results.changes) if verbose else _MOST_CHANGES
    for change in results.changes[:most]:
        before = f"{change.before} -> " if change.before else ""
        text = f"  {change.what}  {visible(change.case)}  {one_line(before + (change.now or 'no such case'))}"
        yield from wrapped(text, width, hang="      ")
    if len(results.changes) > most:
        yield f"  and {len(results.changes) - most} more"


def verdict_line(result: CaseResult, headline: str | None = None) -> str:
    """Verdict, case and headline in one line."""
    text = one_line(result.headline if headline is None else headline)
    return f"{result.verdict.value} {visible(result.case)}   {text}".rstrip()


def failing_early(result: CaseResult, width: int | None = 80) -> Iterator[str]:
    """A failing case while others are still recorded: verdict and headline, and what to do. The summary adds the evidence."""
    yield from wrapped(verdict_line(result), width, hang="    ")
    if remedy := what_to_do(result):
        yield from labeled("what to do", [one_line(remedy)], width)


def failing(result: CaseResult, width: int | None = 80, run: str = "") -> Iterator[str]:
    """A failing case in a summary: verdict and headline, then the evidence and what to do next.

    `run` is the directory of the run, unless it is the one that commands read by default.
    """
    yield from wrapped(verdict_line(result), width, hang="    ")
    if lines := frames_in_words(result, list(result.recordings)):
        yield from labeled("raised at", list(map(one_line, lines)), width)
    if result.verdict is Verdict.ERROR:
        yield from _problems(result, width)
    elif result.verdict is Verdict.FAILED:
        yield from _differences(result, width)
    for entry in result.known:
        yield from labeled("known", [one_line(f"{entry.name}: {entry.reason}")], width)
    for change in result.changed:
        yield from labeled("changed", [change], width)
    yield from labeled("next", _next(result, run), width, whole=True)
    if remedy := what_to_do(result):
        yield from labeled("what to do", [remedy], width)


def _problems(result: CaseResult, width: int | None) -> Iterator[str]:
    for problem in further_problems(result):
        yield from labeled("problem", [one_line(problem)], width)
    if result.findings:
        words = f"{counted(len(result.findings), 'finding')} between the backends that were compared"
        yield from labeled("also", [words], width)


def _differences(result: CaseResult, width: int | None) -> Iterator[str]:
    yield from labeled("evidence", [f"{what}  {values}".rstrip() for what, values in main_evidence(result)], width)
    for label, text in (("odd one out", odd_one_out(result)), ("tolerance", main_tolerance(result))):
        if text:
            yield from labeled(label, [text], width)


def _next(result: CaseResult, run: str) -> list[str]:
    option = f" --run {shlex.quote(visible(run))}" if run else ""
    steps = [f"backendcheck show {shlex.quote(visible(result.case))}{option}"]
    own = refused_everywhere(result) or authors_frame(result) is not None
    if result.verdict is Verdict.FAILED and not result.known and not own:
        steps.append("known? add it to known_divergences.toml")
    return steps
