"""What reports show of a case: pure functions from results to small values that all formats share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from backendcheck.compare.backends import concerned_legs
from backendcheck.compare.findings import Finding, findings_of, leading, what_came_instead
from backendcheck.recordings.recording import WHOLE, Raised, Recording
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.words import counted, plain_message
from backendcheck.verdicts.known import Divergence
from backendcheck.verdicts.verdict import Verdict, raised_as_asked
from backendcheck.vocabulary.findings import INSIDE_ONE_BACKEND, FindingKind, Oracle
from backendcheck.vocabulary.relations import is_relation
from backendcheck.vocabulary.states import Status

FAILING = (Verdict.ERROR, Verdict.FAILED, Verdict.XPASSED)
_DID_NOT_FINISH = {"error": "not observed"}  # other states read as they are: crashed, timed out, skipped
_IN_CELLS = {
    "shape": "shape differs", "dtype": "dtype differs", "order": "order differs", "non-finite": "NaN or Inf",
}  # fmt: skip
_MOST_PARTLY = 5  # cases that a note names as compared in part
_BY_ORACLE = {"reference": "differs from reference", "paths": "paths differ", "order": "depends on order"}


# --- a backend's part in a case ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The outcome of one leg in one case, in a few words. `tone` is good, bad or neutral; `odd` marks the odd one out."""

    leg: str
    text: str
    tone: str
    odd: bool


def cells(result: CaseResult, legs: Sequence[str]) -> tuple[Cell, ...]:
    """One cell for each of `legs`, also for those without a recording."""
    confirmed, _ = confirmed_legs(result)
    return tuple(
        Cell(leg=leg, text=text, tone=tone, odd=leg == result.odd_one_out)
        for leg in legs
        for text, tone in [_cell(result, leg, confirmed)]
    )


def _cell(result: CaseResult, leg: str, confirmed: Sequence[str]) -> tuple[str, str]:
    recording = result.recordings.get(leg)
    if recording is None:
        return "missing", "bad"
    if not recording.was_observed:
        tone = "neutral" if recording.status == Status.NOT_SUPPORTED else "bad"
        return _DID_NOT_FINISH.get(recording.status, recording.status), tone
    if recording.raised:
        text = f"raised {recording.raised[0].type}"
        alike = all(recording.raised for recording in result.recordings.values())  # no backend stands out
        return text, "good" if raised_as_asked(recording) else "neutral" if alike or _another_is_odd(result, leg) else "bad"
    raised = [finding for finding in result.findings if finding.kind is FindingKind.RAISED and leg in finding.sides]
    if any(finding.oracle in (Oracle.AGREEMENT, Oracle.EXPECTATION) for finding in raised):
        return f"returned {what_came_instead(recording)}", "bad" if recording.expect is not None else "neutral"
    own = _own_findings(result, leg)
    if leg in confirmed:
        own = [finding for finding in own if finding.oracle in INSIDE_ONE_BACKEND]
    if own:
        return _difference(leading(own), leg, recording), "bad"
    if leg in confirmed:
        return "matches reference", "good"
    compared = any(leg in (side.leg for side in comparison.sides) for comparison in result.comparisons if comparison.compared)
    if compared and recording.not_supported:
        return "ok in part", "good"
    return ("ok", "good") if compared else ("not compared", "neutral")


def differing_legs(result: CaseResult, legs: Sequence[str]) -> tuple[str, ...]:
    """The legs with a bad outcome, and the odd one out."""
    return tuple(cell.leg for cell in cells(result, legs) if cell.tone == "bad" or cell.odd)


def _another_is_odd(result: CaseResult, leg: str) -> bool:
    return result.odd_one_out not in (None, leg)


def _own_findings(result: CaseResult, leg: str) -> list[Finding]:
    """The findings that concern `leg`. A disagreement with the odd one out concerns the odd one out alone."""
    findings = [finding for finding in result.findings if leg in (side.leg for side in finding.sides)]
    if _another_is_odd(result, leg):
        findings = [f for f in findings if f.oracle != Oracle.AGREEMENT or result.odd_one_out not in f.sides]
    return findings


def _difference(finding: Finding, leg: str, recording: Recording) -> str:
    kind = finding.kind or ""
    if kind == FindingKind.MISSING and finding.observation not in recording.observations:
        return "lacks an observation"
    if kind == FindingKind.NON_FINITE:
        value = finding.worst_left if finding.left.leg == leg else finding.worst_right
        return "differs" if isinstance(value, float) and math.isfinite(value) else _IN_CELLS[kind]
    if finding.oracle is Oracle.ORDER and is_relation(finding.right.path):
        return "relation broken"
    return _BY_ORACLE.get(finding.oracle, "") or _IN_CELLS.get(kind, "differs")


