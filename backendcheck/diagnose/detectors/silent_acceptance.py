"""`silent-acceptance`: some backends reject the labels, others go on. `never-rejected`: no backend rejects invalid labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from backendcheck.compare.findings import what_came_instead
from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.diagnose.evidence.implied import class_by_loss, implied_class
from backendcheck.diagnose.evidence.permutation import naming
from backendcheck.diagnose.evidence.refusals import refusal_of
from backendcheck.diagnose.evidence.situation import Situation, allowance_of
from backendcheck.recordings.recording import Raised, Recording
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import Observation, of_output
from backendcheck.vocabulary.stages import RecordingStage

CODES = ("silent-acceptance", "never-rejected")
_CHECK_THE_DATA = (
    "Check the data before training: a backend that accepts them trains on something else than you meant."
)
_MOST_FATES, _MOST_IN_MESSAGE = 8, 3  # labels listed in the evidence and in the message

# Whole words: `class_weight` is an argument, not a class. A metric's own `k` may be out of range as well.
_REJECTION = re.compile(
    r"\b(labels?|targets?|class|classes|(?<!index k )out of (bounds|range)|indices|indexing|valid range)\b", re.IGNORECASE
)
_CALL = re.compile(r"\n\s*Arguments received by .*", re.DOTALL)  # Keras repeats the arguments of the call in its errors
_BEFORE_LABELS = frozenset({RecordingStage.BUILD, RecordingStage.FORWARD})


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses legs that accept labels which another leg or the case rejects, and tells what they do with the labels.

    An error counts as a rejection if the case expects one, or if its message is about labels and ranges. A backend that fails
    on valid input is something else.
    """
    findings, recordings = situation.findings, situation.recordings
    throwers = [leg for leg, recording in recordings.items() if recording.raised]
    accepting = [leg for leg in recordings if leg not in throwers]
    is_rejection_expected = any(recording.expect is not None for recording in recordings.values())
    if not accepting or not any(
        finding.kind == FindingKind.RAISED and finding.oracle in (Oracle.AGREEMENT, Oracle.EXPECTATION) for finding in findings
    ):
        return []
    if not is_rejection_expected and not any(_is_rejection(recordings[leg].raised[0]) for leg in throwers):
        return []
    evidence = {f"{leg} returned": what_came_instead(recordings[leg]) for leg in accepting}
    sentences: dict[str, list[str]] = {}
    for leg in accepting:
        fates = list(fates_of_labels(situation, leg))
        if fates:
            evidence[f"{leg} labels"] = "; ".join(fates[:_MOST_FATES])
            sentences.setdefault("; ".join(fates[:_MOST_IN_MESSAGE]), []).append(leg)
        elif (fate := _fate(recordings[leg])) is not None:
            evidence[f"{leg} examples"] = fate
    fates_text = "".join(f" On {listed(legs)} {text}." for text, legs in sentences.items())
    diagnosis = Diagnosis(
        code="silent-acceptance" if throwers else "never-rejected",
        backends=tuple(accepting),
        message=(
            f"{_who_rejects(throwers)}, {listed(accepting)} "
            f"{'goes' if len(accepting) == 1 else 'go'} on with a number.{fates_text} {_CHECK_THE_DATA}"
        ),
        remedy=_CHECK_THE_DATA,
        evidence=evidence,
    )
    return [diagnosis]


def _is_rejection(error: Raised) -> bool:
    if error.stage in _BEFORE_LABELS or refusal_of(error) is not None:
        return False  # a type, a shape or an argument that this backend lacks says nothing about the labels
    return _REJECTION.search(_CALL.sub("", error.message)) is not None


def _who_rejects(throwers: Sequence[str]) -> str:
    if not throwers:
        return "No backend rejects this"
    return f"{listed(throwers)} {'rejects' if len(throwers) == 1 else 'reject'} this"


# --- what became of a label ------------------------------------------------------------------------------------


def fates_of_labels(situation: Situation, leg: str) -> Iterator[str]:
    """What the leg did with each invalid label: "label 3 of example 2 is counted as class 0 (cat)"."""
    recording = situation.recordings[leg]
    for output in recording.losses or {"": {}}:
        labels, loss_name = recording.labels.get(of_output("y_true", output)), of_output("per_example_loss", output)
        losses = recording.observations.get(loss_name)
        if labels is None or losses is None or labels.dtype.kind not in "iufb" or not _are_losses(losses):
            continue
        if not labels.ndim or not len(labels) == labels.size == len(losses.value):
            continue
        declared = situation.declared.get((leg, output))
        gradient = recording.observations.get(of_output("gradient/y_pred", output))
        n_classes = _n_classes(recording, output, gradient)
        flat = labels.reshape(-1).astype(np.float64)
        counted = None
        if declared is not None:
            counted = class_by_loss(declared, losses.value, allowance_of(recording, loss_name))
        name = naming(recording.class_names, output, n_classes)
        whose = f" of {output}" if output else ""
        for at in np.flatnonzero(_is_invalid(flat, n_classes, recording.losses.get(output, {}))):
            rows = _row(gradient, int(at), len(flat))
            k = -1 if counted is None else int(counted[at])
            yield f"label {flat[at]:g}{whose} of example {at} {_fate_of_label(float(losses.value[at]), rows, k, name)}"


