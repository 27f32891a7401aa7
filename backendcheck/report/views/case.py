"""What reports show of a case, apart from how: pure functions from results to small values that all renderers share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from backendcheck.compare.findings import Finding, findings_of, leading, what_came_instead
from backendcheck.recordings.recording import Raised, Recording
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.words import counted
from backendcheck.verdicts.known import Divergence
from backendcheck.verdicts.verdict import Verdict, raised_as_asked
from backendcheck.vocabulary.findings import INSIDE_ONE_BACKEND, FindingKind, Oracle
from backendcheck.vocabulary.sides import Side
from backendcheck.vocabulary.states import Status

FAILING = (Verdict.ERROR, Verdict.FAILED, Verdict.XPASSED)
_DID_NOT_FINISH = {"error": "not observed"}  # other states read as they are: crashed, timed out, skipped
_IN_CELLS = {
    "shape": "other shape", "dtype": "other dtype", "order": "other order", "non-finite": "NaN or Inf", "missing": "differs",
}  # fmt: skip
_BY_ORACLE = {"reference": "differs from reference", "paths": "paths differ", "order": "depends on order"}


# --- a backend's part in a case ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one leg did in one case, in a few words. `tone` is good, bad or neutral; `odd` marks the odd one out."""

    leg: str
    text: str
    tone: str
    odd: bool


def cells(result: CaseResult, legs: Sequence[str]) -> tuple[Cell, ...]:
    """One cell for each of `legs`, those without a recording too."""
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
        return _DID_NOT_FINISH.get(recording.status, recording.status), "bad"
    if recording.raised:
        text = f"raised {recording.raised[0].type}"
        return text, "good" if raised_as_asked(recording) else "neutral" if _alone(result, leg) else "bad"
    raised = [finding for finding in result.findings if finding.kind is FindingKind.RAISED and leg in finding.sides]
    if any(finding.oracle in (Oracle.AGREEMENT, Oracle.EXPECTATION) for finding in raised):
        return f"returned {what_came_instead(recording)}", "bad" if recording.expect is not None else "neutral"
    own = _own_findings(result, leg)
    if leg in confirmed:
        own = [finding for finding in own if finding.oracle in INSIDE_ONE_BACKEND]
    if own:
        return _difference(leading(own), leg, recording), "bad"
    if leg in confirmed:
        return "as the reference", "good"
    compared = any(leg in map(_leg_of, comparison.sides) for comparison in result.comparisons if comparison.compared)
    return ("ok", "good") if compared else ("not compared", "neutral")


def _leg_of(side: Side) -> str:
    return side.leg


def _alone(result: CaseResult, leg: str) -> bool:
    """Whether another leg is the odd one out."""
    return result.odd_one_out not in (None, leg)


def _own_findings(result: CaseResult, leg: str) -> list[Finding]:
    """The findings that are about `leg`: a disagreement with the odd one out is not held against the others."""
    found = [finding for finding in result.findings if leg in map(_leg_of, finding.sides)]
    if _alone(result, leg):
        found = [f for f in found if f.oracle != Oracle.AGREEMENT or result.odd_one_out not in f.sides]
    return found


def _difference(finding: Finding, leg: str, recording: Recording) -> str:
    kind = finding.kind or ""
    if kind == "missing" and finding.observation not in recording.observations:
        return "lacks an observation"
    if kind == "non-finite":
        value = finding.worst_left if _leg_of(finding.left) == leg else finding.worst_right
        return "differs" if isinstance(value, float) and math.isfinite(value) else _IN_CELLS[kind]
    return _BY_ORACLE.get(finding.oracle, "") or _IN_CELLS.get(kind, "differs")


def confirmed_legs(result: CaseResult) -> tuple[tuple[str, ...], bool]:
    """The legs that a reference, or else the case's expectation, confirms while it contradicts the rest; and whether the former.

    Two of three agreeing proves nothing; this does. Empty where there is no such thing, or it confirms all or nobody.
    """
    held = [comparison for comparison in result.comparisons if comparison.oracle == Oracle.REFERENCE and comparison.compared]
    wrong = {finding.left for finding in findings_of(held)}
    if wrong:
        return tuple(dict.fromkeys(c.left for c in held if c.left not in wrong)), True
    asked = tuple(leg for leg, recording in result.recordings.items() if raised_as_asked(recording))
    return (asked if len(asked) < len(result.recordings) else ()), False


def odd_one_out(result: CaseResult) -> str:
    """The odd one out in words; empty if there is none."""
    odd = result.odd_one_out
    if odd is None:
        return ""
    n_legs, (confirmed, by_reference) = len(result.recordings), confirmed_legs(result)
    if not any(finding.oracle == Oracle.AGREEMENT for finding in result.findings):
        return f"{odd} (alone of {n_legs})"
    words = f"{n_legs - 1} of {n_legs} agree"
    if confirmed and by_reference:
        words += f", but the reference confirms {odd}" if odd in confirmed else ", and the reference confirms them"
    elif confirmed:
        words += f", but only {odd} rejects it as asked" if odd in confirmed else ", and reject it as asked"
    return f"{odd} ({words})"


