"""A case in detail, as a value that the page shows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from backendcheck.compare.findings import Comparison, Finding
from backendcheck.errors import UsageError
from backendcheck.recordings.kept_layers import LayerComparison
from backendcheck.recordings.recording import Raised
from backendcheck.recordings.scripts import KeptScript
from backendcheck.report.charts import charts
from backendcheck.report.charts.history import strip
from backendcheck.report.charts.svg import Chart
from backendcheck.report.formats.bug_report import cause_in_words, details_of, issue_text
from backendcheck.report.html.matrix import Row, anchor
from backendcheck.report.views import case as view
from backendcheck.report.views import findings as view_findings
from backendcheck.report.views.environment import environment_lines
from backendcheck.report.views.examples import ExampleTable, disagreements
from backendcheck.report.views.history import CaseHistory, case_history
from backendcheck.report.views.raised import Origin, origins, refused_everywhere
from backendcheck.report.views.remedies import node_id, what_to_do
from backendcheck.report.views.side_by_side import Sides, sides
from backendcheck.report.views.values import ValueTable, value_tables
from backendcheck.results.figures import Moved
from backendcheck.results.known_add import entries_for
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.escape import one_line, visible
from backendcheck.verdicts.verdict import Verdict

# A page shows at most so many, and counts the others; report.json has all.
MOST_FINDINGS = 100
MOST_PASSES = 60
_STALE_LAYERS = "There are layers of this case, but they were located in other recordings, so they are not shown."
_LONGEST_TEXT = 6000  # characters of a message or of standard error


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Section(Row):
    """Everything about one case. `remedy` is what to do; `brief` is the text beside the name while the case is folded."""

    unfolded: bool
    label: str
    sentence: str
    brief: str
    remedy: str
    odd: str
    problems: Sequence[str]
    sides: Sides
    source: str
    leading: Finding | None
    findings: Sequence[view_findings.FindingRow]
    passes: Sequence[Comparison]
    n_passes: int
    exceptions: Sequence[tuple[str, Sequence[Raised], str]]
    origins: Sequence[Origin]
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
    history: CaseHistory | None
    strip: Markup | None
    layers: Sequence[LayerComparison]
    layers_note: str
    moved: Sequence[Moved]
    since: str


def section(result: CaseResult, results: Results, *, change: str = "", unfolded: bool = False) -> Section:
    """A case in detail; long texts are cut, with a note."""
    legs = results.backends
    label, sentence = view.split_headline(result.headline)
    passes = view_findings.ordered_passes(result)
    claim = view.shown_claim(result)[0]
    script = results.script(result.case)
    differs = bool(result.findings) and not refused_everywhere(result)
    history = case_history(results.history, result.case)
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
        source=next((recording.source for recording in result.recordings.values() if recording.source), ""),
        leading=view_findings.leading_number(result),
        findings=view_findings.finding_rows(result)[:MOST_FINDINGS],
        passes=passes[:MOST_PASSES],
        n_passes=len(passes),
        exceptions=[
            (leg, [_shortened(error) for error in errors], instead) for leg, errors, instead in view.exceptions(result, legs)
        ],
        origins=origins(result, legs),
        stderr=[(leg, _without_middle(tail)) for leg, tail in _stderr(result, legs)],
        values=value_tables(result, legs),
        charts=charts(result),
        examples=disagreements(result, legs),
        notes=view.notes(result, legs),
        timings=view.timings(result, legs),
        show=f"backendcheck show {shlex.quote(visible(result.case))}",
        run=f"backendcheck run {node_id(result)}" if result.file else "",
        reproduce=f"backendcheck repro {shlex.quote(visible(result.case))}" if differs else "",
        script=script if script is not None and script.source else None,
        script_note=_script_note(result, results),
        toml=_toml(result) if differs else "",
        bug=_bug_report(result, results) if differs else "",
        history=history,
        strip=strip(history) if history is not None else None,
        layers=results.layers.by_case.get(result.case, ()),
        moved=results.moved.get(result.case, ()),
        since=results.since,
        layers_note=_STALE_LAYERS if result.case in results.layers.stale else "",
    )


def _brief(result: CaseResult, claim: str) -> str:
    if result.verdict is Verdict.XFAILED:
        return one_line("; ".join(dict.fromkeys(entry.reason for entry in result.known)))
    return claim if result.verdict is Verdict.PASSED and not result.headline else one_line(result.headline)


def _script_note(result: CaseResult, results: Results) -> str:
    """Why no script is shown, or what is wrong with the one that is."""
    if result.case in results.scripts.stale:
        return "There is a script of this case, but it was made from other recordings, so it is not shown."
    script = results.script(result.case)
    if script is None:
        return ""
    if not script.source:
        return f"No script could be made: {'; '.join(script.notes)}"
    return "" if script.shows else "The script was run and did not show the difference."


def _toml(result: CaseResult) -> str:
    """The entries that would make this a known divergence, with a placeholder for the reason."""
    try:
        return "\n".join(entries_for(result, reason="describe what happens and why"))
    except UsageError:  # already known, or an ERROR
        return ""


def _bug_report(result: CaseResult, results: Results) -> str:
    """The case as Markdown for an issue, with the script that shows it, or else with the values of each backend."""
    script = results.script(result.case)
    shown = script if script is not None and script.source and script.shows else None
    return issue_text(
        headline=shown.headline if shown else result.headline,
        claim=result.claim,
        message=cause_in_words(result.diagnoses),
        script=shown.source if shown else "",
        outputs=shown.outputs if shown else {},
        details=() if shown else details_of(result, results.backends),
        environment=environment_lines(results.legs),
        data=(shown.data or None) if shown else None,
    )


def _stderr(result: CaseResult, legs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for leg in legs:
        recording = result.recordings.get(leg)
        if recording is not None and recording.stderr_tail.strip():
            yield leg, recording.stderr_tail.strip("\n")


def _shortened(error: Raised) -> Raised:
    return replace(error, message=_without_middle(error.message.strip()))


def _without_middle(text: str) -> str:
    """The beginning and the end of a long text, where a traceback says most."""
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out; see report.json …\n{text[-half:]}"
