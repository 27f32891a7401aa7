"""index.html: the run in one file that opens offline, makes no network request and trusts no text that it shows.

The first cases are HTML, the others are deflated, and the browser unpacks them on demand. Ten thousand cases in HTML would take
a hundred megabytes. Cases are so similar that some dozens deflated together take a tenth. `DecompressionStream`, which every
current browser has, unpacks them without a request. One template escapes all cases, packed or not.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
import math
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup

from backendcheck import __version__
from backendcheck.report.html import escaping
from backendcheck.report.html.matrix import N_WRITTEN, Row, anchor, row, stored
from backendcheck.report.html.moment import in_html
from backendcheck.report.html.section import section
from backendcheck.report.views import case as view
from backendcheck.report.views import findings as view_findings
from backendcheck.report.views import history as view_history
from backendcheck.report.views import noise as view_noise
from backendcheck.report.views import run as view_run
from backendcheck.report.views.environment import keras_versions, versions_line
from backendcheck.report.views.known import STATES, KnownEntry, counted_states, known_entries
from backendcheck.report.views.moment import CREATED, ENVIRONMENTS, Moment, filled
from backendcheck.results.figures import Moved
from backendcheck.results.results import CaseResult, Results
from backendcheck.results.stages import state_words
from backendcheck.text.words import counted
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.problems import Problem, ProblemCode

_GLYPHS = {"good": "✓", "bad": "✗", "neutral": "·"}
_MEANINGS = {
    "PASSED": "agree within tolerance",
    "FAILED": "differ",
    "ERROR": "not comparable or missing",
    "XFAILED": "differ as known",
    "XPASSED": "known, but gone",
}
SEPARATOR = "\x1e"  # between the cases of a pack; no case contains it, because control characters are escaped
N_TOGETHER = 32
_MOST_WAITING = 4  # packs that are deflated behind the one that is being made
_SCRIPTS = ("entries.js", "sections.js", "filter.js", "keys.js")  # parts of one program, in order
# The number of cases in HTML, so that a viewer without scripts shows the worst; a script unpacks the others on demand.
N_SECTIONS_WRITTEN = 8
_N_UNFOLDED = 3
_FINDINGS_AT_ONCE = 8  # the others are folded
_CHIPS_AT_ONCE = 8
_MOST_CAUSES = 5
_MOST_CHANGES = 100
_MOST_NOTES = 8
_MOST_LAYERS = 200
_MOST_ENTRIES = 12  # known divergences that are not folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a page shows besides where it is served: it reloads once the server has another `version`.

    `unfinished` says how far each leg is while the run is being recorded, `n_cases` is how many cases there will be.
    """

    version: str
    unfinished: tuple[str, ...] = ()
    n_cases: int = 0


def render(results: Results, served: Served | None = None) -> str:
    """The text of index.html."""
    return filled(frame(results, served), in_html(Moment.of(results)))


def frame(results: Results, served: Served | None = None) -> str:
    """index.html with marks for what concerns the run alone."""
    shown = [result for result in results.cases if result.verdict is not Verdict.PASSED]
    passed = view.by_verdict(results, Verdict.PASSED)
    known = known_entries(results)
    changes = {change.case: change.what for change in results.changes}
    environment = _environment()
    sections = _sections(environment, [*shown, *passed], results, changes)
    n_written = min(len(shown), N_SECTIONS_WRITTEN)
    page: str = environment.get_template("index.html.jinja").render(
        results=results,
        run=_run(results, known, served),
        served=served,
        known=known,
        states=STATES,
        sections=[next(sections) for _ in range(n_written)],
        n_sections=len(shown),
        packs=list(packs(sections)),
        n_together=N_TOGETHER,
        tables={"failing": _table(shown, results, changes), "passed": _table(passed, results, changes)},
        marks={"created": CREATED, "environments": ENVIRONMENTS},
    )
    return page


