"""`wrong-everywhere`: all backends compute one value, which is not the reference. `nan-everywhere`: all return NaN."""

from __future__ import annotations

import numpy as np

from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.diagnose.evidence.difference import NEAR
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import flow_key

CODES = ("wrong-everywhere", "nan-everywhere")
_FEWEST = 2  # so many backends must agree
_SHARED = "The cause is in the code that the backends share, not in one of them."
_REMEDY = (
    "No change of backend helps. Look into Keras's own code for this computation, or check the reference, which is all that says "
    "that it is wrong."
)
_REMEDY_OF_NAN = "Check divisions, logarithms and the inputs one step before."


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses a case in which the backends agree on everything, and whose every finding is about all of them."""
    recordings = situation.recordings
    if len(recordings) < _FEWEST or any(recording.raised for recording in recordings.values()) or not situation.findings:
        return []
    if all(finding.oracle is Oracle.REFERENCE for finding in situation.findings):
        return _against_the_reference(situation)
    if all(finding.kind is FindingKind.NON_FINITE and finding.oracle is Oracle.AGREEMENT for finding in situation.findings):
        return _without_numbers(situation)
    return []


def _against_the_reference(situation: Situation) -> list[Diagnosis]:
    legs = [*situation.recordings]
    for observation in {finding.observation for finding in situation.findings}:
        if {finding.left.leg for finding in situation.findings if finding.observation == observation} != {*legs}:
            return []
    difference = next((each for each in situation.differences if each.excess() > NEAR), None)
    if difference is None:
        return []
    text = f"{listed(legs)} give the same {difference.observation}, and it is not that of the reference"
    evidence = {"observation": difference.observation}
    if np.isfinite(difference.excess()):
        evidence["excess"] = f"{difference.excess():.3g}"
    message = f"{text}. {_SHARED} {_REMEDY}"
    return [Diagnosis(code="wrong-everywhere", backends=tuple(legs), message=message, remedy=_REMEDY, evidence=dict(evidence))]


def _without_numbers(situation: Situation) -> list[Diagnosis]:
    """NaN or infinities that every backend returns at the same places."""
    name = min((finding.observation for finding in situation.findings), key=flow_key)
    observations = [recording.observations.get(name) for recording in situation.recordings.values()]
    values = [observation.value for observation in observations if observation is not None and observation.is_float]
    if len(values) < len(observations) or len({value.shape for value in values}) > 1:
        return []
    bad = ~np.isfinite(values[0])
    if not bad.any() or any((~np.isfinite(value) != bad).any() for value in values):
        return []
    first = f", first at {np.argwhere(bad)[0].tolist()}" if bad.ndim else ""
    text = f"{listed([*situation.recordings])} return no number in {name} ({int(bad.sum())} of {bad.size}{first})"
    message = f"{text}. It is not a difference between backends. {_REMEDY_OF_NAN}"
    return [
        Diagnosis(
            code="nan-everywhere", backends=tuple(situation.recordings), message=message, remedy=_REMEDY_OF_NAN,
            evidence={"observation": name},
        )
    ]
