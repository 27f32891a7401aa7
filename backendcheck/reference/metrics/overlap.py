"""Intersection over union, from a confusion matrix over all batches.

Source: the docstrings in ``keras.metrics``: ``iou = tp / (tp + fp + fn)`` for each class; the mean over the target classes. A
class that is neither among the labels nor among the predictions has no IoU and is left out of the mean: a comment in the code of
Keras says so, not its documentation.

Where the documentation is ambiguous, there is no reference: for labels or predictions that are not a class, and for weights that
are not whole under the default dtype int, which Keras truncates with a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backendcheck.reference.metrics.batches import Batch, weights_of_entries
from backendcheck.reference.metrics.decisions import above, largest
from backendcheck.reference.shapes import as_float64, integer_labels, require_classes
from backendcheck.reference.spec import Array, NoReference, Options


def iou(*, one_hot_labels: bool = False, mean: bool = False) -> Any:
    """The metric `IoU` or one of its kin.

    Args:
        one_hot_labels: labels are one-hot whatever the options say (`OneHotIoU`, `OneHotMeanIoU`).
        mean: the target classes are all classes.
    """

    def compute(where: str, batches: Sequence[Batch], options: Options) -> Array:
        n_classes = int(options["num_classes"])
        matrix = np.zeros((n_classes, n_classes))
        for batch in batches:
            sparse = not one_hot_labels and options["sparse_y_true"]
            labels = _classes(where, "labels", batch.y_true, sparse=sparse, axis=options["axis"])
            classes = _classes(where, "predictions", batch.y_pred, sparse=options["sparse_y_pred"], axis=options["axis"])
            matrix += _confusion(where, batch, labels, classes, n_classes, options)
        return _mean_of(matrix, range(n_classes) if mean else options["target_class_ids"])

    return compute


def binary_iou(where: str, batches: Sequence[Batch], options: Options) -> Array:
    """`BinaryIoU`: the classes are 0 below the threshold and 1 above it."""
    matrix = np.zeros((2, 2))
    for batch in batches:
        y_pred = as_float64(batch.y_pred, f"{where}: y_pred")
        labels = _classes(where, "labels", batch.y_true, sparse=True, axis=-1)
        classes = above(where, y_pred, options["threshold"]).astype(np.int64)
        matrix += _confusion(where, batch, labels, classes, 2, {"ignore_class": None, **options})
    return _mean_of(matrix, options["target_class_ids"])


def _classes(where: str, what: str, values: Any, *, sparse: bool, axis: int) -> NDArray[np.int64]:
    array = as_float64(values, f"{where}: {what}")
    return integer_labels(where, array) if sparse else largest(where, what, array, axis)


def _confusion(
    where: str, batch: Batch, labels: NDArray[np.int64], classes: NDArray[np.int64], n_classes: int, options: Options
) -> Array:
    """Weights by label (rows) and predicted class (columns), (C, C)."""
    if labels.size != classes.size:
        message = (
            f"{where}: labels and predictions do not fit; expected one predicted class for each label, "
            f"got {labels.shape} and {classes.shape}. Reshape the labels."
        )
        raise NoReference(message)
    weights = weights_of_entries(where, batch, labels.shape).ravel()
    if (weights != np.floor(weights)).any() and "float" not in str(options.get("dtype") or "int"):
        message = (
            f"{where}: weights that are not whole; expected whole numbers, because the counts are of type int. "
            'Keras truncates the weights, with a warning. Give dtype="float32".'
        )
        raise NoReference(message)
    labels, classes = labels.ravel(), classes.ravel()
    kept = np.ones(labels.shape, dtype=bool) if options["ignore_class"] is None else labels != options["ignore_class"]
    require_classes(where, labels[kept], n_classes)
    require_classes(where, classes[kept], n_classes)
    matrix = np.zeros((n_classes, n_classes))
    np.add.at(matrix, (labels[kept], classes[kept]), weights[kept])
    return matrix


def _mean_of(matrix: Array, targets: Any) -> Array:
    intersection = np.diag(matrix)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - intersection
    chosen = [index for index in targets if union[index] > 0]
    return np.asarray(np.mean([intersection[index] / union[index] for index in chosen]) if chosen else 0.0)