def confirmed_legs(result: CaseResult) -> tuple[tuple[str, ...], bool]:
    """The legs that the reference, or else the expectation, confirms while it contradicts others; and whether a reference did.

    That two of three agree proves nothing; a reference does. Empty without one, and where it confirms all legs or none. A leg is
    confirmed only if it has each observation in which the reference contradicts others. One that raised there is not.
    """
    compared = [comparison for comparison in result.comparisons if comparison.oracle == Oracle.REFERENCE and comparison.compared]
    wrong = {finding.left for finding in findings_of(compared)}
    if wrong:
        disputed = {finding.observation for finding in findings_of(compared)}
        compared_of: dict[str, set[str]] = {}
        for comparison in compared:
            compared_of.setdefault(comparison.left, set()).add(comparison.observation)
        return tuple(leg for leg, observations in compared_of.items() if leg not in wrong and disputed <= observations), True
    rejecting = tuple(leg for leg, recording in result.recordings.items() if raised_as_asked(recording))
    return (rejecting if len(rejecting) < len(result.recordings) else ()), False


def odd_one_out(result: CaseResult) -> str:
    """The odd one out, how many agree, and whom the reference confirms; empty without an odd one out."""
    odd = result.odd_one_out
    if odd is None:
        return ""
    n_legs, (confirmed, by_reference) = len(concerned_legs(result.recordings, result.findings)), confirmed_legs(result)
    if not any(finding.oracle == Oracle.AGREEMENT for finding in result.findings):
        return f"{odd} (alone of {n_legs})"
    words = f"{n_legs - 1} of {n_legs} agree"
    if confirmed and by_reference:
        words += f", but the reference confirms {odd}" if odd in confirmed else ", and the reference confirms them"
    elif confirmed:
        words += f", but only {odd} raises as expected" if odd in confirmed else " and raise as expected"
    return f"{odd} ({words})"


def further_problems(result: CaseResult) -> tuple[str, ...]:
    """The problems of a case; empty if the headline already states the only one."""
    problems = tuple(map(str, result.problems))
    return () if len(problems) == 1 and problems[0] in result.headline else problems


def exceptions(result: CaseResult, legs: Sequence[str]) -> list[tuple[str, tuple[Raised, ...], str]]:
    """By leg the exceptions, or else what it returned instead; empty if no leg raised."""
    recordings = [(leg, result.recordings[leg]) for leg in legs if leg in result.recordings]
    if not any(recording.raised for _, recording in recordings):
        return []
    return [
        (
            leg,
            tuple(replace(error, message=plain_message(error.message)) for error in recording.raised),
            "" if recording.raised else f"returned {what_came_instead(recording)}",
        )
        for leg, recording in recordings
        if recording.raised or recording.status == Status.RECORDED
    ]


# --- the run -----------------------------------------------------------------------------------------------------


def by_verdict(results: Results, *verdicts: Verdict) -> list[CaseResult]:
    """The cases with one of `verdicts`, worst first."""
    return [result for result in results.cases if result.verdict in verdicts]


def counts_line(results: Results) -> str:
    """The run in one line, such as ``3 backends, 83 cases: 70 passed, 1 failed, 12 known divergences (XFAILED)``."""
    counts = results.counts
    parts = [
        f"{counts['PASSED']} passed",
        f"{counts['FAILED']} failed",
        counted(counts["ERROR"], "error"),
        f"{counted(counts['XFAILED'], 'known divergence')} (XFAILED)",
        f"{counted(counts['XPASSED'], 'known divergence')} gone (XPASSED)",
    ]
    verdicts = ("PASSED", "FAILED", "ERROR", "XFAILED", "XPASSED")
    shown = [part for part, verdict in zip(parts, verdicts, strict=True) if counts[verdict]]
    whole = f"{counted(len(results.backends), 'backend')}, {counted(len(results.cases), 'case')}"
    return f"{whole}: {', '.join(shown) or 'nothing was compared'}{_not_supported(results)}"


def _not_supported(results: Results) -> str:
    """What backends have declared that they lack, such as ``; not supported on numpy: gradient of 12 cases``."""
    parts = {
        leg: [counted(n, "whole case") if name == WHOLE else f"{name} of {counted(n, 'case')}" for name, n in lacking.items()]
        for leg, lacking in results.not_supported.items()
    }
    return "".join(f"; not supported on {leg}: {', '.join(counts)}" for leg, counts in parts.items())


