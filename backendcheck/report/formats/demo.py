"""Terminal text of `backendcheck demo`: each case under a title of its own, and the next commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from backendcheck.report.formats.text import failing, last_line
from backendcheck.report.views.case import FAILING, counts_line
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.escape import one_line, visible
from backendcheck.text.lines import wrapped
from backendcheck.text.styled import StyledLine
from backendcheck.text.words import counted, listed
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS, Backend, installed_version

_HANG = "    "
_GAP = "   "
_SHOWN = "label_range/one_past_the_last_class"  # the case of the next commands


def beginning(backends: Sequence[Backend], n_cases: int, width: int | None) -> Iterator[str]:
    """What is about to run, and where a backend is missing what will not be seen."""
    names = [f"{backend} {backend.version() or ''}".rstrip() for backend in backends]
    text = f"{counted(n_cases, 'built-in case')} on {listed(names)} with Keras {installed_version('keras')}."
    yield from wrapped(f"{text} Each backend runs in its own process. This takes about a minute.", width)
    missing = [str(backend) for backend in DEFAULT_BACKENDS if backend not in backends]
    if len(backends) == 1:
        text = f"Without {listed(missing)} backends cannot be compared. These cases show what one backend does to labels alone."
        yield from wrapped(text, width)
    elif missing:
        yield from wrapped(f"Without {listed(missing)}, some differences do not show.", width)
    yield ""


def summary(results: Results, titles: Mapping[str, str], out: Path, width: int | None) -> Iterator[str]:
    """The cases in the order of `titles`, what they are together, and what to do next."""
    by_case = {result.case: result for result in results.cases}
    shown = [(title, by_case[case]) for case, title in titles.items() if case in by_case]
    for number, (title, result) in enumerate(shown, 1):
        yield from _case(f"{number:>2}  ", title, result, width, str(out))
        yield ""
    for problem in results.problems:
        yield from wrapped(f"PROBLEM {one_line(str(problem))}", width, hang=_HANG)
    yield from wrapped(counts_line(results), width, hang=_HANG)
    if results.counts["XFAILED"]:
        text = "XFAILED is a known difference: Keras itself differs there, exactly as described. Your installation is in order."
        yield from wrapped(text, width, hang=_HANG)
    if results.exit_code:
        yield from last_line(results, width)
    yield ""
    yield from _next(results, out, width)


def _case(number: str, title: str, result: CaseResult, width: int | None, run: str) -> Iterator[str]:
    name = visible(result.case)
    fits = width is None or len(number) + len(title) + len(_GAP) + len(name) <= width
    yield StyledLine([(number, "dim"), (title, "bold"), (f"{_GAP}{name}" if fits else "", "dim")])
    if not fits:
        yield StyledLine([(f"{_HANG}{name}", "dim")])
    if result.verdict in FAILING:
        yield from failing(result, width, run)
        return
    if result.verdict is Verdict.PASSED:
        yield f"{_HANG}PASSED: nothing differs"
        return
    head, colon, rest = one_line(result.headline).partition(": ")
    first, *others = wrapped(f"{head}{colon}{rest}", width, first=_HANG, hang=_HANG)
    yield StyledLine([(first[: len(_HANG) + len(head)], result.verdict.value), (first[len(_HANG) + len(head) :], "")])
    yield from others
    if result.odd_one_out:
        yield from wrapped(f"odd one out: {result.odd_one_out}", width, first=_HANG, hang=_HANG)
    if remedy := next((diagnosis.remedy for diagnosis in result.diagnoses if diagnosis.remedy), ""):
        yield from wrapped(f"what to do: {remedy}", width, first=_HANG, hang=_HANG)


def _next(results: Results, out: Path, width: int | None) -> Iterator[str]:
    run = shlex.quote(visible(str(out)))
    cases = [result.case for result in results.cases]
    case = shlex.quote(_SHOWN if _SHOWN in cases else cases[0] if cases else "CASE")
    rows = [
        ("the report", visible(str(out / "index.html"))),
        ("one case", f"backendcheck show {case} --run {run}"),
        ("as a script", f"backendcheck repro {case} --run {run}"),
        ("your labels", "backendcheck labels --data DATA.npz --model MODEL.keras"),
        ("your model", "backendcheck model MODEL.keras --data DATA.npz"),
        ("your first case", "backendcheck init"),
        ("all built-in cases", "backendcheck run"),
    ]
    yield StyledLine([("What next", "bold")])
    column = max(len(label) for label, _ in rows) + 4
    for label, command in rows:
        if width is None or column + len(command) <= width:
            yield StyledLine([(f"  {label}".ljust(column), "dim"), (command, "")])
        else:
            yield StyledLine([(f"  {label}", "dim")])
            yield f"{_HANG}{command}"
