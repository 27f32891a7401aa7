"""What reports say of a run as a whole: its state, its exit code, causes and remedies, and expected against compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backendcheck.report.views.case import FAILING, cells, split_headline
from backendcheck.report.views.findings import GENERIC
from backendcheck.report.views.raised import authors_frame, refused_everywhere
from backendcheck.report.views.remedies import what_to_do
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.words import counted, listed
from backendcheck.verdicts.verdict import Verdict, not_supported
from backendcheck.vocabulary.states import ExitState, Status


def state(results: Results) -> tuple[str, str]:
    """The state of the run (good, bad or incomplete), and a sentence about it."""
    counts, n_cases = results.counts, len(results.cases)
    differing = counts["FAILED"] + counts["XPASSED"]
    also = f", and {differing} {'fails' if differing == 1 else 'fail'}" if differing else ""
    if not n_cases:
        return "incomplete", "Nothing was compared"
    if counts["ERROR"]:
        return "incomplete", f"{_share(counts['ERROR'], n_cases)} could not be compared{also}"
    if results.problems or results.exit_code > 1:
        return "incomplete", f"The run is incomplete{also}"
    if differing:
        return "bad", f"{_share(differing, n_cases)} {'fails' if differing == 1 else 'fail'}"
    agreeing, known = counts["PASSED"], counts["XFAILED"]
    if not agreeing:
        return "good", f"{counted(known, 'case')} {'differs' if known == 1 else 'differ'} as known"
    as_known = f", {known} {'differs' if known == 1 else 'differ'} as known" if known else ""
    return "good", f"{_share(agreeing, n_cases)} {'agrees' if agreeing == 1 else 'agree'}{as_known}"


def state_so_far(results: Results, n_cases: int) -> tuple[str, str]:
    """The same while the run is being recorded, with the number of cases that there will be."""
    counts = results.counts
    parts = [
        f"{n} {words[0] if n == 1 else words[1]}"
        for n, words in (
            (counts["ERROR"], ("could not be compared", "could not be compared")),
            (counts["FAILED"] + counts["XPASSED"], ("fails", "fail")),
        )
        if n
    ]  # fmt: skip
    judged = f"{len(results.cases)} of {counted(n_cases, 'case')} judged so far" if n_cases else "no case is judged yet"
    return "incomplete", ", ".join([f"Recording: {judged}", *parts])


def _share(n: int, n_all: int) -> str:
    """``3 of 12 cases``; of a single case ``1 case``."""
    return counted(n, "case") if n_all == 1 else f"{n} of {counted(n_all, 'case')}"


def stands_alone(results: Results) -> str:
    """How often each leg is the odd one out in the cases that fail: ``jax is the odd one out in 3 of them, torch in 1``."""
    failing = [result for result in results.cases if result.verdict in FAILING]
    alone = Counter(result.odd_one_out for result in failing if result.odd_one_out is not None).most_common()
    if not alone:
        return ""
    (first, n), *rest = alone
    if len(failing) == 1:
        return f"{first} is the odd one out"
    return f"{first} is the odd one out in {n} of them" + "".join(f", {leg} in {m}" for leg, m in rest)


# --- the exit code ----------------------------------------------------------------------------------------------------


def exit_sentence(results: Results) -> str:
    """The exit code with its reason: ``exit code 1: 2 cases differ (FAILED)``."""
    return f"exit code {results.exit_code}: {exit_reason(results)}"


def exit_reason(results: Results) -> str:
    """What the exit code means for this run."""
    if results.exit_code == 0:
        return _as_expected(results)
    differing = ", ".join(_differing(results))
    if results.exit_code == 1:
        return differing
    return f"incomplete: {', '.join(_missing(results))}" + (f"; also {differing}" if differing else "")


def _as_expected(results: Results) -> str:
    if not results.cases:
        n_all = max((len(leg.environment.all_cases) for leg in results.legs), default=0)
        return f"shard {results.shard} contains none of the {counted(n_all, 'case')}, so there was nothing to do"
    if n := results.counts["XFAILED"]:
        return f"all as expected; {counted(n, 'case')} {'differs' if n == 1 else 'differ'} as known_divergences.toml says"
    n = sum(bool(not_supported(result.recordings)) for result in results.cases)
    agree = "all backends agree with each other and with what is expected"
    return f"all as expected; {counted(n, 'case')} {'is' if n == 1 else 'are'} not supported by every backend" if n else agree


def _differing(results: Results) -> Iterator[str]:
    counts = results.counts
    refused = sum(result.verdict is Verdict.FAILED and refused_everywhere(result) for result in results.cases)
    if n := counts["FAILED"] - refused:
        yield f"{counted(n, 'case')} {'differs' if n == 1 else 'differ'} (FAILED)"
    if refused:
        yield f"{counted(refused, 'case')} {'is' if refused == 1 else 'are'} refused by every backend (FAILED)"
    if n := counts["XPASSED"]:
        yield f"{counted(n, 'known divergence')} {'is' if n == 1 else 'are'} gone (XPASSED)"
    if n := len(results.unmatched) + len(results.expired) if results.strict_known else 0:
        yield f"{counted(n, 'entry')} of known_divergences.toml expired or unmatched (--strict-known)"


def _missing(results: Results) -> Iterator[str]:
    own = sum(authors_frame(result) is not None for result in results.cases)
    if own:
        yield f"{counted(own, 'case')} {'raises' if own == 1 else 'raise'} in {'its' if own == 1 else 'their'} own code (ERROR)"
    if n := results.counts["ERROR"] - own:
        yield f"{counted(n, 'case')} could not be compared (ERROR)"
    if n := len(results.problems):
        yield f"{counted(n, 'problem')} of the run (PROBLEM)"
    if not results.counts["ERROR"] and not results.problems:
        yield "nothing was compared"


# --- expected against compared -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How many of those expected took part: ``47 of 48 recordings``. `missing` names the others."""

    noun: str
    n: int
    expected: int
    missing: str = ""

    @property
    def complete(self) -> bool:
        return self.n == self.expected > 0


