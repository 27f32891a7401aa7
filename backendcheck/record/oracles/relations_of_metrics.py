"""The order oracle on metrics of exclusive classes: one-hot rows give the value that integer labels give.

Rows of weight 0 and classes that no label names fill the arrays up, so that cases of different sizes share their shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from backendcheck import reference
from backendcheck.record.observe.arrays import as_observation, to_tensor
from backendcheck.record.observe.trace import Trace
from backendcheck.record.oracles.relation_classes import integers_of
from backendcheck.record.oracles.relation_forms import NotApplicable
from backendcheck.record.oracles.relations import declared_of
from backendcheck.reference import Batch, LossSpec, MetricSpec
from backendcheck.reference.of_recording import DeclaredLoss
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import of_output
from backendcheck.vocabulary.relations import path_of

# By class of Keras: the class for the other form of the labels.
_OTHER = {
    "SparseCategoricalAccuracy": "CategoricalAccuracy",
    "SparseTopKCategoricalAccuracy": "TopKCategoricalAccuracy",
    "SparseCategoricalCrossentropy": "CategoricalCrossentropy",
}
_OTHER |= {one_hot: sparse for sparse, one_hot in _OTHER.items()}
_OPTIONS = ("k", "from_logits")
_FAR_BELOW = 100.0
_SAME = 1e-6
_ONE_FORM = "the metric has one form of labels only"


def observe_metric_relations(trace: Trace) -> None:
    """Compute each metric of exclusive classes from the other form of its labels."""
    for name, description in trace.metrics.items():
        recorded = trace.observations.get(f"metric/{name}")
        if recorded is None:
            continue
        try:
            form, declared, words = _in_other_form(description, trace)
            if not (_has_value(form, recorded.value) or _has_value(declared, recorded.value)):
                raise NotApplicable("called by itself on what is recorded, it has another value")
        except NotApplicable as reason:
            if str(reason) != _ONE_FORM:
                trace.notes.append(f"the metric {name} is not compared on another form of its labels: {reason}")
            continue
        trace.notes.append(f"the metric {name} is compared on another form of its labels: {words}")
        with trace.variant(Oracle.ORDER, path_of(words, name)) as variant:
            variant.add(f"metric/{name}", _value(form), like=recorded)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Form:
    """A metric of Keras by class and options, with what it is called on: labels, predictions (N, …, C) and weights (N, …)."""

    of_class: str
    options: Mapping[str, Any]
    y_true: np.ndarray
    y_pred: np.ndarray
    weights: np.ndarray


def _in_other_form(description: Mapping[str, Any], trace: Trace) -> tuple[_Form, _Form, str]:
    """The metric on the other form of the labels, on the declared form, and the words for the other form.

    Raises:
        NotApplicable: if the metric has one form only, or the reference does not prove that both have the same value.
    """
    output, options = str(description["output"]), description["options"]
    predictions = trace.observations.get(of_output("predictions", output))
    arrays = declared_of(trace, output, LossSpec(name="sparse_categorical_crossentropy"))
    if arrays is None or predictions is None:
        raise NotApplicable(_ONE_FORM)
    of_class = str(description["class"])
    if of_class == "accuracy":
        of_class = reference.accuracy_for(arrays.y_true, arrays.y_pred)
    plain = options.get("axis", -1) == -1 and not options.get("label_smoothing") and options.get("ignore_class") is None
    if of_class not in _OTHER or not plain:
        raise NotApplicable(_ONE_FORM)
    if predictions.precision not in ("float32", "float64") or not np.isfinite(arrays.y_pred).all():
        raise NotApplicable("the predictions are not finite numbers in float32")
    options = {name: options[name] for name in _OPTIONS if name in options}
    integers = integers_of(arrays)
    weights = _weights(description, arrays, integers.shape)
    n_classes = arrays.y_pred.shape[-1]
    one_hot = (integers[..., None] == np.arange(n_classes)).astype(np.float32)
    to_one_hot = of_class.startswith("Sparse")
    both = [
        _right_value(of_class, options, integers if to_one_hot else one_hot, arrays.y_pred, weights),
        _right_value(_OTHER[of_class], options, one_hot if to_one_hot else integers, arrays.y_pred, weights),
    ]
    if not abs(both[0] - both[1]) <= _SAME:
        raise NotApplicable("the reference gives the other form another value")
    declared = _Form(
        of_class=of_class, options=options, y_true=integers if to_one_hot else one_hot, y_pred=arrays.y_pred, weights=weights
    )
    form = replace(declared, of_class=_OTHER[of_class], y_true=one_hot if to_one_hot else integers)
    return _filled_up(form), declared, "one-hot labels" if to_one_hot else "integer labels"


def _has_value(form: _Form, recorded: np.ndarray) -> bool:
    """Whether the metric by hand has the recorded value. It has not if it raises."""
    try:
        value = _value(form)
    except Exception:  # noqa: BLE001 - the variant records what the other form raises
        return False
    return value.shape == recorded.shape and np.allclose(value, recorded, rtol=_SAME, atol=_SAME)


def _weights(description: Mapping[str, Any], arrays: DeclaredLoss, shape: tuple[int, ...]) -> np.ndarray:
    """What each value counts, in the shape of the values: its sample weight, if the metric takes it, and 0 under a mask."""
    weights = np.ones(shape, np.float32)
    if description["weighted"] and arrays.sample_weight is not None:
        if arrays.sample_weight.shape not in (shape, (*shape, 1)):
            raise NotApplicable("the weights have another shape than the values")
        weights = arrays.sample_weight.reshape(shape).astype(np.float32)
    if arrays.mask is not None:
        if arrays.mask.shape != shape:
            raise NotApplicable("the mask has another shape than the values")
        weights = weights * arrays.mask.astype(np.float32)
    if not weights.sum() > 0:
        raise NotApplicable("nothing counts")
    return weights


def _right_value(of_class: str, options: Mapping[str, Any], y_true: np.ndarray, y_pred: np.ndarray, weights: np.ndarray) -> float:
    spec = MetricSpec(name=of_class, options={**options, "epsilon": keras.config.epsilon()})
    try:
        with np.errstate(all="ignore"):
            return float(reference.metric(spec, [Batch(y_true=y_true, y_pred=y_pred, sample_weight=weights)]))
    except (reference.NoReference, ArithmeticError, IndexError, TypeError, ValueError) as error:
        raise NotApplicable("the metric has no documented value here") from error


def _filled_up(form: _Form) -> _Form:
    """The form with rows of weight 0 up to a power of 2, and classes without labels up to a multiple of 4."""
    n, n_classes = len(form.y_pred), form.y_pred.shape[-1]
    rows = np.append(np.arange(n), np.zeros(max(16, 1 << (n - 1).bit_length()) - n, int))
    y_true, y_pred, weights = form.y_true[rows], form.y_pred[rows], form.weights[rows]
    weights[n:] = 0.0
    n_new = -n_classes % 4
    is_probability = form.of_class.endswith("Crossentropy") and not form.options.get("from_logits")
    unlikely = 0.0 if is_probability else float(y_pred.min()) - _FAR_BELOW
    y_pred = np.concatenate([y_pred, np.full((*y_pred.shape[:-1], n_new), unlikely, y_pred.dtype)], axis=-1)
    if not form.of_class.startswith("Sparse"):
        y_true = np.concatenate([y_true, np.zeros((*y_true.shape[:-1], n_new), y_true.dtype)], axis=-1)
    return replace(form, y_true=y_true, y_pred=y_pred, weights=weights)


def _value(form: _Form) -> np.ndarray:
    metric = getattr(keras.metrics, form.of_class)(**form.options)
    metric.update_state(to_tensor(form.y_true), to_tensor(form.y_pred), sample_weight=to_tensor(form.weights))
    return as_observation(metric.result(), where="metric").value
