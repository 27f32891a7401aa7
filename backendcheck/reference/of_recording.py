"""The built-in float64 reference values of a recording, for every standard loss and metric that it declares.

A loss or metric is evaluated on the recorded predictions, so that only it is checked. There is no reference value where the
documentation gives none, or where the float32 predictions no longer determine their logits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from backendcheck import reference
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.observations import ReferenceValue, of_output

# In float32, a probability this close to 0 or 1 does not determine its logit. A backend that computes the loss from the logits
# behind an activation, as TensorFlow does, then correctly differs from the loss of the probabilities.
_SATURATED = 1e-3
_OF_PROBABILITIES = ("crossentropy", "cross_entropy", "kl_divergence")
_FULL = ("float32", "float64")
# A gradient takes about 14 evaluations for every class. Above this number of entries it takes seconds.
_LARGEST_GRADIENT = 20_000
_T = TypeVar("_T")


def built_in_reference_values(recording: Recording) -> dict[str, ReferenceValue]:
    """The built-in reference values of a recording by observation; empty if it declares no standard loss or metric."""
    values: dict[str, ReferenceValue] = {}
    for output in recording.losses:
        values |= _of_output(recording, output)
    for name, description in recording.metrics.items():
        values |= _of_metric(recording, name, description)
    return values


@dataclass(frozen=True, kw_only=True, eq=False)
class DeclaredLoss:
    """A standard loss as an output declares it, with the arrays that it was called with. Each of its values is computed once.

    Attributes:
        spec: the loss.
        y_true: labels, (N, …).
        y_pred: predictions, (N, …, C).
        sample_weight, mask: (N,) or (N, T), or None.
        alone: whether the recorded total is this loss and nothing else.
        of_model: whether the predictions are those of a model.
    """

    spec: reference.LossSpec
    y_true: np.ndarray
    y_pred: np.ndarray
    sample_weight: np.ndarray | None = None
    mask: np.ndarray | None = None
    alone: bool = True
    of_model: bool = False
    _values: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def arguments(self) -> tuple[Any, ...]:
        return self.y_true, self.y_pred, self.sample_weight, self.mask

    @property
    def scalar(self) -> reference.LossSpec:
        """The spec with the reduction that training differentiates: without a reduction, the sum."""
        return self.spec if self.spec.reduction is not None else replace(self.spec, reduction="sum")

    @property
    def saturated(self) -> bool:
        """Whether predictions of a model are so close to 0 or 1 that their float32 values do not determine the logits."""
        of_probabilities = any(part in self.spec.name for part in _OF_PROBABILITIES)
        if not self.of_model or self.spec.options.get("from_logits") or not of_probabilities:
            return False
        return _is_saturated(self.y_pred)

    def per_example(self) -> np.ndarray | None:
        """The loss of each example as Keras returns it without a reduction, (N,). A mask does not scale the others up here."""
        return self._once("per_example", self._per_example)

    def loss(self) -> float:
        """The reduced loss."""
        return self._once("loss", lambda: reference.loss(self.scalar, *self.arguments))

    def gradient(self) -> reference.Gradient:
        """The derivative of `loss` by the predictions."""
        return self._once("gradient", lambda: reference.gradient(self.scalar, *self.arguments))

    def _per_example(self) -> np.ndarray | None:
        values = reference.weighted(replace(self.spec, reduction=None), *self.arguments)
        n = len(self.y_pred)
        return None if values.ndim == 0 or len(values) != n else values.reshape(n, -1).mean(axis=1)

    def _once(self, name: str, compute: Callable[[], _T]) -> _T:
        """What `compute` returns or raises; it is called once."""
        if name not in self._values:
            try:
                self._values[name] = compute()
            except Exception as error:
                self._values[name] = error
                raise
        value: _T | Exception = self._values[name]
        if isinstance(value, Exception):
            raise value
        return value


def declared_loss(recording: Recording, output: str, spec: reference.LossSpec | None = None) -> DeclaredLoss | None:
    """The standard loss that `output` declares, or `spec` in its place, on the recorded predictions; None without such a loss."""
    description = recording.losses.get(output, {})
    if spec is None and not description.get("from_keras"):
        return None
    of_model = "y_pred" not in recording.labels
    if of_model:
        y_true, y_pred = _labels_and_predictions(recording, output)
    else:
        y_true, y_pred = recording.labels.get(of_output("y_true", output)), recording.labels["y_pred"]
    if y_true is None or y_pred is None or object in (y_true.dtype, y_pred.dtype) or not y_pred.ndim:
        return None  # a single number has no examples
    if y_pred.dtype == np.float64:
        y_pred = y_pred.astype(recording.settings.get("floatx", "float32"))
    try:
        spec = spec or _spec(recording, description)
    except (reference.NoReference, ValueError):
        return None
    return DeclaredLoss(
        spec=spec, y_true=y_true, y_pred=y_pred,
        sample_weight=recording.labels.get(of_output("sample_weight", output)),
        mask=recording.labels.get(of_output("mask", output)),
        alone=not of_model or bool(description.get("alone")), of_model=of_model,
    )  # fmt: skip


def _of_output(recording: Recording, output: str) -> dict[str, ReferenceValue]:
    declared = declared_loss(recording, output)
    if declared is None or declared.saturated:
        return {}
    values: dict[str, ReferenceValue] = {}
    with np.errstate(all="ignore"):
        _add(values, of_output("per_example_loss", output), lambda: _present(declared.per_example()))
        for name in (of_output("loss", output),) * bool(output) + ("loss",) * declared.alone:
            _add(values, name, lambda: ReferenceValue(value=np.asarray(declared.loss())))
        if declared.alone and declared.y_pred.size <= _LARGEST_GRADIENT:
            _add(values, of_output("gradient/y_pred", output), lambda: _gradient(declared))
    return values


def _of_metric(recording: Recording, name: str, description: Mapping[str, Any]) -> dict[str, ReferenceValue]:
    """The value of a metric in `evaluate`, and in `fit` if its only epoch computes the same: one batch, before it trains."""
    if f"metric/{name}" not in recording.observations:
        return {}
    values: dict[str, ReferenceValue] = {}
    _add(values, f"metric/{name}", lambda: _present(metric_value(recording, description)))
    trained = recording.observations.get(f"train/metric/{name}")
    in_fit = any(variant.path == "fit" and f"metric/{name}" in variant.observations for variant in recording.variants)
    if values and in_fit and trained is not None and len(trained.value) == 1:
        values[f"train/metric/{name}"] = ReferenceValue(value=values[f"metric/{name}"].value[None])
    return values


def metric_value(
    recording: Recording, description: Mapping[str, Any], labels_of: str | None = None, predictions_of: str | None = None
) -> np.ndarray | None:
    """The right value of a metric of Keras, as `Recording.metrics` describes it; None where rounding may decide it.

    With `labels_of` and `predictions_of`, it gets the labels and the predictions of these outputs in place of its own.

    Raises:
        NoReference, ArithmeticError, IndexError, TypeError, ValueError: if labels and predictions have no documented value.
    """
    own = description["output"]
    y_true, _ = _labels_and_predictions(recording, own if labels_of is None else labels_of)
    output = own if predictions_of is None else predictions_of
    _, y_pred = _labels_and_predictions(recording, output)
    predictions = recording.observations.get(of_output("predictions", output))
    if y_true is None or y_pred is None or predictions is None or predictions.precision not in _FULL:
        return None  # two paths of one backend round half precision so differently that a count may change
    of_class = str(description["class"])
    if of_class == "accuracy":
        of_class = reference.accuracy_for(y_true, y_pred)
    if saturates(of_class, description["options"], y_pred):
        return None
    epsilon = float(recording.settings.get("epsilon", reference.DEFAULT_EPSILON))
    spec = reference.MetricSpec(name=of_class, options={**description["options"], "epsilon": epsilon})
    weight = recording.labels.get(of_output("sample_weight", own)) if description["weighted"] else None
    mask = recording.labels.get(of_output("mask", output))
    size = int(description["batch_size"])
    batches = [
        reference.Batch(**{
            key: None if array is None else array[first : first + size]
            for key, array in (("y_true", y_true), ("y_pred", y_pred), ("sample_weight", weight), ("mask", mask))
        })
        for first in range(0, len(y_pred), size)
    ]
    with np.errstate(all="ignore"):
        return np.asarray(reference.metric(spec, batches))


def _labels_and_predictions(recording: Recording, output: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Labels and predictions of an output of a model, or None: as the loss gets them, where `predict` returns something else."""
    y_true = recording.labels.get(of_output("y_true", output))
    y_pred = recording.labels.get(of_output("output", output))
    if y_pred is None and (predictions := recording.observations.get(of_output("predictions", output))) is not None:
        y_pred = predictions.value
    if y_true is None or y_pred is None or object in (y_true.dtype, y_pred.dtype) or y_pred.ndim == 0:
        return None, None
    return y_true, y_pred


