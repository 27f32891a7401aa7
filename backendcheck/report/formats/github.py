"""What GitHub shows of a run: summary.md, a job summary of at most one MiB, and annotations next to the lines of the cases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from backendcheck.report.views.case import (
    FAILING,
    by_verdict,
    changes_line,
    counts_line,
    odd_one_out,
    run_notes,
    web_link,
)
from backendcheck.report.views.raised import place_of
from backendcheck.report.views.remedies import what_to_do
from backendcheck.report.views.run import exit_sentence
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.escape import visible
from backendcheck.text.github import annotation
from backendcheck.text.markdown import escape
from backendcheck.text.words import counted
from backendcheck.verdicts.verdict import Verdict

LIMIT = 1024 * 1024  # bytes; GitHub drops a longer summary
_RESERVE = 4096  # for the ends of the tables and the count of rows left out
_LONGEST_CELL = 400
_MOST_NOTES = 50
_MOST_ANNOTATIONS = 10  # GitHub shows no more of one step
_SAFE_IN_LINKS = ":/?#&=%@+,;~-._"


def render(results: Results) -> str:
    """The text of summary.md; also what goes to ``$GITHUB_STEP_SUMMARY``."""
    lines = [f"## backendcheck: {escape(counts_line(results))}", "", f"**{escape(exit_sentence(results))}**", ""]
    lines += [*_counts(results), *_problems(results), *_changes(results)]
    size = sum(map(_size, lines))
    for table in (_failing_table, _known_table):
        for line in table(results, LIMIT - _RESERVE - size):
            lines.append(line)
            size += _size(line)
    lines += ["", "<sub>All details are in index.html and report.json of this run.</sub>", ""]
    return "\n".join(lines)


def annotation_commands(results: Results) -> Iterator[str]:
    """One ``::error`` line for each failing case, worst first, ten at most; the last one counts the rest."""
    failing = by_verdict(results, *FAILING)
    shown = failing if len(failing) <= _MOST_ANNOTATIONS else failing[: _MOST_ANNOTATIONS - 1]
    for result in shown:
        title = f"backendcheck {result.verdict}: {visible(result.case)}"
        file, line = place_of(result)
        yield annotation("error", title, result.headline, file=file, line=line)
    if len(shown) < len(failing):
        yield annotation("error", "backendcheck", f"{len(failing) - len(shown)} more cases fail; see the report of this job.")


def _size(line: str) -> int:
    return len(line.encode()) + 1


def _counts(results: Results) -> Iterator[str]:
    counts = results.counts
    yield f"| {' | '.join(counts)} |"
    yield "| ---: " * len(counts) + "|"
    yield f"| {' | '.join(str(n) for n in counts.values())} |"


def _problems(results: Results) -> Iterator[str]:
    notes = [("problem", str(problem)) for problem in results.problems] + run_notes(results)
    if notes:
        yield ""
    for label, note in notes[:_MOST_NOTES]:
        yield f"- **{label}** {_cut(escape(note))}"
    if len(notes) > _MOST_NOTES:
        yield f"- and {len(notes) - _MOST_NOTES} more"


def _changes(results: Results) -> Iterator[str]:
    if not results.since:
        return
    yield from ("", f"**Since {escape(results.since)}**: {escape(changes_line(results))}", "")
    for change in results.changes[:_MOST_NOTES]:
        before, now = (_cut(escape(text)) for text in (change.before, change.now))
        arrow = f"{before} → " if before else ""
        yield f"- <code>{_cut(escape(visible(change.case)))}</code> {change.what}: {arrow}{now or 'no such case'}"
    if len(results.changes) > _MOST_NOTES:
        yield f"- and {len(results.changes) - _MOST_NOTES} more"


def _failing_table(results: Results, room: int) -> Iterator[str]:
    failing = by_verdict(results, *FAILING)
    if not failing:
        return
    yield from ("", "| case | verdict | what differs | odd one out | what to do |", "| --- | --- | --- | --- | --- |")
    yield from _rows([_failing_row(result) for result in failing], room, "failing case")


def _failing_row(result: CaseResult) -> str:
    remedy = _cut(escape(visible(what_to_do(result))))
    headline, odd = _cut(escape(result.headline)), escape(odd_one_out(result))
    return f"| {_name(result)} | {result.verdict} | {headline} | {odd} | {remedy} |"


def _known_table(results: Results, room: int) -> Iterator[str]:
    known = by_verdict(results, Verdict.XFAILED)
    if not known:
        return
    yield from ("", f"<details><summary>{counted(len(known), 'known divergence')} (XFAILED)</summary>", "")
    yield from ("| case | what differs | reason |", "| --- | --- | --- |")
    yield from _rows([_known_row(result) for result in known], room, "known divergence")
    yield from ("", "</details>")


def _known_row(result: CaseResult) -> str:
    links = dict.fromkeys(link for entry in result.known if (link := web_link(entry.link)))
    linked = [f"[{escape(link)}]({quote(link, safe=_SAFE_IN_LINKS)})" for link in links if len(link) <= _LONGEST_CELL]
    reasons = dict.fromkeys(_cut(escape(entry.reason)) for entry in result.known)
    return f"| {_name(result)} | {_cut(escape(result.headline))} | {'; '.join([*reasons, *linked])} |"


def _rows(rows: list[str], room: int, noun: str) -> Iterator[str]:
    """The rows that fit, and the number of those that do not."""
    for number, row in enumerate(rows):
        room -= _size(row)
        if room < 0:
            yield ""
            yield f"and {counted(len(rows) - number, f'more {noun}')}; see report.json."
            return
        yield row


def _name(result: CaseResult) -> str:
    return f"<code>{_cut(escape(visible(result.case)))}</code>"


def _cut(text: str) -> str:
    """`text` cut to the longest cell, between words or entities."""
    if len(text) <= _LONGEST_CELL:
        return text
    return re.sub(r"(&#?\w*|\\+)$", "", text[:_LONGEST_CELL]) + " …"
