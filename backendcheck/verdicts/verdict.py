"""The truth table, which turns what the oracles found into a verdict. Pure; diagnoses have no part in it.

    1  a leg is missing, crashed or timed out; inputs or weights differ; nothing could be compared;
       the same line of the author's own code raised the same exception everywhere, unasked          ERROR
    2  expect=Raises() and every backend raised as asked                                             PASSED
    3  some raised and some did not; all raised unasked; none raised though asked                    FAILED
    4  any oracle has a finding                                                                      FAILED
    5  otherwise                                                                                     PASSED

A case that a backend has declared that it cannot do, and that another one could observe, is no ERROR where that leaves nothing
to compare: its headline says what is not supported.

Known divergences are applied after it, in `known`, and never to an ERROR.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from backendcheck.compare.backends import compare_backends, compare_reference, errors_in_reach
from backendcheck.compare.findings import Comparison, Finding, Pairing, findings_of
from backendcheck.compare.tolerances import Override
from backendcheck.compare.variants import compare_variants
from backendcheck.recordings.recording import WHOLE, Raised, Recording
from backendcheck.text.words import first_line, listed
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.problems import Problem, ProblemCode, code_of
from backendcheck.vocabulary.sides import REFERENCE, Side
from backendcheck.vocabulary.states import Status

_NOT_SUPPORTED = "does not support"  # in the problem of a recording, after the name of the backend


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
    problems: tuple[Problem, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        return findings_of(self.comparisons)


def judge(recordings: Mapping[str, Recording], expected_legs: Sequence[str], overrides: Sequence[Override] = ()) -> Judgement:
    """The verdict on one case from its recordings by leg; `expected_legs` are the legs that have to be there."""
    usable = {leg: recording for leg, recording in recordings.items() if recording.was_observed}
    differences = incomparable(usable)
    problems = [*not_observed(recordings, expected_legs), *differences]
    if (own := authors_error(recordings)) is not None and own.frame is not None:
        text = f"your case raises at {own.frame.place}: {own.type}: {first_line(own.message)}"
        problem = Problem(code=ProblemCode.AUTHORS_ERROR, legs=tuple(recordings), text=text.removesuffix(": "))
        problems = [problem, *(problem for problem in problems if problem.code is not ProblemCode.NOT_OBSERVED)]
    comparisons: list[Comparison] = []
    as_asked = bool(usable) and all(raised_as_asked(recording) for recording in in_reach(usable).values())
    if not differences and not as_asked:
        comparisons = [
            *(_expectation_findings(usable) if own is None else ()),
            *compare_backends(usable, overrides),
            *compare_variants(usable, overrides),
            *compare_reference(usable, overrides),
        ]
    refused = bool(usable) and any(WHOLE in recording.not_supported for recording in recordings.values())
    if not problems and not as_asked and not refused and not any(comparison.compared for comparison in comparisons):
        code = ProblemCode.ONE_LEG if len(usable) == 1 else ProblemCode.NOTHING_COMPARED
        reasons = [*reasons_not_compared(usable), *not_supported(recordings)]
        detail = "; ".join(reasons) if reasons or code is ProblemCode.NOTHING_COMPARED else "there is one leg only"
        problems.append(Problem(code=code, legs=tuple(usable), text="nothing could be compared", detail=detail))
    if problems:
        verdict = Verdict.ERROR
    elif findings_of(comparisons):
        verdict = Verdict.FAILED
    else:
        verdict = Verdict.PASSED
    return Judgement(verdict=verdict, comparisons=tuple(comparisons), problems=tuple(problems))


def not_observed(recordings: Mapping[str, Recording], expected_legs: Sequence[str]) -> list[Problem]:
    """A problem for each leg that has no recording of a case, or did not observe it to its end."""
    missing = [
        Problem(code=ProblemCode.NO_RECORDING, legs=(leg,), text=f"{leg} has no recording of it")
        for leg in expected_legs
        if leg not in recordings
    ]
    return [*missing, *(problem for leg, recording in recordings.items() if (problem := _unobserved(leg, recording)))]


def reasons_not_compared(recordings: Mapping[str, Recording]) -> list[str]:
    """Why observations of a case are not compared between backends, each reason once."""
    return list(dict.fromkeys(reason for recording in recordings.values() for reason in recording.not_compared.values()))


def supported(recordings: Mapping[str, Recording]) -> dict[str, Recording]:
    """The recordings of the legs that can do what the case needs. They alone decide the verdict."""
    return {leg: recording for leg, recording in recordings.items() if recording.status != Status.NOT_SUPPORTED}


def not_supported(recordings: Mapping[str, Recording]) -> list[str]:
    """What legs do not support: a sentence for each reason."""
    by_reason: dict[str, list[str]] = {}
    for leg, recording in recordings.items():
        if recording.status == Status.NOT_SUPPORTED:
            by_reason.setdefault(recording.problem.partition(f"{_NOT_SUPPORTED} ")[2], []).append(leg)
    return [f"{listed(legs)} {'do' if len(legs) > 1 else 'does'} not support {reason}" for reason, legs in by_reason.items()]


def _unobserved(leg: str, recording: Recording) -> Problem | None:
    """Why a recording has nothing to compare; None if the case was observed, or is declared as not supported."""
    if (code := code_of(recording.status)) is None:
        return None
    words = {ProblemCode.NOT_OBSERVED: "could not observe it", ProblemCode.SKIPPED: "skipped it"}.get(code, str(recording.status))
    # Recordings of a skipped case begin their text so, those of earlier versions too.
    detail = recording.problem.removeprefix("skipped: ")
    return Problem(code=code, legs=(leg,), text=f"{leg} {words}", detail=detail)


# --- expectation -----------------------------------------------------------------------------------------------


def raised_as_asked(recording: Recording) -> bool:
    """Whether the case asked for an exception and this is one."""
    return recording.expect is not None and bool(recording.raised) and not _mismatch(recording)


def authors_error(recordings: Mapping[str, Recording]) -> Raised | None:
    """The exception that the same line of the author's own code has raised on every leg, unasked; None if that is not proved."""
    errors = []
    for recording in recordings.values():
        error = recording.failure or next(iter(recording.raised), None)
        if error is not None and error.by_author and recording.expect is None:
            errors.append(error)
        elif recording.was_observed or recording.status == Status.ERROR:
            return None  # a leg that crashed or was skipped does not say otherwise
    if not errors:
        return None
    return errors[0] if len({(error.type, _line_of(error)) for error in errors}) == 1 else None