def saturates(metric: str, options: Mapping[str, Any], y_pred: np.ndarray) -> bool:
    """Whether the value of a metric of probabilities depends on how backends bound probabilities that are almost 0 or 1."""
    of_probabilities = "Crossentropy" in metric or metric == "KLDivergence"
    return of_probabilities and not options.get("from_logits") and _is_saturated(y_pred)


def _is_saturated(y_pred: np.ndarray) -> bool:
    return bool(np.any(y_pred < _SATURATED) or np.any(y_pred > 1 - _SATURATED))


def _present(value: np.ndarray | None) -> ReferenceValue | None:
    return None if value is None else ReferenceValue(value=value)


def _add(values: dict[str, ReferenceValue], name: str, compute: Callable[[], ReferenceValue | None]) -> None:
    try:
        value = compute()
    except (reference.NoReference, ArithmeticError, IndexError, TypeError, ValueError):
        return  # labels and predictions that do not fit together have no right value
    if value is not None:
        values[name] = value


def _spec(recording: Recording, description: Mapping[str, Any]) -> reference.LossSpec:
    epsilon = float(recording.settings.get("epsilon", reference.DEFAULT_EPSILON))
    return reference.LossSpec(
        name=reference.canonical_name(description["name"]),
        options={**description["options"], "epsilon": epsilon},
        reduction=description["reduction"],
    )


def _gradient(declared: DeclaredLoss) -> ReferenceValue:
    gradient = declared.gradient()
    return ReferenceValue(value=gradient.value, defined=gradient.smooth)
