"""index.html: the run in one file that opens offline, asks the network for nothing and trusts nothing that it shows."""

from __future__ import annotations

import importlib.resources
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from markupsafe import Markup

from backendcheck import __version__
from backendcheck.comparison import Comparison
from backendcheck.errors import UsageError
from backendcheck.known_add import entries_for
from backendcheck.recording import Raised
from backendcheck.report import text, view, view_findings, view_noise
from backendcheck.report.charts import charts
from backendcheck.report.escape import block, visible
from backendcheck.report.examples import ExampleTable, disagreements
from backendcheck.report.matrix import N_WRITTEN, Row, anchor, row, stored
from backendcheck.report.svg import Chart
from backendcheck.report.view_environment import environment_rows, keras_versions, versions_line
from backendcheck.report.view_known import STATES, counted_states, known_entries
from backendcheck.report.view_values import ValueTable, value_tables
from backendcheck.results import CaseResult, Results
from backendcheck.stage import state_words
from backendcheck.verdict import Verdict

_GLYPHS = {"good": "✓", "bad": "✗", "neutral": "·"}
_MEANINGS = {
    "PASSED": "agree within tolerance",
    "FAILED": "differ",
    "ERROR": "not comparable, or missing",
    "XFAILED": "differ as known",
    "XPASSED": "known, but gone",
}
# So many cases are shown in full, and so many in detail at all: beyond them a page is too large, and report.json has the rest.
_N_IN_FULL = 100
_N_SECTIONS = 1000
_N_UNFOLDED = 25
_FINDINGS_AT_ONCE = 8  # the rest is folded
_MOST_FINDINGS = {True: 100, False: 6}
_MOST_PASSES = {True: 100, False: 0}
_LONGEST_TEXT = {True: 6000, False: 600}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Section(Row):
    """A case in detail; cut short where there are too many to show them all in full."""

    unfolded: bool
    label: str
    sentence: str
    odd: str
    problems: Sequence[str]
    findings: Sequence[Comparison]
    passes: Sequence[Comparison]
    n_passes: int
    exceptions: Sequence[tuple[str, Sequence[Raised], str]]
    stderr: Sequence[tuple[str, str]]
    values: Sequence[ValueTable]
    charts: Sequence[Chart]
    examples: Sequence[tuple[str, ExampleTable]]
    notes: Sequence[str]
    timings: view.Timings | None
    command: str
    reproduce: str
    toml: str
    bug: str


def render(results: Results) -> str:
    """The text of index.html."""
    shown = [result for result in results.cases if result.verdict is not Verdict.PASSED]
    passed = view.by_verdict(results, Verdict.PASSED)
    known = known_entries(results)
    page: str = (
        _environment()
        .get_template("index.html.jinja")
        .render(
            results=results,
            run=_run(results) | {"known": counted_states(known)},
            known=known,
            states=STATES,
            sections=[_section(result, results, number) for number, result in enumerate(shown[:_N_SECTIONS])],
            tables={
                "failing": _table(shown, results, _N_SECTIONS),
                "passed": _table(passed, results, 0),
            },
            environment=environment_rows(results),
        )
    )
    return page


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Table:
    """Rows of the matrix: those in HTML, and the others as data. `n_alone` have no section."""

    written: Sequence[Row]
    stored: dict[str, Any]
    n: int
    n_alone: int


