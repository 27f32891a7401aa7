"""The values of a declared loss: for each example, weighted, reduced, and its gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from backendcheck.reference.catalog import DEFINITIONS, Definition
from backendcheck.reference.finite_difference import N_EVALUATIONS, Gradient, partial_derivatives
from backendcheck.reference.reduction import Weighting, weighting
from backendcheck.reference.shapes import as_float64, normalized_axes, to_same_rank
from backendcheck.reference.spec import Array, LossSpec, NoReference, Options, with_defaults

# Entries of y_pred, summed over all evaluations, that a gradient may take: 10 s to a minute.
_MOST_ENTRIES = 10**9

# In the config of every loss, and without effect on its value.
_WITHOUT_EFFECT = {"name", "fn", "reduction", "dtype"}


def covered() -> tuple[str, ...]:
    """The names of all losses that have a reference, sorted."""
    return tuple(sorted(DEFINITIONS))


def unreduced(spec: LossSpec, y_true: Any, y_pred: Any) -> Array:
    """The loss of each example before weights, masks and reduction: what ``call`` of a Keras loss returns.

    Args:
        spec: the loss.
        y_true: labels as the loss takes them, (N, …).
        y_pred: predictions, (N, …, C), probabilities or logits as the spec says.

    Returns:
        float64, the shape of y_pred without its class axis: (N,) or (N, T); () where the loss takes the batch together.

    Raises:
        NoReference: if the loss, an option or a label has no documented value. The message says which.
    """
    question = _question(spec, y_true, y_pred)
    return question.values(question.predictions)


def weighted(spec: LossSpec, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Array:
    """The loss of each example after weights and masks and before the reduction.

    Under the two means, a mask also multiplies the remaining losses by ``total / counted`` (see `reduction.weighting`). The mean
    over all entries is then the loss. Arguments, shape and errors are as for `unreduced` and `loss`.
    """
    question = _question(spec, y_true, y_pred)
    values = question.values(question.predictions)
    return question.weighting(values.shape, sample_weight, mask).apply(values)


def loss(spec: LossSpec, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> float:
    """The reduced loss.

    Args:
        spec: the loss.
        y_true: labels, as for `unreduced`.
        y_pred: predictions, as for `unreduced`.
        sample_weight: for each example (N,), or for each timestep (N, T).
        mask: booleans, the Keras mask of y_pred: True where an entry counts.

    Raises:
        NoReference: as for `unreduced`; if the weights do not fit; or if the reduction is None and leaves several values. Use the
            reduction "sum" for the number that training then differentiates.
    """
    question = _question(spec, y_true, y_pred)
    values = question.values(question.predictions)
    return question.scalar_weighting(values.shape, sample_weight, mask).reduce(values)


def gradient(spec: LossSpec, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Gradient:
    """The derivative of `loss` by y_pred, in the shape of y_pred, by finite differences.

    The loss is computed 14 times for each class. Where examples depend on each other (`circle`, or `dice` and `tversky` over the
    batch) it is computed 14 times for each entry of y_pred, and for `ctc` for each step and class. Entries that a mask or a zero
    weight leaves out have gradient 0. Arguments and errors are as for `loss`.

    Raises:
        NoReference: also if this would take minutes.
    """
    question = _question(spec, y_true, y_pred)
    predictions = question.predictions
    with np.errstate(all="ignore"):
        values = question.values(predictions)
    rule = question.scalar_weighting(values.shape, sample_weight, mask)

    n_entries = N_EVALUATIONS * math.prod(predictions.shape[axis] for axis in question.axes) * predictions.size
    if n_entries > _MOST_ENTRIES:
        message = (
            f"{spec.name}: y_pred is too large for a gradient by finite differences; expected at most "
            f"{_MOST_ENTRIES:.0e} entries over all evaluations, got {n_entries:.0e} for shape {predictions.shape}. "
            "Use fewer examples, steps or classes."
        )
        raise NoReference(message)

    if values.ndim == predictions.ndim - len(question.axes):
        single = partial_derivatives(question.values, predictions, question.axes)
        coefficient = np.expand_dims(rule.coefficient, question.axes)
        counts = np.broadcast_to(coefficient != 0, single.value.shape)
        with np.errstate(invalid="ignore"):
            value = np.where(counts, coefficient * single.value, 0.0)
        result = Gradient(value, single.smooth | ~counts)
    else:
        result = partial_derivatives(
            lambda x: np.asarray(rule.reduce(question.values(x))), predictions, tuple(range(predictions.ndim))
        )
    shape = np.shape(y_pred)
    return Gradient(result.value.reshape(shape), result.smooth.reshape(shape))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A loss with checked labels and float64 predictions of a fitting rank."""

    spec: LossSpec
    definition: Definition
    options: Options
    labels: Any
    predictions: Array
    axes: tuple[int, ...]

    def values(self, predictions: Array) -> Array:
        return np.asarray(self.definition.formula(self.labels, predictions, self.options), dtype=np.float64)

    def weighting(self, shape: tuple[int, ...], sample_weight: Any, mask: Any) -> Weighting:
        counted = self.definition.counted(self.labels, self.options) if self.definition.counted else None
        return weighting(self.spec.name, shape, self.spec.reduction, sample_weight, (mask, counted))

    def scalar_weighting(self, shape: tuple[int, ...], sample_weight: Any, mask: Any) -> Weighting:
        if self.spec.reduction is None and shape != ():
            message = (
                f"{self.spec.name}: reduction None leaves no single loss; expected a reduction to one number, "
                f"got values of shape {shape}. Compare `weighted`, or ask with reduction sum."
            )
            raise NoReference(message)
        return self.weighting(shape, sample_weight, mask)


def _question(spec: LossSpec, y_true: Any, y_pred: Any) -> _Question:
    definition = DEFINITIONS.get(spec.name)
    if definition is None:
        message = (
            f"{spec.name}: no reference for this loss; expected one of {', '.join(covered())}. "
            "Give the case a `reference` of its own."
        )
        raise NoReference(message)
    options = with_defaults(spec.name, spec.options, definition.options, _WITHOUT_EFFECT)
    labels, predictions = to_same_rank(as_float64(y_true, f"{spec.name}: y_true"), as_float64(y_pred, f"{spec.name}: y_pred"))
    axes = _axes(spec.name, definition, options, predictions.ndim)
    if "axis" in options:
        options["axis"] = axes if definition.axes == "axes" else axes[0]
    checked = definition.prepare(spec.name, labels, predictions, options)
    return _Question(spec=spec, definition=definition, options=options, labels=checked, predictions=predictions, axes=axes)


def _axes(where: str, definition: Definition, options: Options, n_dims: int) -> tuple[int, ...]:
    if definition.axes in ("axis", "axes"):
        axes = normalized_axes(where, options["axis"], n_dims)
        if definition.axes == "axis" and (len(axes) != 1 or options["axis"] is None):
            message = f"{where}: the loss takes one axis; expected an int, got {options['axis']!r}. Correct the option."
            raise NoReference(message)
        return axes
    first = {"batch": 0, "sequence": min(1, n_dims), "last": n_dims - 1}[definition.axes]
    return tuple(range(max(first, 0), n_dims))
