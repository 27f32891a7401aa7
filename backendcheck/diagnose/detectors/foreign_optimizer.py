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
_STAGES = {RecordingStage.CASE, RecordingStage.BUILD, RecordingStage.TRAIN}  # where an optimizer is loaded, made and used
_OF_ONE_BACKEND = re.compile(rf"keras\.src\.backend\.({'|'.join(one.value for one in Backend)})\.optimizers\.[\w.]*\w")


def detect(situation: Situation) -> list[Diagnosis]:
    """Claims it where legs raised over an optimizer whose module is that of another backend inside Keras.

    Keras has optimizers of its own for PyTorch, and a model that was saved there names them in its file.
    """
    concerned = {leg: foreign for leg, recording in situation.recordings.items() if (foreign := _foreign(recording)) is not None}
    if not concerned or not any(finding.kind == FindingKind.RAISED for finding in situation.findings):
        return []
    legs = tuple(concerned)
    optimizer, owner = concerned[legs[0]]
    name = optimizer.rpartition(".")[2].removeprefix(f"{owner}_")
    text = f"{listed(legs)} cannot train with the optimizer of the model, which is {owner}'s own {name}"
    remedy = f"Compile the model again where it is loaded: model.compile(optimizer={name.lower()!r}, …)."
    message = f"{text} ({optimizer}). That is what a file has that was saved on {owner}; its weights are not concerned. {remedy}"
    evidence = {"optimizer": optimizer, "belongs to": owner, "raised": situation.recordings[legs[0]].raised[0].type}
    headline = f"{title(CODES[0])}: {text}"
    return [Diagnosis(code=CODES[0], backends=legs, message=message, evidence=evidence, headline=headline, remedy=remedy)]


def _foreign(recording: Recording) -> tuple[str, str] | None:
    """The optimizer of another backend that this leg raised over, and that backend."""
    if not recording.raised or not {error.stage for error in recording.raised} <= _STAGES:
        return None
    # A leg that could not even load it has no optimizer; the message says then what was missing.
    for text in (recording.optimizer, *(error.message for error in recording.raised)):
        match = _OF_ONE_BACKEND.search(text)
        if match is not None and match[1] != recording.backend:
            return match[0], match[1]
    return None
