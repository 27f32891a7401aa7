"""A case in detail, as the page shows it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backendcheck.compare.findings import Comparison, Finding
from backendcheck.errors import UsageError
from backendcheck.recordings.recording import Raised
from backendcheck.recordings.scripts import KeptScript
from backendcheck.report.charts import charts
from backendcheck.report.charts.svg import Chart
from backendcheck.report.formats.bug_report import cause_in_words, found, issue_text
from backendcheck.report.html.matrix import Row, anchor
from backendcheck.report.views import case as view
from backendcheck.report.views import findings as view_findings
from backendcheck.report.views.environment import environment_lines
from backendcheck.report.views.examples import ExampleTable, disagreements
from backendcheck.report.views.remedies import node_id, what_to_do
from backendcheck.report.views.side_by_side import Sides, sides
from backendcheck.report.views.values import ValueTable, value_tables
from backendcheck.results.known_add import entries_for
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.escape import one_line, visible
from backendcheck.verdicts.verdict import Verdict

# Beyond these a case is summarised, with the count of what is left out: report.json has all of it.
MOST_FINDINGS = 100
MOST_PASSES = 60
_LONGEST_TEXT = 6000  # characters of a message or of standard error


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Section(Row):
    """Everything about one case. `remedy` is what to do; `brief` is what its folded line says beside its name."""

    unfolded: bool
    label: str
    sentence: str
    brief: str
    remedy: str
    odd: str
    problems: Sequence[str]
    sides: Sides
    leading: Finding | None
    findings: Sequence[view_findings.FindingRow]
    passes: Sequence[Comparison]
    n_passes: int
    exceptions: Sequence[tuple[str, Sequence[Raised], str]]
    stderr: Sequence[tuple[str, str]]
    values: Sequence[ValueTable]
    charts: Sequence[Chart]
    examples: Sequence[tuple[str, ExampleTable]]
    notes: Sequence[str]
    timings: view.Timings | None
    show: str
    run: str
    reproduce: str
    script: KeptScript | None
    script_note: str
    toml: str
    bug: str


def section(result: CaseResult, results: Results, *, change: str = "", unfolded: bool = False) -> Section:
    """A case in detail; what is long is cut, with its length stated."""
    legs = results.backends
    label, sentence = view.split_headline(result.headline)
    passes = view_findings.ordered_passes(result)
    claim = view.shown_claim(result)[0]
    script = results.script(result.case)
    return Section(
        result=result,
        anchor=anchor(result.case),
        claim=claim,
        cells=view.cells(result, legs),
        change=change,
        unfolded=unfolded,
        label=label,
        sentence=sentence,
        brief=_brief(result, claim),
        remedy=what_to_do(result),
        odd=view.odd_one_out(result),
        problems=view.further_problems(result),
        sides=sides(result, legs),
        leading=view_findings.leading_number(result),
        findings=view_findings.finding_rows(result)[:MOST_FINDINGS],
        passes=passes[:MOST_PASSES],
        n_passes=len(passes),
        exceptions=[
            (leg, [_cut_message(error) for error in errors], instead) for leg, errors, instead in view.exceptions(result, legs)
        ],
        stderr=[(leg, _cut(tail)) for leg, tail in _stderr(result, legs)],
        values=value_tables(result, legs),
        charts=charts(result),
        examples=disagreements(result, legs),
        notes=view.notes(result, legs),
        timings=view.timings(result, legs),
        show=f"backendcheck show {shlex.quote(visible(result.case))}",
        run=f"backendcheck run {node_id(result)}" if result.file else "",
        reproduce=f"backendcheck repro {shlex.quote(visible(result.case))}" if result.findings else "",
        script=script if script is not None and script.source else None,
        script_note=_script_note(result, results),
        toml=_toml(result),
        bug=_bug_report(result, results) if result.findings else "",
    )


def _brief(result: CaseResult, claim: str) -> str:
    if result.verdict is Verdict.XFAILED:
        return one_line("; ".join(dict.fromkeys(entry.reason for entry in result.known)))
    return claim if result.verdict is Verdict.PASSED else one_line(result.headline)


def _script_note(result: CaseResult, results: Results) -> str:
    """Why there is no script where one might be looked for."""
    if result.case in results.scripts.stale:
        return "A script of this case lies beside the run, but it was made from other recordings, so it is not shown."
    script = results.script(result.case)
    if script is None:
        return ""
    if not script.source:
        return f"No script could be made: {'; '.join(script.notes)}"
    return "" if script.shows else "This script was run, and did not show the difference."


def _toml(result: CaseResult) -> str:
    """The entries that would make this a known divergence, but for the reason, which is left to be written."""
    try:
        return "\n".join(entries_for(result, reason="say what happens and why"))
    except UsageError:  # known already, or an ERROR
        return ""


def _bug_report(result: CaseResult, results: Results) -> str:
    """The case as Markdown, to be pasted into an issue: with the script that shows it, or else with all that was found."""
    script = results.script(result.case)
    given = script is not None and bool(script.source) and script.shows
    return issue_text(
        headline=script.headline if given and script is not None else result.headline,
        claim=result.claim,
        message=cause_in_words(result.diagnoses),
        script=script.source if given and script is not None else "",
        outputs=script.outputs if given and script is not None else {},
        details=() if given else found(result, results.backends),
        environment=environment_lines(results.legs),
        data=script.data or None if given and script is not None else None,
    )


def _stderr(result: CaseResult, legs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for leg in legs:
        recording = result.recordings.get(leg)
        if recording is not None and recording.stderr_tail.strip():
            yield leg, recording.stderr_tail.strip("\n")


def _cut_message(error: Raised) -> Raised:
    return Raised(stage=error.stage, type=error.type, type_names=error.type_names, message=_cut(error.message.strip()))


def _cut(text: str) -> str:
    """Beginning and end of a long text: the one says what, the other often why."""
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out, report.json has them …\n{text[-half:]}"