def _line_of(error: Raised) -> tuple[str, int, str]:
    """The author's line; the folder of its file may be another where another leg was recorded."""
    frame = error.frame
    return ("", 0, "") if frame is None else (re.split(r"[\\/]", frame.file)[-1], frame.line, frame.function)


def _mismatch(recording: Recording) -> str:
    """What about the first exception is not as asked; empty if nothing."""
    asked, error = recording.expect or {}, recording.raised[0]
    names, match = asked.get("type_names"), asked.get("match")
    if names and not set(names) & set(error.type_names):
        return f"raised {error.type}; expected {' or '.join(names)}"
    if match is not None and not re.search(match, error.message):
        return f"raised {error.type} with another message; expected a match for {match!r}, got {error.message.strip()[:160]!r}"
    return ""


def in_reach(recordings: Mapping[str, Recording]) -> Mapping[str, Recording]:
    """The legs that could have raised what was raised; all legs where nothing was.

    A backend that does not train has nothing to say of an exception in training.
    """
    if not any(recording.raised for recording in recordings.values()):
        return recordings
    return {
        leg: recording
        for leg, recording in recordings.items()
        if recording.raised or any(errors_in_reach(other, recording) for other in recordings.values())
    }


def _expectation_findings(recordings: Mapping[str, Recording]) -> Iterator[Finding]:
    recordings = in_reach(recordings)
    all_raised = bool(recordings) and all(recording.raised for recording in recordings.values())
    for leg, recording in recordings.items():
        message = ""
        if recording.expect is not None:
            message = _mismatch(recording) if recording.raised else "raised nothing; expected every backend to reject this"
        elif all_raised:
            error = recording.raised[0]
            message = f"raised {error.type} in stage {error.stage}, unasked: {first_line(error.message)}"
        if message:
            pairing = Pairing(oracle=Oracle.EXPECTATION, observation="raised", left=Side(leg), right=REFERENCE)
            origin = "expect" if recording.expect is not None else "none expected"
            yield pairing.finding(FindingKind.RAISED, message, origin=origin)


# --- comparability ---------------------------------------------------------------------------------------------

_STATE_DIFFERENCE = 1e-3  # relative; rounding of adapted statistics stays below, another random draw is far above


def incomparable(recordings: Mapping[str, Recording]) -> list[Problem]:
    """Why these recordings cannot be compared: other inputs, weights, settings, or case files."""
    problems = []
    legs = list(recordings)
    # Each is compared with the first that did not raise: one that raised may not have got all of its inputs.
    complete = next((leg for leg in legs if not recordings[leg].raised), next(iter(legs), ""))
    for leg in legs:
        if leg != complete:
            pair = tuple(sorted((complete, leg), key=legs.index))
            first, second = (recordings[member] for member in pair)
            problems += [
                Problem(code=code, legs=pair, text=f"{pair[0]} and {pair[1]} {text}", detail=detail)
                for code, text, detail in _differences(first, second)
            ]
    return problems


def _differences(first: Recording, second: Recording) -> Iterator[tuple[ProblemCode, str, str]]:
    """What differs in the conditions of two recordings of a case: its code, a text, and the names."""
    if first.file_digest and second.file_digest and first.file_digest != second.file_digest:
        yield ProblemCode.OTHER_CASE_FILE, f"recorded different versions of {first.file or 'the case file'}", ""
        return
    if names := _differing(first.settings, second.settings):
        words = ", ".join(f"{name} {first.settings.get(name)} and {second.settings.get(name)}" for name in names)
        yield ProblemCode.OTHER_SETTINGS, "ran under different settings", words
    if inputs := [name for name in _differing_digests(first, second) if not name.startswith("weights/")]:
        yield ProblemCode.OTHER_INPUTS, "were fed different inputs", ", ".join(inputs)
    if weights := _differing_weights(first, second):
        yield ProblemCode.OTHER_WEIGHTS, "started from different initial weights", ", ".join(weights)


def _differing(left: Mapping[str, str], right: Mapping[str, str]) -> list[str]:
    return [name for name in sorted({*left, *right}) if left.get(name) != right.get(name)]


def _differing_digests(left: Recording, right: Recording) -> list[str]:
    """What differs where both have a digest: a leg that raised may lack some of its inputs and weights."""
    differing = _differing(left.digests, right.digests)
    if left.raised or right.raised:
        return [name for name in differing if name in left.digests and name in right.digests]
    return differing


def _differing_weights(left: Recording, right: Recording) -> list[str]:
    names = [name.removeprefix("weights/") for name in _differing_digests(left, right) if name.startswith("weights/")]
    for name in sorted({*left.state} & {*right.state}):
        sides = np.array([left.state[name], right.state[name]])
        allowed = _STATE_DIFFERENCE * np.max(sides[:, 1], initial=1e-6, where=np.isfinite(sides[:, 1]))
        if not np.allclose(sides[0], sides[1], rtol=0.0, atol=allowed, equal_nan=True):
            names.append(name)
    return names
