"""Metrics of counts at thresholds: positives and negatives, precision and recall, the best rate at a value of another, and AUC.

Sources: the docstrings in ``keras.metrics``; for the area under the precision-recall curve Davis and Goadrich, "The relationship
between Precision-Recall and ROC curves" (ICML 2006), section 4: between two thresholds, true and false positives change
linearly, and so precision does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backendcheck.reference.metrics.batches import Batch, weights_of_entries
from backendcheck.reference.metrics.decisions import above, among_largest, near
from backendcheck.reference.shapes import as_float64, require_between, require_same_shape
from backendcheck.reference.spec import Array, NoReference, Options


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Weighted counts at each threshold, (T,), or (T, labels) for several labels."""

    tp: Array
    fp: Array
    tn: Array
    fn: Array


def count_of(kind: str) -> Any:
    """The metric that is one of the counts: ``"tp"``, ``"fp"``, ``"tn"`` or ``"fn"``; () for one threshold, else (T,)."""

    def compute(where: str, batches: Sequence[Batch], options: Options) -> Array:
        thresholds = _thresholds(options["thresholds"], 0.5)
        return _single(getattr(counts(where, batches, thresholds), kind), thresholds)

    return compute


def precision(where: str, batches: Sequence[Batch], options: Options) -> Array:
    """`Precision`: true positives among the predicted positives."""
    c, thresholds = _of_options(where, batches, options)
    return _single(divide(c.tp, c.tp + c.fp), thresholds)


def recall(where: str, batches: Sequence[Batch], options: Options) -> Array:
    """`Recall`: true positives among the positives."""
    c, thresholds = _of_options(where, batches, options)
    return _single(divide(c.tp, c.tp + c.fn), thresholds)


def best_at(searched: str, bounded: str) -> Any:
    """The metric that is the largest of one rate where another is at least a value; 0 if it never is.

    Args:
        searched: the rate: ``"sensitivity"`` (which is recall), ``"specificity"`` or ``"precision"``.
        bounded: the rate that has to reach the option of its own name; ``"recall"`` is the sensitivity.
    """

    def compute(where: str, batches: Sequence[Batch], options: Options) -> Array:
        n = options["num_thresholds"]
        thresholds = [0.5] if n == 1 else [index / (n - 1) for index in range(n)]
        c = counts(where, batches, thresholds, class_id=options["class_id"])
        rates = {
            "sensitivity": divide(c.tp, c.tp + c.fn),
            "recall": divide(c.tp, c.tp + c.fn),
            "specificity": divide(c.tn, c.tn + c.fp),
            "precision": divide(c.tp, c.tp + c.fp),
        }
        value, bound = rates[bounded], float(options[bounded])
        # A rate such as 0.8 or 1/3 has another last digit in float32, so at equality both answers are right.
        if bound not in (0.0, 0.5, 1.0) and near(value, bound).any():
            message = f"{where}: a {bounded} equals {bound} up to rounding; whether it reaches that depends on the precision."
            raise NoReference(message)
        return np.asarray(rates[searched][value >= bound].max(initial=0.0))

    return compute


def auc(where: str, batches: Sequence[Batch], options: Options) -> Array:
    """`AUC`: the area under the ROC or precision-recall curve, discretized at the thresholds."""
    if options["thresholds"] is None:
        n = options["num_thresholds"]
        inner = [index / (n - 1) for index in range(1, n - 1)]
    else:
        inner = sorted(options["thresholds"])
    epsilon = options["epsilon"]
    thresholds = [-epsilon, *inner, 1 + epsilon]
    logits = bool(options["from_logits"])
    label_weights = None if options["label_weights"] is None else as_float64(options["label_weights"], f"{where}: label_weights")
    by_label = bool(options["multi_label"])
    c = counts(where, batches, thresholds, by_label=by_label, logits=logits, label_weights=None if by_label else label_weights)
    if min(side.min(initial=0.0) for side in (c.tp, c.fp, c.tn, c.fn)) < 0:
        message = f"{where}: negative sample weights make counts below 0, of which no curve is defined."
        raise NoReference(message)
    areas = _area(where, c, str(options["curve"]), str(options["summation_method"]))
    if not by_label:
        return areas
    if label_weights is None:
        return np.asarray(areas.mean())
    return np.asarray(divide(np.asarray((areas * label_weights).sum()), np.asarray(label_weights.sum())))