def _sections(
    environment: jinja2.Environment, cases: Sequence[CaseResult], results: Results, changes: Mapping[str, str]
) -> Iterator[Markup]:
    """Every case in detail as HTML; the worst failing ones are unfolded."""
    parts: Any = environment.get_template("case.html.jinja").module
    for number, result in enumerate(cases):
        unfolded = number < _N_UNFOLDED and result.verdict in view.FAILING
        yield parts.case_section(section(result, results, change=changes.get(result.case, ""), unfolded=unfolded))


def deflated(html: str) -> str:
    """Text deflated (zlib), in base64."""
    return base64.b64encode(zlib.compress(html.encode(), 9)).decode("ascii")


def packs(sections: Iterable[Markup]) -> Iterator[str]:
    """The sections, `N_TOGETHER` at a time, joined by `SEPARATOR` and deflated, while the next ones are made."""
    remaining = iter(sections)
    with ThreadPoolExecutor(1) as pool:  # zlib does not hold the interpreter
        waiting: deque[Future[str]] = deque()
        while together := list(islice(remaining, N_TOGETHER)):
            waiting.append(pool.submit(deflated, SEPARATOR.join(together)))
            if len(waiting) > _MOST_WAITING:
                yield waiting.popleft().result()
        for pack in waiting:
            yield pack.result()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Table:
    """Rows of the matrix: the first ones for HTML, the others as data."""

    written: Sequence[Row]
    stored: dict[str, Any]
    n: int


def _table(cases: Sequence[CaseResult], results: Results, changes: Mapping[str, str]) -> _Table:
    rows = [row(result, results.backends, changes.get(result.case, "")) for result in cases]
    return _Table(written=rows[:N_WRITTEN], stored=stored(rows[N_WRITTEN:], _GLYPHS), n=len(rows))


@functools.cache  # compiling the templates takes a second
def _environment() -> jinja2.Environment:
    environment = escaping.environment()
    program = '"use strict";\n(() => {\n' + "".join(_asset(name) for name in _SCRIPTS) + "})();\n"
    live = f'"use strict";\n{{\n{_asset("live.js")}}}\n'
    environment.globals |= {
        "css": style_sheet(),
        "js": Markup(program),  # noqa: S704 - our own files
        # The content security policy allows the script with this digest and no other.
        "js_digest": _digest(program),
        "live_js": Markup(live),  # noqa: S704 - our own file
        "live_js_digest": _digest(live),
        "glyphs": _GLYPHS,
        "meanings": _MEANINGS,
        "n_findings_at_once": _FINDINGS_AT_ONCE,
        "n_chips_at_once": _CHIPS_AT_ONCE,
        "most_causes": _MOST_CAUSES,
        "most_changes": _MOST_CHANGES,
        "most_layers": _MOST_LAYERS,
        "most_notes": _MOST_NOTES,
        "most_entries": _MOST_ENTRIES,
        "generator_version": __version__,
    }
    for function in (
        anchor, filter_address, deflated, state_words, counted, view.web_link, view_findings.evidence,
        view_findings.excess_of_verdict, view_findings.excess_words, view_findings.short_value, view_findings.finding_note,
        view_findings.tolerance_values, view_findings.advised_tolerance, view_findings.rule_words, view_findings.tolerance_words,
        view_noise.noise_words, short_number, factor_words,
    ):  # fmt: skip
        environment.globals[function.__name__] = function
    return environment


def short_number(value: float | str | None) -> str:
    """A number of a table in three digits; what is not finite is text already."""
    return "" if value is None else value if isinstance(value, str) else f"{value:.3g}"


def factor_words(figure: Moved) -> str:
    """By how much a figure has moved: ``300 times``, ``1/12``, ``from 0``."""
    if not figure.before or not figure.now:
        return "to 0" if figure.before else "from 0"
    if math.isinf(figure.ratio):
        return "to infinity" if math.isinf(figure.now) else "from infinity"
    return f"{figure.ratio:.3g} times" if figure.now > figure.before else f"1/{figure.ratio:.3g}"


