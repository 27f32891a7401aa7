"""What the built-in float64 reference expects of a recording: for every standard loss that it declares.

A loss is evaluated on the predictions that were recorded, so that what is checked is the loss alone. The reference stays
silent where the documentation gives no right value, and where float32 predictions no longer say which logits they came from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backendcheck import reference
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.observations import ReferenceValue

# A probability this close to 0 or 1 has lost, in float32, what its logit knew: a backend that takes the loss of the logits
# behind an activation (TensorFlow does) is right to differ from the loss of the probabilities.
_SATURATED = 1e-3
_OF_PROBABILITIES = ("crossentropy", "cross_entropy", "kl_divergence")
# A gradient takes about 14 evaluations for every class; beyond this it costs seconds.
_LARGEST_GRADIENT = 20_000


def built_in_reference_values(recording: Recording) -> dict[str, ReferenceValue]:
    """The built-in reference values of a recording by observation; empty if it has no standard loss."""
    found: dict[str, ReferenceValue] = {}
    for output in recording.losses:
        found |= _of_output(recording, output)
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeclaredLoss:
    """A standard loss as one output declares it, with everything it was called with.

    `alone`: the recorded total is this loss and nothing else. `of_model`: the predictions are those of a model.
    """

    spec: reference.LossSpec
    y_true: np.ndarray
    y_pred: np.ndarray
    sample_weight: np.ndarray | None = None
    mask: np.ndarray | None = None
    alone: bool = True
    of_model: bool = False

    @property
    def arguments(self) -> tuple[Any, ...]:
        return self.y_true, self.y_pred, self.sample_weight, self.mask

    @property
    def scalar(self) -> reference.LossSpec:
        """With the reduction that training differentiates: without one, the sum."""
        return self.spec if self.spec.reduction is not None else replace(self.spec, reduction="sum")

    @property
    def saturated(self) -> bool:
        """Whether predictions of a model are too close to 0 or 1 for their float32 to say which logits they came from."""
        if not self.of_model or self.spec.options.get("from_logits") or not any(p in self.spec.name for p in _OF_PROBABILITIES):
            return False
        return bool(np.any(self.y_pred < _SATURATED) or np.any(self.y_pred > 1 - _SATURATED))

    def per_example(self) -> np.ndarray | None:
        """As Keras returns it without a reduction, (N,): a mask then does not scale up what it leaves."""
        values = reference.weighted(replace(self.spec, reduction=None), *self.arguments)
        n = len(self.y_pred)
        return None if values.ndim == 0 or len(values) != n else values.reshape(n, -1).mean(axis=1)

    def loss(self) -> float:
        """The reduced loss."""
        return reference.loss(self.scalar, *self.arguments)

    def gradient(self) -> reference.Gradient:
        """The derivative of `loss` by the predictions."""
        return reference.gradient(self.scalar, *self.arguments)


def declared_loss(recording: Recording, output: str, spec: reference.LossSpec | None = None) -> DeclaredLoss | None:
    """The standard loss that `output` declares, or `spec` instead of it, on the predictions recorded; None if there is none."""
    description = recording.losses.get(output, {})
    if spec is None and not description.get("from_keras"):
        return None
    suffix = f"/{output}" if output else ""
    y_true = recording.labels.get(f"y_true{suffix}")
    y_pred = recording.labels.get("y_pred")
    of_model = y_pred is None
    if of_model and f"output{suffix}" in recording.labels:  # what the loss saw, where `predict` returns something else
        y_pred = recording.labels[f"output{suffix}"]
    elif of_model and (predictions := recording.observations.get(f"predictions{suffix}")) is not None:
        y_pred = predictions.value
    if y_true is None or y_pred is None or object in (y_true.dtype, y_pred.dtype):
        return None
    if y_pred.dtype == np.float64:
        y_pred = y_pred.astype(recording.settings.get("floatx", "float32"))
    try:
        spec = spec or _spec(recording, description)
    except (reference.NoReference, ValueError):
        return None
    return DeclaredLoss(
        spec=spec, y_true=y_true, y_pred=y_pred,
        sample_weight=recording.labels.get(f"sample_weight{suffix}"), mask=recording.labels.get(f"mask{suffix}"),
        alone=not of_model or bool(description.get("alone")), of_model=of_model,
    )  # fmt: skip


def _of_output(recording: Recording, output: str) -> dict[str, ReferenceValue]:
    declared = declared_loss(recording, output)
    if declared is None or declared.saturated:
        return {}
    suffix = f"/{output}" if output else ""
    found: dict[str, ReferenceValue] = {}
    with np.errstate(all="ignore"):
        _add(found, f"per_example_loss{suffix}", lambda: _present(declared.per_example()))
        for name in (f"loss{suffix}",) * bool(suffix) + ("loss",) * declared.alone:
            _add(found, name, lambda: ReferenceValue(value=np.asarray(declared.loss())))
        if declared.alone and declared.y_pred.size <= _LARGEST_GRADIENT:
            _add(found, f"gradient/y_pred{suffix}", lambda: _gradient(declared))
    return found


def _present(value: np.ndarray | None) -> ReferenceValue | None:
    return None if value is None else ReferenceValue(value=value)


def _add(found: dict[str, ReferenceValue], name: str, value: Callable[[], ReferenceValue | None]) -> None:
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


def _gradient(declared: DeclaredLoss) -> ReferenceValue:
    found = declared.gradient()
    return ReferenceValue(value=found.value, defined=found.smooth)
