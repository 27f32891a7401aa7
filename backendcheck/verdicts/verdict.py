"""Whether: the truth table that turns what the oracles saw into a verdict. Pure; it knows nothing of why.

    1  a leg is missing, crashed or timed out; inputs or weights differ; nothing could be compared   ERROR
    2  expect=Raises() and every backend raised as asked                                             PASSED
    3  some raised and some did not; all raised unasked; none raised though asked                    FAILED
    4  any oracle has a finding                                                                      FAILED
    5  otherwise                                                                                     PASSED

Known divergences are applied after it, in `known`, and never to an ERROR.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from backendcheck.compare.backends import compare_backends, compare_reference
from backendcheck.compare.findings import Comparison, Finding, Pairing, findings_of
from backendcheck.compare.tolerances import Override
from backendcheck.compare.variants import compare_variants
from backendcheck.recordings.recording import Recording
from backendcheck.text.words import first_line
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.sides import REFERENCE, Side

UNSEEN = "has no recording of it"  # what is wrong with a leg that lacks one


class Verdict(Enum):
    """pytest's words."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    ERROR = "ERROR"
    XFAILED = "XFAILED"
    XPASSED = "XPASSED"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Judgement:
    """The verdict on one case, with everything it rests on. `problems` says why it is an ERROR."""

    verdict: Verdict
    comparisons: tuple[Comparison, ...]
    problems: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        return findings_of(self.comparisons)


def judge(recordings: Mapping[str, Recording], expected_legs: Sequence[str], overrides: Sequence[Override] = ()) -> Judgement:
    """The verdict on one case from its recordings by leg; `expected_legs` are the legs that have to be there."""
    problems = [f"{leg} {UNSEEN}" for leg in expected_legs if leg not in recordings]
    usable = {}
    for leg, recording in recordings.items():
        if recording.was_observed:
            usable[leg] = recording
        else:
            problems.append(f"{leg} {_status_in_words(recording)}")
    problems += incomparable(usable)
    comparisons: list[Comparison] = []
    as_asked = bool(usable) and all(raised_as_asked(recording) for recording in usable.values())
    if not incomparable(usable) and not as_asked:
        comparisons = [
            *_expectation_findings(usable),
            *compare_backends(usable, overrides),
            *compare_variants(usable, overrides),
            *compare_reference(usable, overrides),
        ]
    if not problems and not as_asked and not any(comparison.compared for comparison in comparisons):
        problems.append("nothing could be compared" + (": there is one leg only" if len(usable) == 1 else ""))
    if problems:
        verdict = Verdict.ERROR
    elif findings_of(comparisons):
        verdict = Verdict.FAILED
    else:
        verdict = Verdict.PASSED
    return Judgement(verdict=verdict, comparisons=tuple(comparisons), problems=tuple(problems))


def _status_in_words(recording: Recording) -> str:
    words = {"error": "could not observe it", "skipped": "skipped it"}.get(recording.status, recording.status)
    return f"{words}: {recording.problem.removeprefix('skipped: ')}" if recording.problem else words


# --- expectation -----------------------------------------------------------------------------------------------


def raised_as_asked(recording: Recording) -> bool:
    """Whether the case asked for an exception and this is one."""
    return recording.expect is not None and bool(recording.raised) and not _mismatch(recording)


def _mismatch(recording: Recording) -> str:
    """What about the first exception is not as asked; empty if nothing."""
    asked, error = recording.expect or {}, recording.raised[0]
    names, match = asked.get("type_names"), asked.get("match")
    if names and not set(names) & set(error.type_names):
        return f"raised {error.type}; expected {' or '.join(names)}"
    if match is not None and not re.search(match, error.message):
        return f"raised {error.type} with another message; expected a match for {match!r}, got {error.message.strip()[:160]!r}"
    return ""


def _expectation_findings(recordings: Mapping[str, Recording]) -> Iterator[Finding]:
    everyone_raised = bool(recordings) and all(recording.raised for recording in recordings.values())
    for leg, recording in recordings.items():
        message = ""
        if recording.expect is not None:
            message = _mismatch(recording) if recording.raised else "raised nothing; expected every backend to reject this"
        elif everyone_raised:
            error = recording.raised[0]
            message = f"raised {error.type} in stage {error.stage}, unasked: {first_line(error.message)}"
        if message:
            pairing = Pairing(oracle=Oracle.EXPECTATION, observation="raised", left=Side(leg), right=REFERENCE)
            origin = "expect" if recording.expect is not None else "none expected"
            yield pairing.finding(FindingKind.RAISED, message, origin=origin)


# --- comparability ---------------------------------------------------------------------------------------------

_STATE_DIFFERENCE = 1e-3  # relative; rounding of adapted statistics stays below, another random draw is far above


def incomparable(recordings: Mapping[str, Recording]) -> list[str]:
    """Why these recordings cannot be held against each other: other inputs, weights, settings, or case files."""
    found = []
    legs = list(recordings)
    # Everyone is held against the first that got through: one that raised may not have seen all of its inputs.
    whole = next((leg for leg in legs if not recordings[leg].raised), next(iter(legs), ""))
    for leg in legs:
        if leg == whole:
            continue
        one, another = sorted((whole, leg), key=legs.index)
        first, other = recordings[one], recordings[another]
        pair = f"{one} and {another}"
        if first.file_digest and other.file_digest and first.file_digest != other.file_digest:
            found.append(f"not comparable: {pair} recorded different versions of {first.file or 'the case file'}")
            continue
        if settings := _differing(first.settings, other.settings):
            words = ", ".join(f"{name} {first.settings.get(name)} and {other.settings.get(name)}" for name in settings)
            found.append(f"not comparable: {pair} ran under different settings: {words}")
        if inputs := [name for name in _differing_digests(first, other) if not name.startswith("weights/")]:
            found.append(f"not comparable: {pair} were fed different inputs: {', '.join(inputs)}")
        if weights := _differing_weights(first, other):
            found.append(f"not comparable: {pair} started from different initial weights: {', '.join(weights)}")
    return found


def _differing(left: Mapping[str, str], right: Mapping[str, str]) -> list[str]:
    return [name for name in sorted({*left, *right}) if left.get(name) != right.get(name)]


def _differing_digests(left: Recording, right: Recording) -> list[str]:
    """What differs where both got that far: a leg that raised may not have seen all of its inputs and weights."""
    differing = _differing(left.digests, right.digests)
    if left.raised or right.raised:
        return [name for name in differing if name in left.digests and name in right.digests]
    return differing


def _differing_weights(left: Recording, right: Recording) -> list[str]:
    found = [name.removeprefix("weights/") for name in _differing_digests(left, right) if name.startswith("weights/")]
    for name in sorted({*left.state} & {*right.state}):
        sides = np.array([left.state[name], right.state[name]])
        allowed = _STATE_DIFFERENCE * np.max(sides[:, 1], initial=1e-6, where=np.isfinite(sides[:, 1]))
        if not np.allclose(sides[0], sides[1], rtol=0.0, atol=allowed, equal_nan=True):
            found.append(name)
    return found
