"""What a report says of a run as a whole: how it stands, what is wrong in it and what to do, expected against compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from backendcheck.report.views.case import FAILING, cells, split_headline
from backendcheck.report.views.remedies import what_to_do
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.words import counted, listed
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.states import ExitState

GENERIC = ("unexplained", "undiagnosed")  # diagnoses that name no cause


def state(results: Results) -> tuple[str, str]:
    """How the run as a whole stands, as a colour (good, bad or incomplete) and as a sentence."""
    counts, n_cases = results.counts, len(results.cases)
    differing = counts["FAILED"] + counts["XPASSED"]
    also = f", and {differing} {'fails' if differing == 1 else 'fail'}" if differing else ""
    if not n_cases:
        return "incomplete", "Nothing was compared"
    if counts["ERROR"]:
        return "incomplete", f"{counts['ERROR']} of {counted(n_cases, 'case')} could not be compared{also}"
    if results.problems or results.exit_code > 1:
        return "incomplete", f"The run is incomplete{also}"
    if differing:
        return "bad", f"{differing} of {counted(n_cases, 'case')} {'fails' if differing == 1 else 'fail'}"
    known = f", {counts['XFAILED']} differ as known" if counts["XFAILED"] else ""
    return "good", f"{counts['PASSED']} of {counted(n_cases, 'case')} agree{known}"


def stands_alone(results: Results) -> str:
    """Who is the odd one out, how often, of the cases that fail: ``jax is the odd one out in 3 of them, torch in 1``."""
    failing = [result for result in results.cases if result.verdict in FAILING]
    alone = Counter(result.odd_one_out for result in failing if result.odd_one_out is not None).most_common()
    if not alone:
        return ""
    (first, n), *rest = alone
    if len(failing) == 1:
        return f"{first} is the odd one out"
    return f"{first} is the odd one out in {n} of them" + "".join(f", {leg} in {m}" for leg, m in rest)


# --- expected against compared -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How many of what was expected took part: ``47 of 48 recordings``. `missing` says which did not, in words."""

    noun: str
    n: int
    expected: int
    missing: str = ""

    @property
    def complete(self) -> bool:
        return self.n == self.expected > 0


def expected_and_compared(results: Results) -> list[Compared]:
    """Backends, cases, recordings and comparisons: expected, and there."""
    there = {leg.label for leg in results.legs if leg.environment.exit_state == ExitState.COMPLETE}
    absent = [name for name in results.backends if name not in there]
    compared = [result for result in results.cases if result.verdict is not Verdict.ERROR]
    recorded = Counter(
        leg
        for result in results.cases
        for leg, recording in result.recordings.items()
        if recording.was_observed
    )
    lacking = [f"{len(results.cases) - recorded[leg]} on {leg}" for leg in results.backends if recorded[leg] < len(results.cases)]
    n_comparisons = sum(len(result.comparisons) for result in results.cases)
    empty = n_comparisons - results.n_comparisons
    return [
        Compared(noun="backends", n=len(there & {*results.backends}), expected=len(results.backends), missing=", ".join(absent)),
        Compared(noun="cases", n=len(compared), expected=len(results.cases), missing=""),
        Compared(
            noun="recordings", n=recorded.total(), expected=len(results.backends) * len(results.cases), missing=", ".join(lacking)
        ),
        Compared(
            noun="comparisons", n=results.n_comparisons, expected=n_comparisons, missing=f"{empty} of nothing" if empty else ""
        ),
    ]


# --- what is wrong -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Cause:
    """What is wrong with some cases, alike: its name, on which backends, the case to look at first, and what to do.

    `code` is the diagnosis, for the filter; empty where there is none. `n_new` counts the cases that changed since a baseline.
    """

    name: str
    code: str
    verdict: str
    on: str
    sentence: str
    remedy: str
    worst: CaseResult
    n: int
    n_new: int


def causes(results: Results) -> list[Cause]:
    """What is wrong, most pressing first: what has changed, what could not be compared, what has a name, what is frequent."""
    changed = {change.case for change in results.changes if change.what in ("new", "changed")}
    groups: dict[tuple[str, str, str], list[tuple[CaseResult, tuple[str, ...]]]] = {}
    for result in results.cases:
        if result.verdict in FAILING:
            name, code, backends = _cause(result, results.backends)
            groups.setdefault((result.verdict.value, name, code), []).append((result, backends))
    found = []
    for (verdict, name, code), cases in groups.items():
        worst, _ = min(cases, key=lambda one: one[0].case not in changed)  # the first that is new, else the first of all
        found.append(
            Cause(
                name=name, code=code, verdict=verdict, on=_on([backends for _, backends in cases], results.backends),
                sentence=split_headline(worst.headline)[1], remedy=what_to_do(worst), worst=worst, n=len(cases),
                n_new=sum(result.case in changed for result, _ in cases),
            )
        )  # fmt: skip
    severity = (Verdict.ERROR.value, Verdict.FAILED.value, Verdict.XPASSED.value)
    return sorted(found, key=lambda one: (not one.n_new, severity.index(one.verdict), one.code in GENERIC, -one.n))


def _cause(result: CaseResult, legs: Sequence[str]) -> tuple[str, str, tuple[str, ...]]:
    """What is wrong with a case: its name, the code of the diagnosis, the backends that it is about."""
    label = split_headline(result.headline)[0]
    if result.verdict is Verdict.FAILED and result.diagnoses:
        first = result.diagnoses[0]
        name = label if first.code in GENERIC and label else first.code.upper().replace("-", " ")
        return name, first.code, tuple(leg for leg in legs if leg in first.backends)
    if result.verdict is Verdict.XPASSED:
        return label or "GONE", "", ()
    return label or result.verdict.value, "", tuple(one.leg for one in cells(result, legs) if one.tone == "bad")


def _on(backends: Sequence[tuple[str, ...]], legs: Sequence[str]) -> str:
    """Where it is: ``on jax``; where cases differ in that, how often: ``on jax in 3, torch in 1``."""
    if len(set(backends)) > 1:
        by_leg = Counter(leg for one in backends for leg in one).most_common()
        return "on " + ", ".join(f"{leg} in {n}" for leg, n in by_leg) if by_leg else ""
    alike = backends[0]
    return "" if not alike else "on every backend" if len(alike) == len(legs) > 1 else f"on {listed(list(alike))}"
