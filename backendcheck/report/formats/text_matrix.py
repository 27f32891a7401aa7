"""The matrix of a run: a row for each case if they are few, else a row for each topic with a mark for each case, worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backendcheck.report.views.case import FAILING, cells, differing_legs
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.escape import one_line, visible
from backendcheck.text.styled import Part, StyledLine, columns, fitted, fitted_name
from backendcheck.text.words import counted
from backendcheck.verdicts.verdict import Verdict

_MARKS = {Verdict.ERROR: "E", Verdict.FAILED: "F", Verdict.XPASSED: "X", Verdict.XFAILED: "x", Verdict.PASSED: "."}
_LEGEND = {
    Verdict.ERROR: "error", Verdict.FAILED: "failed", Verdict.XPASSED: "known, but gone", Verdict.XFAILED: "known",
    Verdict.PASSED: "passed",
}  # fmt: skip
_FEW_CASES = 12  # with a row each
_LONGEST_NAME = 24
_LONGEST_CASE = 48
_SHORTEST_BAR = 12
_MOST_TOPICS = 40
_GAP = 3
_HEAD = "differs on"
_WIDTH = 100  # columns without a terminal


def matrix(results: Results, width: int | None, *, whole: bool = False) -> Iterator[StyledLine]:
    """The matrix of a run within `width` columns; empty for a single case and if all passed. `whole` shows every topic."""
    if len(results.cases) < (1 if whole else 2) or (not whole and _all_passed(results)):
        return
    width = width or _WIDTH
    if len(results.cases) <= _FEW_CASES:
        yield from _cases(results, width)
    else:
        yield from _topics(results, width, whole=whole)


def _all_passed(results: Results) -> bool:
    return all(result.verdict is Verdict.PASSED for result in results.cases)


def _legend(results: Results, scale: int) -> StyledLine:
    present = {result.verdict for result in results.cases}
    parts: list[Part] = [("  ", "")]
    for verdict, mark in _MARKS.items():
        if verdict in present:
            parts += [(mark, verdict.value), (f" {_LEGEND[verdict]}   ", "dim")]
    if scale > 1:
        parts.append((f"(one mark is up to {scale} cases)", "dim"))
    return StyledLine(parts)


# --- few cases ---------------------------------------------------------------------------------------------------


def _cases(results: Results, width: int) -> Iterator[StyledLine]:
    """A row for each case: its verdict, its name and the outcome on each backend."""
    legs = results.backends
    rows = [(result, cells(result, legs)) for result in results.cases]
    wide = [max(columns(leg), *(columns(one_line(row[n].text)) for _, row in rows)) for n, leg in enumerate(legs)]
    longest = max(columns(visible(result.case)) for result, _ in rows)
    word = max(len(result.verdict.value) for result, _ in rows)
    room = width - 2 - word - 2 - 2 * len(legs)
    name = min(longest, _LONGEST_CASE, max(_LONGEST_NAME, room - sum(wide)))
    wide = _shared(wide, room - name)
    heads = "".join(f"  {fitted(leg, n)}" for leg, n in zip(legs, wide, strict=True))
    yield StyledLine([(" " * (2 + word + 2 + name), ""), (heads, "dim")])
    for result, row in rows:
        verdict = result.verdict.value
        parts = [("  ", ""), (f"{verdict:{word}}", verdict), (f"  {fitted_name(visible(result.case), name)}", "")]
        for cell, n in zip(row, wide, strict=True):
            style = {"bad": "bold", "good": "dim"}.get(cell.tone, "")
            parts += [("  ", ""), (fitted(one_line(cell.text), n), style)]
        yield StyledLine(parts)


def _shared(wide: Sequence[int], room: int) -> list[int]:
    """Widths of columns that fit into `room` together: the widest shrink first."""
    shared = list(wide)
    while shared and sum(shared) > max(room, 4 * len(shared)):
        shared[shared.index(max(shared))] -= 1
    return shared


# --- many cases --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Topic:
    """The cases of one file: the number with each verdict, and for each leg the number in which it differs."""

    name: str
    verdicts: Counter[Verdict]
    differing: Counter[str]

    @property
    def n_failing(self) -> int:
        return sum(self.verdicts[verdict] for verdict in FAILING)

    @property
    def n(self) -> int:
        return self.verdicts.total()


def _topics_of(results: Results) -> list[_Topic]:
    by_name: dict[str, list[CaseResult]] = {}
    for result in results.cases:
        by_name.setdefault(result.case.partition("/")[0], []).append(result)
    topics = [
        _Topic(
            name=visible(name),
            verdicts=Counter(result.verdict for result in cases),
            differing=Counter(leg for result in cases for leg in differing_legs(result, results.backends)),
        )
        for name, cases in by_name.items()
    ]
    topics.sort(key=lambda topic: (-topic.n_failing, -topic.verdicts[Verdict.XFAILED], topic.name))
    return topics


def _topics(results: Results, width: int, *, whole: bool) -> Iterator[StyledLine]:
    """A row for each topic: how often each backend differs, and a mark for each case. Two rows in a line if `width` allows."""
    topics = _topics_of(results)
    shown = [topic for topic in topics if whole or topic.verdicts[Verdict.PASSED] < topic.n]
    passed = [topic for topic in topics if topic not in shown]
    cut = shown if whole else shown[:_MOST_TOPICS]
    legs = results.backends
    name = min(max(columns(topic.name) for topic in cut), _LONGEST_NAME)
    name = max(name, len(_HEAD))
    fixed = 2 + name + sum(2 + _wide(leg) for leg in legs) + 2
    if fixed + _SHORTEST_BAR > width:  # many legs in a narrow terminal: the marks alone
        legs, fixed = (), 2 + name + 2
    most = max(topic.n for topic in cut)
    n_panels = 2 if len(cut) > _FEW_CASES and 2 * (fixed + min(most, 2 * _SHORTEST_BAR)) + _GAP <= width else 1
    room = max((width - _GAP * (n_panels - 1)) // n_panels - fixed, _SHORTEST_BAR)
    scale = next(scale for scale in range(1, most + 1) if scale == most or all(_n_marks(topic, scale) <= room for topic in cut))
    heads = "".join(f"  {leg:>{_wide(leg)}}" for leg in legs)
    head: list[Part] = [(f"  {fitted(_HEAD if legs else '', name)}{heads}", "dim"), (" " * (2 + min(room, most)), "")]
    if legs:
        yield StyledLine(_beside([head] * n_panels))
    panels = [cut[start :: n_panels] for start in range(n_panels)]
    for number in range(len(panels[0])):
        rows = [_row(panel[number], legs, name, min(room, most), scale) for panel in panels if number < len(panel)]
        yield StyledLine(_beside(rows))
    if len(cut) < len(shown):
        n_known = sum(topic.n for topic in shown[len(cut) :])
        yield StyledLine([(f"  and {counted(len(shown) - len(cut), 'more topic')} with {counted(n_known, 'case')}", "dim")])
    if passed:
        n_passed = sum(topic.n for topic in passed)
        others = "other topics" if len(passed) > 1 else "other topic"
        yield StyledLine([(f"  {len(passed)} {others} passed, with {counted(n_passed, 'case')}", "dim")])
    yield _legend(results, scale)


def _n_marks(topic: _Topic, scale: int) -> int:
    return sum(-(-n // scale) for n in topic.verdicts.values())


def _wide(leg: str) -> int:
    return max(columns(leg), 4)


def _beside(rows: Sequence[list[Part]]) -> list[Part]:
    parts = list(rows[0])
    for row in rows[1:]:
        parts += [(" " * _GAP, ""), *row]
    return parts


def _row(topic: _Topic, legs: Sequence[str], name: int, room: int, scale: int) -> list[Part]:
    parts: list[Part] = [(f"  {fitted(topic.name, name)}", "")]
    for leg in legs:
        n = topic.differing[leg]
        parts.append((f"  {n or '-':>{_wide(leg)}}", "" if n else "dim"))
    parts.append(("  ", ""))
    # Rounded up, so that a single failing case is visible among many.
    parts += [(mark * -(-topic.verdicts[verdict] // scale), verdict.value) for verdict, mark in _MARKS.items()]
    parts.append((" " * max(room - _n_marks(topic, scale), 0), ""))
    return parts
