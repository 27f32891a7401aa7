"""Which standard loss a custom loss equals by its values. Hypotheses can then be tested as for a declared loss."""

from __future__ import annotations

import numpy as np

from backendcheck import reference
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.recordings.recording import Recording
from backendcheck.reference.of_recording import DeclaredLoss, declared_loss
from backendcheck.vocabulary.observations import of_output

_CANDIDATES: tuple[tuple[str, dict[str, bool]], ...] = (
    ("sparse_categorical_crossentropy", {"from_logits": True}),
    ("sparse_categorical_crossentropy", {"from_logits": False}),
    ("categorical_crossentropy", {"from_logits": True}),
    ("categorical_crossentropy", {"from_logits": False}),
    ("binary_crossentropy", {"from_logits": True}),
    ("binary_crossentropy", {"from_logits": False}),
    ("mean_squared_error", {}),
    ("mean_absolute_error", {}),
)
_FEWEST = 3  # so many examples must agree before a loss counts as a standard one


def identified_loss(situation: Situation, leg: str, output: str) -> DeclaredLoss | None:
    """The standard loss that gives the per-example losses of another leg, applied to the data of `leg`; None if none does.

    The labels, predictions and weights of that other leg must give at least three of its per-example losses in float32.
    """
    if (leg, output) not in situation.identified:
        situation.identified[leg, output] = _identified_loss(situation, leg, output)
    return situation.identified[leg, output]


def _identified_loss(situation: Situation, leg: str, output: str) -> DeclaredLoss | None:
    for other_leg, recording in situation.recordings.items():
        description = recording.losses.get(output, {})
        if other_leg == leg or description.get("from_keras", True):
            continue
        for name, options in _CANDIDATES:
            spec = reference.LossSpec(name=name, options=dict(options), reduction=description.get("reduction"))
            if _is_loss_of(recording, output, spec):
                return declared_loss(situation.recordings[leg], output, spec)
    return None


def _is_loss_of(recording: Recording, output: str, spec: reference.LossSpec) -> bool:
    observation = recording.observations.get(of_output("per_example_loss", output))
    declared = declared_loss(recording, output, spec)
    if observation is None or declared is None or observation.value.size < _FEWEST or observation.value.dtype.kind not in "iufb":
        return False
    if not np.isfinite(observation.value).all():
        return False
    try:
        with np.errstate(all="ignore"):
            value = declared.per_example()
    except (reference.NoReference, ArithmeticError, IndexError, TypeError, ValueError):
        return False
    return (
        value is not None
        and value.shape == observation.value.shape
        and bool(np.allclose(observation.value, value, rtol=1e-4, atol=1e-6))
    )
