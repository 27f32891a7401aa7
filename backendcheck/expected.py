"""What the built-in float64 reference expects of a recording: for every standard loss that it declares.

A loss is evaluated on the predictions that were recorded, so that what is checked is the loss alone. The reference stays
silent where the documentation gives no right value, and where float32 predictions no longer say which logits they came from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from backendcheck import reference
from backendcheck.observation import Expected
from backendcheck.recording import Recording

# A probability this close to 0 or 1 has lost, in float32, what its logit knew: a backend that takes the loss of the logits
# behind an activation (TensorFlow does) is right to differ from the loss of the probabilities.
_SATURATED = 1e-3
_OF_PROBABILITIES = ("crossentropy", "cross_entropy", "kl_divergence")
# A gradient takes about 14 evaluations for every class; beyond this it costs seconds.
_LARGEST_GRADIENT = 20_000


def expected_values(recording: Recording) -> dict[str, Expected]:
    """The built-in reference values of a recording by observation; empty if it has no standard loss."""
    found: dict[str, Expected] = {}
    for output, description in recording.losses.items():
        if description.get("from_keras"):
            found |= _of_output(recording, f"/{output}" if output else "", description)
    return found


def _of_output(recording: Recording, suffix: str, description: Mapping[str, Any]) -> dict[str, Expected]:
    y_true = recording.labels.get(f"y_true{suffix}")
    y_pred = recording.labels.get("y_pred")
    of_model = y_pred is None
    if of_model and (predictions := recording.observations.get(f"predictions{suffix}")) is not None:
        y_pred = predictions.value
    if y_true is None or y_pred is None or y_true.dtype == object:
        return {}
    if y_pred.dtype == np.float64:
        y_pred = y_pred.astype(recording.settings.get("floatx", "float32"))
    try:
        spec = _spec(recording, description)
    except (reference.NoReference, ValueError):
        return {}
    if of_model and _saturated(spec, y_pred):
        return {}
    arguments = (y_true, y_pred, recording.labels.get(f"sample_weight{suffix}"), recording.labels.get(f"mask{suffix}"))
    alone = not of_model or bool(description.get("alone"))  # nothing but this loss is in the total
    found: dict[str, Expected] = {}
    with np.errstate(all="ignore"):
        _add(found, f"per_example_loss{suffix}", lambda: _per_example(spec, len(y_pred), arguments))
        scalar = spec if spec.reduction is not None else replace(spec, reduction="sum")
        for name in (f"loss{suffix}",) * bool(suffix) + ("loss",) * alone:
            _add(found, name, lambda: Expected(value=np.asarray(reference.loss(scalar, *arguments))))
        if alone and y_pred.size <= _LARGEST_GRADIENT:
            _add(found, f"gradient/y_pred{suffix}", lambda: _gradient(scalar, arguments))
    return found


def _add(found: dict[str, Expected], name: str, value: Callable[[], Expected | None]) -> None:
    try:
        expected = value()
    except (reference.NoReference, ArithmeticError, IndexError, TypeError, ValueError):
        return  # labels and predictions that do not fit together have no right value either
    if expected is not None:
        found[name] = expected


def _spec(recording: Recording, description: Mapping[str, Any]) -> reference.LossSpec:
    epsilon = float(recording.settings.get("epsilon", reference.DEFAULT_EPSILON))
    return reference.LossSpec(
        name=reference.canonical_name(description["name"]),
        options={**description["options"], "epsilon": epsilon},
        reduction=description["reduction"],
    )


def _saturated(spec: reference.LossSpec, y_pred: np.ndarray) -> bool:
    if spec.options.get("from_logits") or not any(part in spec.name for part in _OF_PROBABILITIES):
        return False
    return bool(np.any(y_pred < _SATURATED) or np.any(y_pred > 1 - _SATURATED))


def _per_example(spec: reference.LossSpec, n: int, arguments: tuple[Any, ...]) -> Expected | None:
    # As Keras returns it without a reduction: a mask then does not scale up what it leaves.
    values = reference.weighted(replace(spec, reduction=None), *arguments)
    if values.ndim == 0 or len(values) != n:
        return None
    return Expected(value=values.reshape(n, -1).mean(axis=1))


def _gradient(spec: reference.LossSpec, arguments: tuple[Any, ...]) -> Expected:
    found = reference.gradient(spec, *arguments)
    return Expected(value=found.value, defined=found.smooth)
