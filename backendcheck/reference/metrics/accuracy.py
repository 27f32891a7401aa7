"""The accuracies of ``keras.metrics``: for every label, whether the prediction is right, as 1 or 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backendcheck.reference.metrics import decisions
from backendcheck.reference.metrics.batches import Batch
from backendcheck.reference.shapes import as_float64, integer_labels, require_same_shape
from backendcheck.reference.spec import Array, NoReference, Options


def equal(where: str, batch: Batch, options: Options) -> Array:
    """`Accuracy`: how often predictions equal labels."""
    del options
    y_true, y_pred = batch.arrays(where)
    require_same_shape(where, y_true, y_pred)
    return np.asarray(decisions.equal(where, y_true, y_pred), dtype=np.float64)


def binary(where: str, batch: Batch, options: Options) -> Array:
    """`BinaryAccuracy`: how often a prediction is above the threshold where the label is 1, and not above where it is 0."""
    y_true, y_pred = batch.arrays(where)
    require_same_shape(where, y_true, y_pred)
    return np.asarray(decisions.above(where, y_pred, options["threshold"]) == y_true, dtype=np.float64)


def categorical(where: str, batch: Batch, options: Options) -> Array:
    """`CategoricalAccuracy`: how often the largest score is that of the labeled class. The label is the largest of its row."""
    del options
    y_true, y_pred = as_float64(batch.y_true, f"{where}: y_true"), as_float64(batch.y_pred, f"{where}: y_pred")
    require_same_shape(where, y_true, y_pred)
    labels, classes = decisions.largest(where, "labels", y_true), decisions.largest(where, "predictions", y_pred)
    return np.asarray(labels == classes, dtype=np.float64)


def sparse_categorical(where: str, batch: Batch, options: Options) -> Array:
    """`SparseCategoricalAccuracy`: how often the largest score is that of the integer label. That of no class is never right."""
    del options
    labels, y_pred = _labels_and_scores(where, batch)
    return np.asarray(labels == decisions.largest(where, "predictions", y_pred), dtype=np.float64)


def top_k(where: str, batch: Batch, options: Options) -> Array:
    """`TopKCategoricalAccuracy`: how often the labeled class is among the k largest scores."""
    y_true, y_pred = as_float64(batch.y_true, f"{where}: y_true"), as_float64(batch.y_pred, f"{where}: y_pred")
    require_same_shape(where, y_true, y_pred)
    return _in_top_k(where, decisions.largest(where, "labels", y_true), y_pred, options["k"])


def sparse_top_k(where: str, batch: Batch, options: Options) -> Array:
    """`SparseTopKCategoricalAccuracy`: how often the label is among the k largest scores, or among the first k of sorted ids.

    A label that names no class is never among them, as the example of ``keras.ops.in_top_k`` has it.
    """
    if options["from_sorted_ids"]:
        y_true, ids = as_float64(batch.y_true, f"{where}: y_true"), as_float64(batch.y_pred, f"{where}: y_pred")
        y_true = y_true[..., 0] if y_true.ndim == ids.ndim else y_true
        if y_true.shape != ids.shape[:-1]:
            raise NoReference(_unfit(where, y_true.shape, ids.shape))
        return np.asarray((y_true[..., None] == ids[..., : options["k"]]).any(axis=-1), dtype=np.float64)
    labels, y_pred = _labels_and_scores(where, batch)
    return _in_top_k(where, labels, y_pred, options["k"])


def _in_top_k(where: str, labels: NDArray[np.int64], y_pred: Array, k: int) -> Array:
    n_classes = y_pred.shape[-1]
    is_class = (labels >= 0) & (labels < n_classes)
    chosen = np.take_along_axis(decisions.among_largest(where, y_pred, k), np.clip(labels, 0, n_classes - 1)[..., None], axis=-1)
    return np.asarray(chosen[..., 0] & is_class, dtype=np.float64)


def _labels_and_scores(where: str, batch: Batch) -> tuple[NDArray[np.int64], Array]:
    """Integer labels (N, …) and scores (N, …, C)."""
    y_true, y_pred = as_float64(batch.y_true, f"{where}: y_true"), as_float64(batch.y_pred, f"{where}: y_pred")
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    if y_true.shape != y_pred.shape[:-1] or y_pred.ndim < 2:  # noqa: PLR2004
        raise NoReference(_unfit(where, y_true.shape, y_pred.shape))
    return integer_labels(where, y_true), y_pred


def _unfit(where: str, labels: tuple[int, ...], predictions: tuple[int, ...]) -> str:
    return (
        f"{where}: labels and predictions do not fit; expected labels (N, …) for predictions (N, …, C), "
        f"got {labels} and {predictions}. Reshape the labels."
    )
