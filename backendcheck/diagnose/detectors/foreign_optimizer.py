"""`foreign-optimizer`: a backend cannot train with an optimizer that is another backend's own, or names its own in a file."""

from __future__ import annotations

import re

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, title
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.recordings.recording import Recording
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import FindingKind
from backendcheck.vocabulary.leg_names import backend_in
from backendcheck.vocabulary.stages import RecordingStage

CODES = ("foreign-optimizer",)
_STAGES = {RecordingStage.CASE, RecordingStage.BUILD, RecordingStage.TRAIN}  # they load, build and use an optimizer
_OF_ONE_BACKEND = re.compile(r"keras\.src\.backend\.(\w+)\.optimizers\.[\w.]*\w")


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses legs that raised because of an optimizer from the module of another backend inside Keras.

    Keras has special optimizers for PyTorch, and a model that was saved on PyTorch names them in its file.
    """
    concerned = {leg: foreign for leg, recording in situation.recordings.items() if (foreign := _foreign(recording)) is not None}
    if not concerned or not any(finding.kind == FindingKind.RAISED for finding in situation.findings):
        return _named_in_a_value(situation)
    legs = tuple(concerned)
    optimizer, owner = concerned[legs[0]]
    name = optimizer.rpartition(".")[2].removeprefix(f"{owner}_")
    text = f"{listed(legs)} cannot train with the optimizer of the model, which is {owner}'s own {name}"
    remedy = f"Compile the model again where it is loaded: model.compile(optimizer={name.lower()!r}, …)."
    message = (
        f"{text} ({optimizer}). A model that was saved on {owner} has it in its file; the weights are not "
        f"affected. {remedy}"
    )
    evidence = {"optimizer": optimizer, "belongs to": owner, "raised": situation.recordings[legs[0]].raised[0].type}
    headline = f"{title(CODES[0])}: {text}"
    return [Diagnosis(code=CODES[0], backends=legs, message=message, evidence=evidence, headline=headline, remedy=remedy)]


def _named_in_a_value(situation: Situation) -> list[Diagnosis]:
    """A text that names a backend's own optimizer on that backend, and `keras.optimizers` on the others: a file for it alone."""
    for difference in situation.differences:
        if difference.left.dtype != object or difference.left.shape != difference.right.shape:
            continue
        for side in (difference, *difference.orientations[1:]):
            own, other = (" ".join(map(str, values.ravel())) for values in (side.left, side.right))
            match = _OF_ONE_BACKEND.search(own)
            if match is None or match[1] not in side.suspects or _OF_ONE_BACKEND.search(other) or "keras" not in other:
                continue
            text = f"{side.subject} names {match[1]}'s own optimizer, {match[0]}, where {side.reference_side} has {other}"
            remedy = "Compile again where such a file is loaded: other backends cannot use that class."
            evidence = {"observation": side.observation, "optimizer": match[0], "belongs to": match[1]}
            return [Diagnosis(
                code=CODES[0], backends=side.suspects, message=f"{text}. {remedy}", remedy=remedy, evidence=evidence,
                headline=f"{title(CODES[0])}: {text}",
            )]  # fmt: skip
    return []


def _foreign(recording: Recording) -> tuple[str, str] | None:
    """The optimizer of another backend because of which this leg raised, and that backend; None otherwise."""
    if not recording.raised or not {error.stage for error in recording.raised} <= _STAGES:
        return None
    # A leg that could not load the model recorded no optimizer; then the message of the error names it.
    for text in (recording.optimizer, *(error.message for error in recording.raised)):
        match = _OF_ONE_BACKEND.search(text)
        if match is not None and match[1] != backend_in(recording.backend):
            return match[0], match[1]
    return None