def _digest(program: str) -> str:
    return base64.b64encode(hashlib.sha256(program.encode()).digest()).decode("ascii")


def _asset(name: str) -> str:
    return importlib.resources.files("backendcheck.report.html").joinpath("templates", name).read_text(encoding="utf-8")


def style_sheet() -> Markup:
    """The style sheet that all pages have."""
    return Markup(_asset("style.css"))  # noqa: S704 - our own file


def filter_address(**filters: Any) -> str:
    """The link that filters by these values, such as ``#?codes=nan&legs=jax``; empty ones are left out."""
    parts = [
        (by, value) for by, values in filters.items() for value in ([values] if isinstance(values, str) else values) if value
    ]
    return "#?" + urlencode(parts, errors="backslashreplace")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Run:
    """The whole run in values that the template shows. `known` counts the states of known divergences."""

    state: str
    title: str
    lead: str
    problems: Sequence[Problem]
    compared: Sequence[view_run.Compared]
    causes: Sequence[view_run.Cause]
    n_more_causes: int
    n_cases_of_more: int
    changes: str
    moved: Sequence[tuple[str, Sequence[Moved]]]
    history: view_history.RunHistory | None
    counts: Sequence[tuple[str, int]]
    versions: Sequence[tuple[str, str]]
    keras: str
    notes: Sequence[tuple[str, str]]
    legs: Sequence[str]
    codes: Sequence[tuple[str, int]]
    concerned: Sequence[tuple[str, int]]
    topics: Sequence[tuple[str, int]]
    since: Sequence[tuple[str, int]]
    known: str


def _run(results: Results, known: Sequence[KnownEntry], served: Served | None) -> _Run:
    state, title = view_run.state(results)
    problems, compared = results.problems, view_run.expected_and_compared(results)
    if served is not None and served.unfinished:  # it says itself what is missing
        state, title = view_run.state_so_far(results, served.n_cases)
        problems, compared = tuple(problem for problem in problems if problem.code is not ProblemCode.LEG_UNFINISHED), []
    causes = view_run.causes(results)
    return _Run(
        state=state,
        title=title,
        lead=view_run.stands_alone(results),
        problems=problems,
        compared=compared,
        causes=causes[:_MOST_CAUSES],
        n_more_causes=max(0, len(causes) - _MOST_CAUSES),
        n_cases_of_more=sum(cause.n for cause in causes[_MOST_CAUSES:]),
        changes=view.changes_line(results) if results.since else "",
        moved=sorted(results.moved.items(), key=lambda item: -item[1][0].ratio)[:_MOST_CHANGES],
        history=view_history.run_history(results.history),
        counts=[(verdict, results.counts[verdict]) for verdict in ("ERROR", "FAILED", "XPASSED", "XFAILED", "PASSED")],
        versions=versions_line(results),
        keras=keras_versions(results),
        notes=view.run_notes(results),
        legs=[leg.label for leg in results.legs],
        codes=_codes(results),
        concerned=_concerned(results),
        topics=Counter(result.case.partition("/")[0] for result in results.cases).most_common(),
        since=Counter(change.what for change in results.changes if change.what != "gone").most_common(),
        known=counted_states(known),
    )


def _codes(results: Results) -> list[tuple[str, int]]:
    """The diagnoses with their number of cases, most frequent first; of equals, first those that name a cause."""
    codes = Counter(code for result in results.cases for code in dict.fromkeys(d.code for d in result.diagnoses))
    return sorted(codes.items(), key=lambda item: (-item[1], item[0] in view_findings.GENERIC))


def _concerned(results: Results) -> list[tuple[str, int]]:
    """The legs that differ, with the number of cases."""
    n = Counter(leg for result in results.cases for leg in view.differing_legs(result, results.backends))
    return [(leg, n[leg]) for leg in results.backends if n[leg]]