def counts(
    where: str,
    batches: Sequence[Batch],
    thresholds: Sequence[float],
    *,
    top_k: int | None = None,
    class_id: int | None = None,
    by_label: bool = False,
    logits: bool = False,
    label_weights: Array | None = None,
) -> Counts:
    """The weighted counts over all batches.

    Labels are true unless they are 0, as documented ("will be cast to bool"). A prediction is positive if it is above the
    threshold and, under `top_k`, among the k largest of its example.

    Raises:
        NoReference: if shapes do not fit, predictions are not in [0, 1], or scores tie at place k.
    """
    total: list[Array] = []
    for batch in batches:
        y_true, y_pred = batch.arrays(where)
        require_same_shape(where, y_true, y_pred)
        y_pred = _sigmoid(y_pred) if logits else y_pred
        if top_k is None:
            require_between(where, "prediction", y_pred, 0.0, 1.0)
        weights = weights_of_entries(where, batch, y_pred.shape)
        if label_weights is not None:
            weights = weights * label_weights
        allowed = np.ones(y_pred.shape, dtype=bool) if top_k is None else among_largest(where, y_pred, top_k)
        if class_id is not None:
            y_true, y_pred, weights = (array[..., class_id] for array in (y_true, y_pred, weights))
            allowed = allowed[..., class_id]
        positives = y_true != 0
        rows = []
        for threshold in thresholds:
            predicted = allowed & _above(where, y_pred, threshold)
            quadrants = (positives & predicted, ~positives & predicted, ~positives & ~predicted, positives & ~predicted)
            rows.append([np.where(quadrant, weights, 0.0).sum(axis=0 if by_label else None) for quadrant in quadrants])
        total.append(np.array(rows))
    summed = np.sum(total, axis=0)
    return Counts(summed[:, 0], summed[:, 1], summed[:, 2], summed[:, 3])


def divide(numerator: Array, denominator: Array) -> Array:
    """The ratio; 0 where the denominator is 0, as Keras documents for its rates."""
    return np.divide(numerator, denominator, out=np.zeros(np.shape(denominator)), where=denominator != 0)


def _of_options(where: str, batches: Sequence[Batch], options: Options) -> tuple[Counts, list[float]]:
    top_k = options["top_k"]
    thresholds = _thresholds(options["thresholds"], 0.5 if top_k is None else -math.inf)
    return counts(where, batches, thresholds, top_k=top_k, class_id=options["class_id"]), thresholds


def _thresholds(value: Any, default: float) -> list[float]:
    if value is None:
        return [default]
    return [float(entry) for entry in value] if isinstance(value, list | tuple) else [float(value)]


def _single(values: Array, thresholds: Sequence[float]) -> Array:
    return np.asarray(values[0]) if len(thresholds) == 1 else values


def _above(where: str, y_pred: Array, threshold: float) -> Any:
    """`above`, where 0 and 1 are exact: each prediction is above a threshold below 0, and none is above 1."""
    if threshold < 0 or threshold >= 1:
        return np.full(y_pred.shape, threshold < 0)
    return y_pred > 0 if threshold == 0 else above(where, y_pred, threshold)


def _sigmoid(z: Array) -> Array:
    return np.where(z >= 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z))))


def _area(where: str, c: Counts, curve: str, summation: str) -> Array:
    """The area under a curve, () or for each label (labels,)."""
    if curve == "PR" and summation == "interpolation":
        return _interpolated_precision(c)
    recalls = divide(c.tp, c.tp + c.fn)
    if curve == "ROC":
        x, y = divide(c.fp, c.fp + c.tn), recalls
    elif curve == "PR":
        x, y = recalls, divide(c.tp, c.tp + c.fp)
    else:
        message = f"{where}: curve {curve} has no reference; expected ROC or PR. Its definition is in the code of Keras only."
        raise NoReference(message)
    left, right = y[:-1], y[1:]
    heights = {"interpolation": (left + right) / 2, "minoring": np.minimum(left, right), "majoring": np.maximum(left, right)}
    return np.asarray(((x[:-1] - x[1:]) * heights[summation]).sum(axis=0))


def _interpolated_precision(c: Counts) -> Array:
    """The area under precision over recall, with true and false positives linear between two thresholds.

    With P predicted positives of which TP are true, TP = intercept + slope * P on an interval, and precision is TP / P. Its
    integral over TP is ``slope * (dTP + intercept * log(P_A / P_B))``. Where P_B is 0, precision is constant on the interval.
    """
    predicted = c.tp + c.fp
    d_tp, d_predicted = c.tp[:-1] - c.tp[1:], predicted[:-1] - predicted[1:]
    slope = divide(d_tp, np.maximum(d_predicted, 0))
    intercept = c.tp[1:] - slope * predicted[1:]
    both = (predicted[:-1] > 0) & (predicted[1:] > 0)
    ratio = np.divide(predicted[:-1], predicted[1:], out=np.ones_like(slope), where=both)
    area = slope * (d_tp + intercept * np.log(ratio))
    return np.asarray(divide(area, c.tp[1:] + c.fn[1:]).sum(axis=0))
