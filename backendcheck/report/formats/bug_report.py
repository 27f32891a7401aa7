"""A bug report in Markdown: the difference, the script, its output, the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backendcheck.diagnose import Diagnosis
from backendcheck.report.views.case import cells, exceptions
from backendcheck.report.views.findings import GENERIC, main_tolerance
from backendcheck.report.views.side_by_side import sides
from backendcheck.results.results import CaseResult
from backendcheck.text.escape import visible
from backendcheck.text.literals import shortened
from backendcheck.text.markdown import escape
from backendcheck.text.words import listed
from backendcheck.vocabulary.leg_names import in_shell
from backendcheck.vocabulary.sides import REFERENCE

_LONGEST_MESSAGE = 2000  # characters of an exception


def cause_in_words(diagnoses: Sequence[Diagnosis]) -> str:
    """The message of the first diagnosis that names a cause; empty if none does."""
    return next((diagnosis.message for diagnosis in diagnoses if diagnosis.code not in GENERIC), "")


def issue_text(
    *, headline: str, claim: str, message: str, script: str, outputs: Mapping[str, str],
    environment: Sequence[str], data: str | None, details: Sequence[str] = (),
) -> str:  # fmt: skip
    """The report. Text from the case cannot break the layout: a fence is longer than any fence inside it.

    Without a `script`, `details` are lines of Markdown: see `details_of`.
    """
    title = visible(headline.partition(": ")[2] or headline)
    lines = [f"# {escape(title)}", ""]
    if claim:
        lines += ["**Expected.** " + escape(claim.partition("\n\n")[0]), ""]
    lines += [f"**Actual.** {escape(title)}", ""]
    if message:
        lines += [escape(message), ""]
    if script:
        runs = listed([f"`{in_shell(leg)}`" for leg in outputs])
        lines += [f"This script shows the difference; it was run with {runs}.", "", *_fenced(script, "python"), ""]
    if details:
        lines += [*details, ""]
    if data:
        lines += [f"It reads its arrays from `{data}`, a file in the same folder.", ""]
    for leg, output in outputs.items():
        lines += [f"With `{in_shell(leg)}`:", "", *_fenced(shortened(output.rstrip("\n")), "text"), ""]
    lines += ["**Environment.**", "", *(f"- {escape(line)}" for line in environment), ""]
    return "\n".join(lines)


def details_of(result: CaseResult, legs: Sequence[str]) -> list[str]:
    """The values of each backend as lines of Markdown: a table, the exceptions, the tolerance."""
    outcomes, table = cells(result, legs), sides(result, legs)
    reference = table.columns[-1:] == (REFERENCE,)
    rows = [["", *(cell.leg for cell in outcomes), *([REFERENCE] if reference else [])]]
    texts = (f"{cell.text}{' (odd one out)' if cell.odd else ''}" for cell in outcomes)
    rows.append(["outcome", *texts, *([""] if reference else [])])
    for row in table.rows:
        path, label = f" through {row.path}" if row.path else "", f", label {row.label}" if row.label else ""
        values = [row.values[at] if (at := table.place(cell.leg)) is not None else "" for cell in outcomes]
        place = f" ({row.place}{label})" if row.place else ""
        rows.append([f"{row.observation}{path}{place}", *values, *([row.values[-1]] if reference else [])])
    lines = [f"| {' | '.join(escape(cell) for cell in row)} |" for row in rows]
    lines.insert(1, f"|{' --- |' * len(rows[0])}")
    for leg, errors, _ in exceptions(result, legs):
        for error in errors:
            sentence = f"{leg} raises {error.type} in stage {error.stage}:"
            lines += ["", escape(sentence), "", *_fenced(error.message.strip()[:_LONGEST_MESSAGE], "text")]
    if tolerance := main_tolerance(result):
        lines += ["", f"Tolerance: {escape(tolerance)}"]
    return lines


def _fenced(text: str, language: str) -> list[str]:
    fence = "```"
    while fence in text:
        fence += "`"
    return [f"{fence}{language}", text, fence]
