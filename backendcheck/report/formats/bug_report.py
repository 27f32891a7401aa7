"""A bug report in Markdown: what differs, the script, what it printed, the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backendcheck.diagnose import Diagnosis
from backendcheck.report.views.case import cells, exceptions
from backendcheck.report.views.findings import main_tolerance
from backendcheck.report.views.side_by_side import REFERENCE, sides
from backendcheck.results.results import CaseResult
from backendcheck.text.escape import visible
from backendcheck.text.literals import shortened
from backendcheck.text.words import listed

_LONGEST_MESSAGE = 2000  # characters of an exception


def cause_in_words(diagnoses: Sequence[Diagnosis]) -> str:
    """What the first diagnosis says; nothing where that no cause is known, which helps nobody who reads a report."""
    named = [one for one in diagnoses if one.code not in ("unexplained", "undiagnosed")]
    return named[0].message if named else ""


def issue_text(
    *, headline: str, claim: str, message: str, script: str, outputs: Mapping[str, str],
    environment: Sequence[str], data: str | None, details: Sequence[str] = (),
) -> str:  # fmt: skip
    """The report. Nothing in the case can break out of its place: fences are longer than any in what they hold.

    Without a `script`, `details` are lines of Markdown that say what was found: see `found`.
    """
    title = visible(headline.partition(": ")[2] or headline)
    lines = [f"# {_plain(title)}", ""]
    if claim:
        lines += ["**Expected.** " + _plain(visible(" ".join(claim.partition("\n\n")[0].split()))), ""]
    lines += [f"**Seen.** {_plain(title)}", ""]
    if message:
        lines += [_plain(visible(message)), ""]
    if script:
        runs = listed([f"`KERAS_BACKEND={backend}`" for backend in outputs])
        lines += [f"This script shows it; it was run with {runs}.", "", *_fenced(script, "python"), ""]
    if details:
        lines += [*details, ""]
    if data:
        lines += [f"It reads its arrays from `{data}`, which belongs beside it.", ""]
    for backend, output in outputs.items():
        lines += [f"With `KERAS_BACKEND={backend}`:", "", *_fenced(shortened(output.rstrip("\n")), "text"), ""]
    lines += ["**Environment.**", "", *(f"- {_plain(visible(line))}" for line in environment), ""]
    return "\n".join(lines)


def found(result: CaseResult, legs: Sequence[str]) -> list[str]:
    """What each backend has, as lines of Markdown: a table, what was raised, the tolerance."""
    seen, table = cells(result, legs), sides(result, legs)
    reference = table.columns[-1:] == (REFERENCE,)
    rows = [["", *(one.leg for one in seen), *([REFERENCE] if reference else [])]]
    rows.append(["outcome", *(f"{one.text}{' (odd one out)' if one.odd else ''}" for one in seen), *([""] if reference else [])])
    for row in table.rows:
        door, label = f" through {row.door}" if row.door else "", f", label {row.label}" if row.label else ""
        values = [row.values[at] if (at := table.place(one.leg)) is not None else "" for one in seen]
        where = f" ({row.place}{label})" if row.place else ""
        rows.append([f"{row.observation}{door}{where}", *values, *([row.values[-1]] if reference else [])])
    lines = [f"| {' | '.join(_plain(visible(cell)) for cell in row)} |" for row in rows]
    lines.insert(1, f"|{' --- |' * len(rows[0])}")
    for leg, errors, _ in exceptions(result, legs):
        for error in errors:
            said = f"{leg} raises {visible(error.type)} in stage {error.stage}:"
            lines += ["", _plain(said), "", *_fenced(error.message.strip()[:_LONGEST_MESSAGE], "text")]
    if tolerance := main_tolerance(result):
        lines += ["", f"Tolerance: {_plain(visible(tolerance))}"]
    return lines


def _fenced(text: str, language: str) -> list[str]:
    fence = "```"
    while fence in text:
        fence += "`"
    return [f"{fence}{language}", text, fence]


def _plain(text: str) -> str:
    """Text that Markdown takes as text."""
    for sign in "\\`*_<>[]#|":
        text = text.replace(sign, f"\\{sign}")
    return text
