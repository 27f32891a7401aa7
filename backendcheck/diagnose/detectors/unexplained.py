"""`unexplained`: no detector fits, so the shape of the difference is described."""

from __future__ import annotations

import numpy as np

from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.diagnose.evidence.difference import NEAR
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.text.words import listed
from backendcheck.vocabulary.observations import Quantity

CODES = ("unexplained",)
_REDUCE = "Reduce it to a script with 'backendcheck repro'; in a model, find the layer it begins in with 'backendcheck locate'."


def detect(situation: Situation) -> list[Diagnosis]:
    """Describes a difference that no detector explains: how many elements, which examples, which classes."""
    if not situation.differences:
        return _structural(situation)
    # The first difference that is more than noise.
    difference = min(
        situation.differences,
        key=lambda difference: (not difference.is_numeric, difference.excess() <= NEAR, situation.differences.index(difference)),
    )
    if not difference.is_numeric:
        text = (
            f"{difference.observation} differs in shape or type: {difference.left.shape} on {difference.side}, "
            f"{difference.right.shape} on {difference.reference_side}"
        )
        evidence: dict[str, object] = {"observation": difference.observation}
    else:
        with np.errstate(all="ignore"):
            left, right = difference.left.astype(np.float64), difference.right.astype(np.float64)
            finite = np.isfinite(left) & np.isfinite(right)
            scale = difference.allowance.scale(np.where(finite, np.maximum(np.abs(left), np.abs(right)), 0.0))
            bound = difference.allowance.tolerance.atol + difference.allowance.tolerance.rtol * scale
            apart = np.where(finite, np.abs(left - right) > bound, ~((left == right) | (np.isnan(left) & np.isnan(right))))
        evidence = {"observation": difference.observation, "elements": f"{int(apart.sum())} of {apart.size}"}
        words = [f"{int(apart.sum())} of {apart.size} elements of {difference.observation}"]
        of_weights = difference.quantity in (Quantity.GRADIENT, Quantity.TRAIN_WEIGHT)
        if apart.ndim and (not of_weights or difference.name.of_predictions):
            words.append(_axis_words(apart, 0, "examples", evidence))
        if apart.ndim > 1:
            words.append(_axis_words(apart, apart.ndim - 1, "classes", evidence))
        what = f"{'; '.join(words)} differ" if apart.size > 1 else f"{difference.observation} differs"
        text = f"{what} between {difference.side} and {difference.reference_side}"
    return [
        Diagnosis(
            code="unexplained",
            backends=difference.suspects,
            message=f"No cause that backendcheck knows fits. {text}.",
            remedy=_REDUCE,
            evidence=evidence,
        )
    ]


def _structural(situation: Situation) -> list[Diagnosis]:
    """Describes what some legs raised, or what is missing there."""
    throwers = [leg for leg, recording in situation.recordings.items() if recording.raised]
    first = situation.findings[0]
    if throwers:
        error = situation.recordings[throwers[0]].raised[0]
        text = f"{listed(throwers)} {'raises' if len(throwers) == 1 else 'raise'} {error.type} in stage {error.stage}"
    else:
        text = f"{first.observation}: {first.message}"
    return [
        Diagnosis(
            code="unexplained",
            backends=tuple(throwers) or tuple(leg for leg in first.sides if leg in situation.recordings),
            message=f"No cause that backendcheck knows fits. {text}.",
            remedy=_REDUCE,
            evidence={"observation": first.observation, "kind": first.kind},
        )
    ]


_SINGULAR = {"examples": "example", "classes": "class"}


def _axis_words(apart: np.ndarray, axis: int, noun: str, evidence: dict[str, object]) -> str:
    along = np.flatnonzero(apart.any(axis=tuple(n for n in range(apart.ndim) if n != axis)))
    n = apart.shape[axis]
    evidence[noun] = along[:12].tolist()
    if len(along) == n:
        return f"all {n} {noun}" if n > 1 else f"the only {_SINGULAR[noun]}"
    return f"{len(along)} of {n} {noun} ({', '.join(map(str, along[:8]))}{' …' if len(along) > 8 else ''})"  # noqa: PLR2004
