"""F scores, the coefficient of determination, and correlations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backendcheck.reference.metrics.batches import Batch, weights_of_entries
from backendcheck.reference.metrics.decisions import above, largest
from backendcheck.reference.metrics.thresholds import divide
from backendcheck.reference.shapes import normalized_axes, require_finite, require_same_shape
from backendcheck.reference.spec import Array, NoReference, Options

_SMALLEST_COUNT = 0.05  # times 1e-6 it is near epsilon, which Keras adds to each count


def f_beta(where: str, batches: Sequence[Batch], options: Options) -> Array:
    """`FBetaScore` and `F1Score`: the weighted harmonic mean of precision and recall, for each class or averaged.

    Without a threshold the largest score of an example is 1 and the others 0. A score is 0 where precision and recall are.
    """
    beta_squared = float(options.get("beta", 1.0)) ** 2
    tp = fp = fn = np.zeros(())
    for batch in batches:
        y_true, y_pred = _two_axes(where, batch)
        if ((y_true != 0) & (y_true != 1)).any():
            message = f"{where}: a label is not 0 or 1; expected one-hot or multi-hot labels. Others are not documented."
            raise NoReference(message)
        weights = _weights_of_examples(where, batch, y_pred.shape)
        positive = _positive(where, y_pred, options["threshold"])
        tp, fp, fn = (
            total + (weights * quadrant).sum(axis=0)
            for total, quadrant in ((tp, positive * y_true), (fp, positive * (1 - y_true)), (fn, (1 - positive) * y_true))
        )
    support = tp + fn
    if (tp + fp > 0).any() and (tp + fp + fn)[tp + fp + fn > 0].min() < _SMALLEST_COUNT:
        message = f"{where}: tiny weights; expected counts of at least {_SMALLEST_COUNT}, because Keras adds epsilon to them."
        raise NoReference(message)
    average = options["average"]
    if average == "micro":
        tp, fp, fn = tp.sum(), fp.sum(), fn.sum()
    precision, recall = divide(tp, tp + fp), divide(tp, tp + fn)
    scores = divide((1 + beta_squared) * precision * recall, np.asarray(beta_squared * precision + recall))
    if average == "weighted":
        return np.asarray(divide(np.asarray((scores * support).sum()), np.asarray(support.sum())))
    return np.asarray(scores.mean()) if average == "macro" else np.asarray(scores)


def r2(where: str, batches: Sequence[Batch], options: Options) -> Array:
    """`R2Score`: 1 minus the squared residuals over the squared deviations from the mean, over all batches, for each output.

    Adjusted for `num_regressors` p with N examples: ``1 - (1 - R2) (N - 1) / (N - p - 1)``.
    """
    labels, predictions, weights = [], [], []
    for batch in batches:
        y_true, y_pred = _two_axes(where, batch)
        require_finite(where, y_true)
        labels.append(y_true)
        predictions.append(y_pred)
        weights.append(weights_of_entries(where, batch, y_pred.shape))
    y, p, w = np.concatenate(labels), np.concatenate(predictions), np.concatenate(weights)
    mean = (w * y).sum(axis=0) / w.sum(axis=0) if w.sum(axis=0).all() else np.full(y.shape[1], np.nan)
    total, residual = (w * (y - mean) ** 2).sum(axis=0), (w * (y - p) ** 2).sum(axis=0)
    if not (total > 1e-6 * (w * y**2).sum(axis=0)).all():  # also where it is NaN
        message = f"{where}: labels do not vary; expected labels that differ, because R2 divides by their variance."
        raise NoReference(message)
    scores = 1 - residual / total
    aggregation = options["class_aggregation"]
    if aggregation == "uniform_average":
        scores = np.asarray(scores.mean())
    elif aggregation == "variance_weighted_average":
        scores = np.asarray((scores * total).sum() / total.sum())
    n, n_regressors = len(y), int(options["num_regressors"])
    if not n_regressors:
        return np.asarray(scores)
    if n_regressors >= n - 1:
        message = f"{where}: too many regressors; expected fewer than {n - 1}, got {n_regressors}. Keras warns and ignores them."
        raise NoReference(message)
    return np.asarray(1 - (1 - scores) * (n - 1) / (n - n_regressors - 1))


def pearson(where: str, batch: Batch, options: Options) -> Array:
    """`PearsonCorrelation`: covariance over the product of the standard deviations, along the axis, for each example."""
    y, p, axes = _centered(where, batch, options)
    deviations = np.sqrt((y**2).mean(axis=axes) * (p**2).mean(axis=axes))
    if (deviations == 0).any():
        message = f"{where}: values do not vary; expected values that differ along the axis, because of a division."
        raise NoReference(message)
    return np.asarray((y * p).mean(axis=axes) / deviations)


def concordance(where: str, batch: Batch, options: Options) -> Array:
    """`ConcordanceCorrelation` (Lin, 1989): ``2 cov / (var(y) + var(p) + (mean(y) - mean(p))^2)`` along the axis."""
    y_true, y_pred = batch.arrays(where)
    y, p, axes = _centered(where, batch, options)
    shift = y_true.mean(axis=axes) - y_pred.mean(axis=axes)
    denominator = (y**2).mean(axis=axes) + (p**2).mean(axis=axes) + shift**2
    if (denominator < 1e-3).any():  # noqa: PLR2004 - Keras adds epsilon, 1e-7
        message = f"{where}: values hardly vary; expected a denominator far above epsilon, because Keras adds epsilon to it."
        raise NoReference(message)
    return np.asarray(2 * (y * p).mean(axis=axes) / denominator)


def cosine(where: str, batch: Batch, options: Options) -> Array:
    """`CosineSimilarity`: the product of the unit vectors along the axis. A zero vector has similarity 0."""
    y_true, y_pred = batch.arrays(where)
    require_same_shape(where, y_true, y_pred)
    axes = normalized_axes(where, options["axis"], y_pred.ndim)
    lengths = np.sqrt((y_true**2).sum(axis=axes) * (y_pred**2).sum(axis=axes))
    return divide((y_true * y_pred).sum(axis=axes), lengths)


def _centered(where: str, batch: Batch, options: Options) -> tuple[Array, Array, tuple[int, ...]]:
    y_true, y_pred = batch.arrays(where)
    require_same_shape(where, y_true, y_pred)
    require_finite(where, y_true)
    axes = normalized_axes(where, options["axis"], y_pred.ndim)
    return y_true - y_true.mean(axis=axes, keepdims=True), y_pred - y_pred.mean(axis=axes, keepdims=True), axes


def _positive(where: str, y_pred: Array, threshold: float | None) -> Array:
    if threshold is not None:
        return above(where, y_pred, threshold).astype(np.float64)
    return np.eye(y_pred.shape[-1])[largest(where, "predictions", y_pred)]


def _weights_of_examples(where: str, batch: Batch, shape: tuple[int, ...]) -> Array:
    if np.size(batch.sample_weight) > shape[0] and batch.sample_weight is not None:
        message = f"{where}: a weight for each entry; expected one for each example, (N,) or (N, 1). Others are not documented."
        raise NoReference(message)
    return weights_of_entries(where, batch, shape)


def _two_axes(where: str, batch: Batch) -> tuple[Array, Array]:
    y_true, y_pred = batch.arrays(where)
    require_same_shape(where, y_true, y_pred)
    if y_pred.ndim != 2:  # noqa: PLR2004
        message = f"{where}: wrong rank; expected labels and predictions (N, outputs), got {y_pred.shape}."
        raise NoReference(message)
    return y_true, y_pred