def _row(gradient: Observation | None, example: int, n: int) -> np.ndarray | None:
    if gradient is None or not gradient.value.ndim or len(gradient.value) != n or gradient.value.dtype.kind not in "iuf":
        return None
    row: np.ndarray = gradient.value[example].astype(np.float64)
    return row if row.size else None


def _are_losses(observation: Observation) -> bool:
    return observation.value.ndim == 1 and observation.value.dtype.kind in "iuf"


def _n_classes(recording: Recording, output: str, gradient: Observation | None) -> int:
    """How many classes the predictions of an output have; 1 for a single score, 0 if not known."""
    observation = recording.observations.get(of_output("predictions", output))
    scores = recording.labels.get(
        "y_pred", observation.value if observation is not None else gradient.value if gradient is not None else None
    )
    return int(scores.shape[-1]) if scores is not None and scores.ndim > 1 else 0


def _is_invalid(labels: np.ndarray, n_classes: int, description: Mapping[str, Any]) -> np.ndarray:
    """Labels that are not finite, and, for losses that take classes, labels out of range or with a fraction."""
    name, ignored = str(description.get("name", "")), description.get("options", {}).get("ignore_class")
    bad = ~np.isfinite(labels)
    with np.errstate(invalid="ignore"):
        if name == "sparse_categorical_crossentropy" and n_classes > 0:
            bad |= (labels < 0) | (labels >= n_classes) | (labels != np.trunc(labels))
        elif name.startswith("binary"):
            bad |= (labels < 0) | (labels > 1)
        wrong: np.ndarray = bad if ignored is None else bad & (labels != ignored)
        return wrong


def _fate_of_label(loss: float, gradient: np.ndarray | None, counted: int, name: Callable[[int], str]) -> str:
    """What its loss and its row of the gradient tell about one label; `counted` is the class with this loss, or -1."""
    silent = gradient is not None and not gradient.any()
    if not np.isfinite(loss):
        return f"gives a loss of {loss:g}"
    if loss == 0 and silent:
        return "is dropped: no loss, no gradient"
    if counted >= 0:
        known = f" ({name(counted)})" if name(counted) != str(counted) else ""
        return f"is counted as class {counted}{known}, with a loss of {loss:.5g}"
    loss_words = "no loss" if loss == 0 else f"a negative loss of {loss:.5g}" if loss < 0 else f"a loss of {loss:.5g}"
    if silent:
        return f"gives {loss_words} and no gradient"
    if gradient is not None and not np.isfinite(gradient).all():
        return f"gives {loss_words} and a gradient that is not finite"
    towards = -1 if gradient is None or gradient.size < 2 else int(implied_class(gradient.ravel()))  # noqa: PLR2004
    return (
        f"gives {loss_words}, and is trained towards class {towards} ({name(towards)})" if towards >= 0 else f"gives {loss_words}"
    )


def _fate(recording: Recording) -> str | None:
    """Examples with no loss, no gradient, a NaN or a negative loss, by their positions; None without such examples."""
    losses = recording.observations.get("per_example_loss")
    gradient = recording.observations.get("gradient/y_pred")
    if losses is None or not _are_losses(losses):
        return None
    fates = []
    values = losses.value.astype(np.float64)
    for fate, places in (
        ("loss NaN", np.isnan(values)), ("negative loss", values < 0), ("no loss", values == 0),
        ("no gradient", _without_gradient(gradient, len(values))),
    ):  # fmt: skip
        if places.any() and not places.all():
            fates.append(f"{fate} at {', '.join(map(str, np.flatnonzero(places)[:8]))}")
    return "; ".join(fates) or None


def _without_gradient(gradient: object, n: int) -> np.ndarray:
    value = getattr(gradient, "value", None)
    if value is None or value.ndim < 1 or len(value) != n or not value.size or value.dtype == object:
        return np.zeros(n, bool)
    without: np.ndarray = np.all(value.reshape(n, -1) == 0, axis=1)
    return without
