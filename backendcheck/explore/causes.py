"""What one cause shows under several signatures: the same refusal on another path, with another optimizer, weights or outputs."""

from __future__ import annotations

import re
from typing import Any

from backendcheck.explore.judging import Sighting
from backendcheck.text.words import first_line
from backendcheck.vocabulary.findings import FindingKind

_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")
_SAYS_NOTHING = "Graph execution error"


def cause_of(sighting: Sighting) -> tuple[Any, ...] | None:
    """What two sightings with the same cause have in common; None where nothing proves that they have.

    A backend that refuses the same labels with the same words refuses them for the same reason. Numbers in those words are left
    out, because the shapes of another path are in them.
    """
    finding, situation, signature = sighting.finding, sighting.situation, sighting.signature
    if finding is None or finding.kind is not FindingKind.RAISED:
        return None
    raised = {leg: recording.raised[0] for leg, recording in sighting.recordings.items() if recording.raised}
    words = {leg: _NUMBER.sub("#", first_line(each.message)) for leg, each in raised.items()}
    if not all(words.values()) or any(each.startswith(_SAYS_NOTHING) for each in words.values()):
        return None
    return (
        signature.oracle, signature.legs, signature.target, situation.label_values, situation.predictions,
        tuple((leg, each.type, words[leg]) for leg, each in raised.items()),
    )  # fmt: skip
