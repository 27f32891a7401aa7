"""The right loss of a model in a situation, and its right weights after one step of plain SGD, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from backendcheck import reference
from backendcheck.explore.model_numbers import (
    RATE,
    class_weight_of,
    has_embedding,
    mask_of,
    model_arrays,
    predictions_of,
    weight_by_class,
    weight_of_output,
)
from backendcheck.explore.numbers import ACTIVATIONS, batches_of
from backendcheck.explore.paths import TRAINING
from backendcheck.explore.situation import Situation
from backendcheck.recordings.recording import Recording
from backendcheck.reference.of_recording import DeclaredLoss, declared_loss
from backendcheck.vocabulary.observations import ReferenceValue

_NOT_DEFINED = (reference.NoReference, ArithmeticError, IndexError, TypeError, ValueError)
_HALF = ("mixed_float16", "mixed_bfloat16")


def model_reference(situation: Situation, recording: Recording) -> dict[str, ReferenceValue]:
    """The reference values of a situation with a model; empty where the target is not of Keras, or nothing is defined."""
    batches = batches_of(situation)
    trains = situation.path in (*TRAINING, "dataset")
    if situation.policy in _HALF or (trains and len(batches) > 1):
        return {}
    try:
        losses = [list(_by_batch(situation, recording, is_second=is_second)) for is_second in _outputs(situation)]
        if any(declared is None for of_output in losses for declared in of_output):
            return {}
        sizes = [end - first for first, end in batches]
        total = sum(declared.loss() * n for of_output in losses for declared, n in zip(of_output, sizes, strict=True) if declared)
        value = total / sum(sizes)
        if not trains:
            return {"loss": ReferenceValue(value=np.asarray(value))}
        weights = {f"train/weight/{name}": weight for name, weight in _weights(situation, losses) if weight is not None}
        return {"train/loss": ReferenceValue(value=np.asarray([value])), **weights}
    except _NOT_DEFINED:
        return {}  # labels and predictions that do not fit together have no right value


def _outputs(situation: Situation) -> tuple[bool, ...]:
    """Of each output with a loss, whether it is the second."""
    return (False,) if situation.outputs in ("one", "one-loss") else (False, True)


def _by_batch(situation: Situation, recording: Recording, *, is_second: bool) -> Iterator[DeclaredLoss | None]:
    arrays, predictions = model_arrays(situation), predictions_of(situation, is_second=is_second)
    labels = arrays["y_true"][::-1] if is_second else arrays["y_true"]
    weight = arrays.get("sample_weight")
    if (class_weight := class_weight_of(situation)) is not None:
        weight = weight_by_class(labels, class_weight)
    mask = mask_of(situation, predictions.shape[:-1]) if situation.mask in ("some", "all") else None
    for first, end in batches_of(situation):
        parts = {"y_true": labels, "y_pred": predictions, "sample_weight": weight, "mask": mask}
        present = {name: array[first:end] for name, array in parts.items() if array is not None}
        yield declared_loss(replace(recording, labels=present), "")


def _weights(situation: Situation, losses: list[list[DeclaredLoss | None]]) -> Iterator[tuple[str, ReferenceValue | None]]:
    """The weights after one step, where the layer is linear."""
    if situation.head in ACTIVATIONS or situation.optimizer != "none":
        return
    arrays = model_arrays(situation)
    for name, of_output, is_second in zip(("first", "second"), losses, (False, True), strict=False):
        weight = weight_of_output(is_second=is_second)
        (declared,) = of_output
        if declared is None:
            return
        gradient = declared.gradient()
        if not gradient.smooth.all():
            continue
        width = gradient.value.shape[-1]
        rows = gradient.value.reshape(-1, width)
        if has_embedding(situation):
            weights = weight * arrays["table"].astype(np.float64)
            np.subtract.at(weights, arrays["x"].reshape(-1), RATE * rows)
            yield f"{name}/embeddings", ReferenceValue(value=weights)
        else:
            fed = arrays["x"].reshape(-1, width).astype(np.float64)
            yield f"{name}/kernel", ReferenceValue(value=weight * np.eye(width) - RATE * (fed.T @ rows))