def expected_and_compared(results: Results) -> list[Compared]:
    """Backends, cases, recordings and comparisons: how many were expected, and how many took part."""
    complete = {leg.label for leg in results.legs if leg.environment.exit_state == ExitState.COMPLETE}
    absent = [name for name in results.backends if name not in complete]
    compared = [result for result in results.cases if result.verdict is not Verdict.ERROR]
    recorded = Counter(
        leg
        for result in results.cases
        for leg, recording in result.recordings.items()
        if recording.was_observed
    )
    unsupported = Counter(
        leg
        for result in results.cases
        for leg, recording in result.recordings.items()
        if recording.status == Status.NOT_SUPPORTED
    )
    expected = {leg: len(results.cases) - unsupported[leg] for leg in results.backends}
    lacking = [f"{n - recorded[leg]} on {leg}" for leg, n in expected.items() if recorded[leg] < n]
    n_comparisons = sum(len(result.comparisons) for result in results.cases)
    empty = n_comparisons - results.n_comparisons
    return [
        Compared(
            noun="backends", n=len(complete & {*results.backends}), expected=len(results.backends), missing=", ".join(absent)
        ),
        Compared(noun="cases", n=len(compared), expected=len(results.cases), missing=""),
        Compared(
            noun="recordings", n=recorded.total(), expected=sum(expected.values()), missing=", ".join(lacking),
        ),
        Compared(
            noun="comparisons", n=results.n_comparisons, expected=n_comparisons,
            missing=f"{empty} of empty arrays" if empty else "",
        ),
    ]  # fmt: skip


# --- what is wrong -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Cause:
    """What several cases have in common: the name of the difference, its backends, the case to look at first, and what to do.

    `code` is the diagnosis, for the filter, or empty. `n_new` counts the cases that changed since a baseline.
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
    """The causes, most urgent first: changed cases, then cases not compared, then named causes, then by number of cases."""
    changed = {change.case for change in results.changes if change.what in ("new", "changed")}
    groups: dict[tuple[str, str, str], list[tuple[CaseResult, tuple[str, ...]]]] = {}
    for result in results.cases:
        if result.verdict in FAILING:
            name, code, backends = _cause(result, results.backends)
            groups.setdefault((result.verdict.value, name, code), []).append((result, backends))
    rows = []
    for (verdict, name, code), cases in groups.items():
        worst, _ = min(cases, key=lambda pair: pair[0].case not in changed)  # the first that is new, else the first of all
        rows.append(
            Cause(
                name=name, code=code, verdict=verdict, on=_on([backends for _, backends in cases], results.backends),
                sentence=split_headline(worst.headline)[1], remedy=what_to_do(worst), worst=worst, n=len(cases),
                n_new=sum(result.case in changed for result, _ in cases),
            )
        )  # fmt: skip
    severity = (Verdict.ERROR.value, Verdict.FAILED.value, Verdict.XPASSED.value)
    return sorted(rows, key=lambda row: (not row.n_new, severity.index(row.verdict), row.code in GENERIC, -row.n))


def _cause(result: CaseResult, legs: Sequence[str]) -> tuple[str, str, tuple[str, ...]]:
    """The cause of one case: its name, the code of the diagnosis, the backends concerned."""
    label = split_headline(result.headline)[0]
    if result.verdict is Verdict.FAILED and result.diagnoses:
        first = result.diagnoses[0]
        name = label if first.code in GENERIC and label else first.code.upper().replace("-", " ")
        return name, first.code, tuple(leg for leg in legs if leg in first.backends)
    if result.verdict is Verdict.XPASSED:
        return label or "GONE", "", ()
    return label or result.verdict.value, "", tuple(cell.leg for cell in cells(result, legs) if cell.tone == "bad")


def _on(backends: Sequence[tuple[str, ...]], legs: Sequence[str]) -> str:
    """The backends concerned: ``on jax``, or if cases differ in that, how often: ``on jax in 3, torch in 1``."""
    if len(set(backends)) > 1:
        by_leg = Counter(leg for names in backends for leg in names).most_common()
        return "on " + ", ".join(f"{leg} in {n}" for leg, n in by_leg) if by_leg else ""
    alike = backends[0]
    return "" if not alike else "on every backend" if len(alike) == len(legs) > 1 else f"on {listed(list(alike))}"