def changes_line(results: Results) -> str:
    """The number of changes of each kind since the baseline."""
    n = Counter(change.what for change in results.changes)
    return ", ".join(f"{n[what]} {what}" for what in ("new", "changed", "gone") if n[what]) or "no changes"


def known_notes(results: Results) -> list[tuple[str, str]]:
    """Entries of known_divergences.toml that need attention: EXPIRED or UNMATCHED, and what to do."""
    notes = []
    for entry in results.expired:
        message = f"{entry.name}: expired on {entry.expires} and no longer applies. Check its cases, then renew or remove it."
        notes.append(("EXPIRED", message))
    for entry in results.unmatched:
        message = f"{entry.name}: matches no case of this run. Correct its pattern or remove it."
        notes.append(("UNMATCHED", message))
    return notes


def _label_and_case(result: CaseResult) -> tuple[str, str]:
    label, sentence = split_headline(result.headline)
    return label, f"{result.case}: {sentence}"


def run_notes(results: Results) -> list[tuple[str, str]]:
    """Notes on a run that do not change its verdicts: on known divergences, on cases that passed without some comparisons, on
    noise that was not measured, on scripts.
    """
    partly = [result for result in by_verdict(results, Verdict.PASSED) if result.headline]
    more = len(partly) - _MOST_PARTLY
    return [
        *(_label_and_case(result) for result in partly[:_MOST_PARTLY]),
        *([("NOT COMPARED", f"and parts of {counted(more, 'more case')}; report.json lists them all")] if more > 0 else []),
        *known_notes(results),
        *(("NOISE", problem) for problem in results.noise_problems),
        *(("SCRIPT", problem) for problem in results.scripts.problems),
    ]


def reasons(entries: Iterable[Divergence]) -> str:
    """Why divergences are known, in one line."""
    texts = dict.fromkeys(" ".join(f"{entry.reason} {entry.link}".split()) for entry in entries)
    return "; ".join(texts)


def web_link(link: str) -> str:
    """`link` if it is a plain http or https address, else an empty text: no other scheme becomes clickable."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    plain = link.isascii() and link.isprintable() and not set(link) & set(" \"'<>\\`")
    return link if plain and parts.scheme in ("http", "https") and parts.netloc else ""


def shown_claim(result: CaseResult) -> tuple[str, str]:
    """The claim, and the rest of the docstring."""
    first, _, rest = result.claim.strip().partition("\n\n")
    return " ".join(first.split()), rest.strip()


def split_headline(headline: str) -> tuple[str, str]:
    """The label in capitals, which may be empty, and the sentence: ``OUTPUT ORDER``, ``predict returns …``."""
    label, separator, sentence = headline.partition(": ")
    return (label, sentence) if separator and label.isupper() else ("", headline)


# --- beside the findings -------------------------------------------------------------------------------------------


def notes(result: CaseResult, legs: Sequence[str]) -> list[str]:
    """Notes of the recordings and observations that are not compared, each with its legs in parentheses."""
    legs_of: dict[str, list[str]] = {}
    for leg in legs:
        recording = result.recordings.get(leg)
        if recording is not None:
            lacking = (f"{name} is not supported: {why}" for name, why in recording.not_supported.items() if name != WHOLE)
            uncompared = (f"{name} is not compared: {why}" for name, why in recording.not_compared.items())
            for note in (*recording.notes, *lacking, *uncompared):
                legs_of.setdefault(note, []).append(leg)
    return [*(f"{note} ({', '.join(names)})" for note, names in legs_of.items()), *result.noise_notes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds by stage: rows of leg, seconds as text (empty where a leg did not reach the stage), total."""

    stages: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...], str], ...]


def timings(result: CaseResult, legs: Sequence[str]) -> Timings | None:
    """The timings of a case; None if no recording has any."""
    by_leg = {leg: result.recordings[leg].timings_s for leg in legs if leg in result.recordings}
    stages = tuple(dict.fromkeys(stage for seconds in by_leg.values() for stage in seconds))
    if not stages:
        return None
    rows = []
    for leg, seconds in by_leg.items():
        texts = tuple(f"{seconds[stage]:.3f}" if stage in seconds else "" for stage in stages)
        rows.append((leg, texts, f"{sum(seconds.values()):.3f}"))
    return Timings(stages=stages, rows=tuple(rows))
