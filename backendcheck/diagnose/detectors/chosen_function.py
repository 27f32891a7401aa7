"""`chosen-function`: legs made different functions of one string, such as ``"accuracy"``, whose function depends on shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, claim
from backendcheck.diagnose.evidence.difference import Difference
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Quantity

CODES = ("chosen-function",)
_OF_METRICS = (Quantity.METRIC, Quantity.TRAIN_METRIC)
_OF_LOSSES = (Quantity.PER_EXAMPLE_LOSS, Quantity.LOSS)


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses the first loss or metric that differs between legs whose Keras chose different functions for it."""
    for difference in situation.differing(*_OF_METRICS, *_OF_LOSSES):
        if difference.oracle is not Oracle.AGREEMENT:
            continue
        sides = (difference.suspects[0], difference.reference_side)
        own, other = (_chosen(difference, situation.recordings[leg]) for leg in sides)
        if own is None or other is None or own[1] == other[1]:
            continue
        text = f"{difference.subject} is {own[1]} in place of {other[1]}"
        remedy = f"Keras chose them for {own[0]!r} by shapes. Name the function instead, or give labels of another shape."
        return [claim(difference, CODES[0], text, remedy, declared=own[0], chosen=own[1], elsewhere=other[1])]
    return []


def _chosen(difference: Difference, recording: Recording) -> tuple[str, str] | None:
    """The string that was declared, and the function that Keras chose for it; None if it had no choice."""
    of_metric = difference.quantity in _OF_METRICS
    descriptions: Mapping[str, Mapping[str, Any]] = recording.metrics if of_metric else recording.losses
    description = descriptions.get(difference.name.part if of_metric else difference.output, {})
    return (description["declared"], description["class" if of_metric else "name"]) if "declared" in description else None
