"""`refused-everywhere`: every backend raises and the case does not ask for it, so there is no difference to explain."""

from __future__ import annotations

from backendcheck.compare.findings import first_errors
from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import FindingKind

CODES = ("refused-everywhere",)
_REMEDY = "Correct what the case asks for. If every backend is right to refuse it, say expect=Raises()."


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses a case that every backend refuses, unless something else was found in it as well."""
    recordings = situation.recordings
    unasked = all(recording.raised and recording.expect is None for recording in recordings.values())
    # A number through another path, such as the losses by name, is what backendcheck computes itself.
    if not (recordings and unasked and all(finding.kind is FindingKind.RAISED for finding in situation.findings)):
        return []
    errors = first_errors(recordings)
    words = "; ".join(f"{words} on {listed(legs)}" if len(errors) > 1 else words for words, legs in errors.items())
    stages = list(dict.fromkeys(recording.raised[0].stage for recording in recordings.values()))
    text = f"Every backend refuses this, in stage {listed(stages)}: {words}. It is not a difference between backends."
    evidence = {"stage": ", ".join(stages)}
    return [Diagnosis(code=CODES[0], backends=tuple(recordings), message=f"{text} {_REMEDY}", remedy=_REMEDY, evidence=evidence)]
