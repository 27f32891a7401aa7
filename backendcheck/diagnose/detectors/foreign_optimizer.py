"""`foreign-optimizer`: a backend cannot train with an optimizer that is another backend's own."""

from __future__ import annotations

import re

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, title
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.recordings.recording import Recording
from backendcheck.text.words import listed
from backendcheck.vocabulary.backends import Backend
from backendcheck.vocabulary.findings import FindingKind
from backendcheck.vocabulary.stages import RecordingStage

CODES = ("foreign-optimizer",)
_STAGES = {RecordingStage.CASE, RecordingStage.BUILD, RecordingStage.TRAIN}  # they load, build and use an optimizer
_OF_ONE_BACKEND = re.compile(rf"keras\.src\.backend\.({'|'.join(one.value for one in Backend)})\.optimizers\.[\w.]*\w")


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses legs that raised because of an optimizer from the module of another backend inside Keras.

    Keras has special optimizers for PyTorch, and a model that was saved on PyTorch names them in its file.
    """
    concerned = {leg: foreign for leg, recording in situation.recordings.items() if (foreign := _foreign(recording)) is not None}
    if not concerned or not any(finding.kind == FindingKind.RAISED for finding in situation.findings):
        return []
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


def _foreign(recording: Recording) -> tuple[str, str] | None:
    """The optimizer of another backend because of which this leg raised, and that backend; None otherwise."""
    if not recording.raised or not {error.stage for error in recording.raised} <= _STAGES:
        return None
    # A leg that could not load the model recorded no optimizer; then the message of the error names it.
    for text in (recording.optimizer, *(error.message for error in recording.raised)):
        match = _OF_ONE_BACKEND.search(text)
        if match is not None and match[1] != recording.backend:
            return match[0], match[1]
    return None