def further_problems(result: CaseResult) -> tuple[str, ...]:
    """The problems of a case, unless there is but one and the headline has it."""
    return () if len(result.problems) == 1 and result.problems[0] in result.headline else result.problems


def exceptions(result: CaseResult, legs: Sequence[str]) -> list[tuple[str, tuple[Raised, ...], str]]:
    """By leg what it raised, or nothing and what it returned instead; empty if none raised."""
    there = [(leg, result.recordings[leg]) for leg in legs if leg in result.recordings]
    if not any(recording.raised for _, recording in there):
        return []
    return [
        (leg, recording.raised, "" if recording.raised else f"returned {what_came_instead(recording)}")
        for leg, recording in there
        if recording.raised or recording.status == Status.RECORDED
    ]


# --- the run -----------------------------------------------------------------------------------------------------


def by_verdict(results: Results, *verdicts: Verdict) -> list[CaseResult]:
    """The cases with one of `verdicts`, worst first."""
    return [result for result in results.cases if result.verdict in verdicts]


def counts_line(results: Results) -> str:
    """The whole run in one line, such as ``3 backends, 83 cases: 70 passed, 1 failed, 12 known divergences (XFAILED)``."""
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
    return f"{whole}: {', '.join(shown) or 'nothing was compared'}"


def changes_line(results: Results) -> str:
    """What has changed since the baseline, counted."""
    n = Counter(change.what for change in results.changes)
    return ", ".join(f"{n[what]} {what}" for what in ("new", "changed", "gone") if n[what]) or "nothing has changed"


def known_notes(results: Results) -> list[tuple[str, str]]:
    """What is wrong with entries of known_divergences.toml: EXPIRED or UNMATCHED, and what to do."""
    notes = []
    for entry in results.expired:
        what = f"{entry.name}: expired on {entry.expires} and excuses nothing any more. Look again, then renew or remove it."
        notes.append(("EXPIRED", what))
    for entry in results.unmatched:
        what = f"{entry.name}: matches no case of this run. Correct its pattern, or remove it."
        notes.append(("UNMATCHED", what))
    return notes


def run_notes(results: Results) -> list[tuple[str, str]]:
    """What a run has to say that decides nothing: about entries of known_divergences.toml, about noise that was not measured."""
    return [
        *known_notes(results),
        *(("NOISE", problem) for problem in results.noise_problems),
        *(("SCRIPT", problem) for problem in results.scripts.problems),
    ]


def reasons(entries: Iterable[Divergence]) -> str:
    """Why divergences are known, in one line."""
    texts = dict.fromkeys(" ".join(f"{entry.reason} {entry.link}".split()) for entry in entries)
    return "; ".join(texts)


def web_link(link: str) -> str:
    """`link` if it is a plain http or https address, else nothing: no other scheme is ever made clickable."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    plain = link.isascii() and link.isprintable() and not set(link) & set(" \"'<>\\`")
    return link if plain and parts.scheme in ("http", "https") and parts.netloc else ""


def shown_claim(result: CaseResult) -> tuple[str, str]:
    """The claim and what its docstring says beyond it."""
    first, _, rest = result.claim.strip().partition("\n\n")
    return " ".join(first.split()), rest.strip()


def split_headline(headline: str) -> tuple[str, str]:
    """The label in capitals and the sentence: ``OUTPUT ORDER``, ``predict returns …``; no label where there is none."""
    label, separator, sentence = headline.partition(": ")
    return (label, sentence) if separator and label.isupper() else ("", headline)


# --- beside the findings -------------------------------------------------------------------------------------------


def notes(result: CaseResult, legs: Sequence[str]) -> list[str]:
    """What was noted while recording and what backends cannot agree on, with who says so."""
    said: dict[str, list[str]] = {}
    for leg in legs:
        recording = result.recordings.get(leg)
        if recording is not None:
            for note in (*recording.notes, *(f"{name} is not compared: {why}" for name, why in recording.not_compared.items())):
                said.setdefault(note, []).append(leg)
    return [*(f"{note} ({', '.join(of)})" for note, of in said.items()), *result.noise_notes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds by stage: rows of leg, figures as text (empty where a leg did not get there), total."""

    stages: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...], str], ...]


def timings(result: CaseResult, legs: Sequence[str]) -> Timings | None:
    """The timings of a case; None where there are none."""
    by_leg = {leg: result.recordings[leg].timings_s for leg in legs if leg in result.recordings}
    stages = tuple(dict.fromkeys(stage for seconds in by_leg.values() for stage in seconds))
    if not stages:
        return None
    rows = []
    for leg, seconds in by_leg.items():
        figures = tuple(f"{seconds[stage]:.3f}" if stage in seconds else "" for stage in stages)
        rows.append((leg, figures, f"{sum(seconds.values()):.3f}"))
    return Timings(stages=stages, rows=tuple(rows))
