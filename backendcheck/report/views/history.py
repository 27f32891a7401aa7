"""The verdicts of earlier runs in words and rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from backendcheck.results.history import EarlierRun, History
from backendcheck.text.words import counted

_MOST_STRETCHES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseHistory:
    """The verdicts of one case: `marks` has each run with its verdict, oldest first, and `flaky` the reason to call it so."""

    marks: tuple[tuple[str, str], ...]
    words: str
    flaky: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryItem:
    """A case that is new, gone, changed or flaky, with what that means."""

    what: str
    case: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHistory:
    """What the header says: a title, the cases, a row for each run, and the files that were ignored."""

    title: str
    items: tuple[HistoryItem, ...]
    rows: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    ignored: str


def case_history(history: History | None, case: str) -> CaseHistory | None:
    """The verdicts of a case; None without an earlier run."""
    if history is None or not history.runs:
        return None
    verdicts = history.verdicts(case)
    marks = tuple((_name(run, history), verdict) for run, verdict in verdicts)
    return CaseHistory(marks=marks, words=_in_words(verdicts), flaky=history.flaky_cases.get(case, ""))


def run_history(history: History | None) -> RunHistory | None:
    """What has changed since the last run; None if no folder was given."""
    if history is None:
        return None
    if history.last is None:
        return RunHistory(title="History: no earlier run", items=(), rows=(), ignored=history.ignored)
    before, now = history.last.verdicts, history.now.verdicts
    items = [
        *(HistoryItem(what="changed", case=case, text=f"{verdict} → {now[case]}") for case, verdict in history.changed.items()),
        *(HistoryItem(what="flaky", case=case, text=reason) for case, reason in history.flaky_cases.items()),
        *(HistoryItem(what="new", case=case, text=now[case]) for case in history.new),
        *(HistoryItem(what="gone", case=case, text=f"{before[case]} → no such case") for case in history.gone),
    ]
    n = Counter(item.what for item in items)
    words = {"changed": "with another verdict", "new": "new", "gone": "gone", "flaky": "flaky"}
    counts = ", ".join(f"{n[what]} {words[what]}" for what in words if n[what]) or "the same verdicts"
    return RunHistory(
        title=f"Since the last run, {history.last.name}: {counts}",
        items=tuple(items),
        rows=tuple((_name(run, history), _counts(run)) for run in reversed((*history.runs, history.now))),
        ignored=history.ignored,
    )


def _name(run: EarlierRun, history: History) -> str:
    return f"{run.name} (this run)" if run is history.now else run.name


def _counts(run: EarlierRun) -> tuple[tuple[str, int], ...]:
    n = Counter(run.verdicts.values())
    return tuple((verdict, n[verdict]) for verdict in ("ERROR", "FAILED", "XPASSED", "XFAILED", "PASSED"))


def _in_words(verdicts: Sequence[tuple[EarlierRun, str]]) -> str:
    """The newest stretch first: ``FAILED in 3 runs, since 2026-03-01 12:00; before that PASSED in 4``."""
    stretches = [(verdict, [run for run, _ in runs]) for verdict, runs in groupby(reversed(verdicts), key=lambda item: item[1])]
    (verdict, runs), *earlier = stretches
    if not earlier:
        words = f"{verdict} in all {counted(len(runs), 'run')}"
    elif len(runs) == 1:
        words = f"{verdict} in this run"
    else:
        words = f"{_stretch(verdict, runs)}, since {runs[-1].name}"
    for number, (before, runs_before) in enumerate(earlier[:_MOST_STRETCHES]):
        words += f"; {'before that ' if not number else ''}{_stretch(before, runs_before)}"
    return words + ("; …" if len(earlier) > _MOST_STRETCHES else "")


def _stretch(verdict: str, runs: Sequence[EarlierRun]) -> str:
    return f"{verdict or 'not there'} in {counted(len(runs), 'run')}"