def _table(cases: Sequence[CaseResult], results: Results, n_sections: int) -> _Table:
    rows = [row(result, results.backends, alone=number >= n_sections) for number, result in enumerate(cases)]
    return _Table(
        written=rows[:N_WRITTEN],
        stored=stored(rows[N_WRITTEN:], _GLYPHS),
        n=len(rows),
        n_alone=max(0, len(rows) - n_sections),
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("backendcheck.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_harmless,
    )
    environment.globals |= {
        "css": Markup(_asset("style.css")),  # noqa: S704 - our own file
        "js": Markup(_asset("filter.js")),  # noqa: S704 - our own file
        "glyphs": _GLYPHS,
        "meanings": _MEANINGS,
        "n_findings_at_once": _FINDINGS_AT_ONCE,
        "generator_version": __version__,
    }
    for function in (
        anchor, state_words, view.counted, view.web_link, view_findings.evidence, view_findings.excess_of_verdict,
        view_findings.excess_words, view_findings.figure, view_findings.finding_note, view_findings.in_words,
        view_findings.required_tolerance, view_findings.tolerance_words, view_noise.noise_words,
    ):  # fmt: skip
        environment.globals[function.__name__] = function
    return environment


def _asset(name: str) -> str:
    return importlib.resources.files("backendcheck.report").joinpath("templates", name).read_text(encoding="utf-8")


def _harmless(value: Any) -> Any:
    """Control characters and lone surrogates written out in all that is shown; escaping comes after it, by the template."""
    return block(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _run(results: Results) -> dict[str, Any]:
    state, title = _state(results)
    return {
        "state": state,
        "title": title,
        "changes": view.changes_line(results) if results.since else "",
        "counts": [(verdict, results.counts[verdict]) for verdict in ("ERROR", "FAILED", "XPASSED", "XFAILED", "PASSED")],
        "versions": versions_line(results),
        "keras": keras_versions(results),
        "notes": view.run_notes(results),
        "created": results.created.replace("T", " ").replace("+00:00", " UTC"),
        "legs": [leg.label for leg in results.legs],
        "codes": Counter(
            code for result in results.cases for code in dict.fromkeys(one.code for one in result.diagnoses)
        ).most_common(),
        "concerned": _concerned(results),
        "topics": Counter(result.case.partition("/")[0] for result in results.cases).most_common(),
    }


def _concerned(results: Results) -> list[tuple[str, int]]:
    """Each leg with the number of cases in which it does not do what the others do."""
    found = Counter(
        one.leg for result in results.cases for one in view.cells(result, results.backends) if one.tone == "bad" or one.odd
    )
    return [(leg, found[leg]) for leg in results.backends if found[leg]]


def _state(results: Results) -> tuple[str, str]:
    """How the run as a whole stands, as a colour and as a sentence."""
    counts, n_cases = results.counts, len(results.cases)
    differing = counts["FAILED"] + counts["XPASSED"]
    also = f", and {differing} {'fails' if differing == 1 else 'fail'}" if differing else ""
    if not n_cases:
        return "incomplete", "Nothing was compared"
    if counts["ERROR"]:
        return "incomplete", f"{counts['ERROR']} of {view.counted(n_cases, 'case')} could not be compared{also}"
    if results.problems or results.exit_code > 1:
        return "incomplete", f"The run is incomplete{also}"
    if differing:
        return "bad", f"{differing} of {view.counted(n_cases, 'case')} {'fails' if differing == 1 else 'fail'}"
    known = f", {counts['XFAILED']} differ as known" if counts["XFAILED"] else ""
    return "good", f"{counts['PASSED']} of {view.counted(n_cases, 'case')} agree{known}"


def _section(result: CaseResult, results: Results, number: int) -> Section:
    full, legs = number < _N_IN_FULL, results.backends
    label, sentence = view.split_headline(result.headline)
    passes = view_findings.ordered_passes(result)
    return Section(
        result=result,
        anchor=anchor(result.case),
        claim=view.shown_claim(result)[0],
        cells=view.cells(result, legs),
        alone=False,
        unfolded=result.verdict is not Verdict.XFAILED and number < _N_UNFOLDED,
        label=label,
        sentence=sentence,
        odd=view.odd_one_out(result),
        problems=view.further_problems(result),
        findings=view_findings.ordered_findings(result)[: _MOST_FINDINGS[full]],
        passes=passes[: _MOST_PASSES[full]],
        n_passes=len(passes),
        exceptions=[
            (leg, [_cut_message(error, _LONGEST_TEXT[full]) for error in errors], instead)
            for leg, errors, instead in view.exceptions(result, legs)
        ],
        stderr=[(leg, _cut(tail, _LONGEST_TEXT[full])) for leg, tail in _stderr(result, legs)],
        values=value_tables(result, legs) if full else (),
        charts=charts(result) if full else (),
        examples=disagreements(result, legs) if full else (),
        notes=view.notes(result, legs),
        timings=view.timings(result, legs) if full else None,
        toml=_toml(result),
        bug=_bug_report(result, results) if full and result.findings else "",
        command=f"backendcheck show {shlex.quote(visible(result.case))}",
        reproduce=f"backendcheck repro {shlex.quote(visible(result.case))}",
    )


def _toml(result: CaseResult) -> str:
    """The entries that would make this a known divergence, but for the reason, which is left to be written."""
    try:
        return "\n".join(entries_for(result, reason="say what happens and why"))
    except UsageError:  # known already, or an ERROR
        return ""


def _versions(results: Results) -> str:
    parts = [f"{leg} {version}" for leg, version in versions_line(results)]
    return ", ".join([*parts, f"Keras {keras_versions(results)}"])


def _bug_report(result: CaseResult, results: Results) -> str:
    """The case as Markdown, to be pasted into an issue."""
    lines = list(text.case(result, results, width=None))
    fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall("`+", line)), default=0))
    return "\n".join([f"{visible(result.headline)}", "", fence, *lines, fence, "", _versions(results)])


def _stderr(result: CaseResult, legs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for leg in legs:
        recording = result.recordings.get(leg)
        if recording is not None and recording.stderr_tail.strip():
            yield leg, recording.stderr_tail.strip("\n")


def _cut_message(error: Raised, limit: int) -> Raised:
    return Raised(stage=error.stage, type=error.type, type_names=error.type_names, message=_cut(error.message.strip(), limit))


def _cut(text: str, limit: int) -> str:
    """Beginning and end of a long text: the one says what, the other often why."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out, report.json has them …\n{text[-half:]}"
