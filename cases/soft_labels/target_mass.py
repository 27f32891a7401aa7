"""Rows of labels that do not sum to 1, with categorical cross-entropy.

What goes wrong in practice: multi-hot rows, rows of zeros for "no label", rows multiplied by a weight. The
cross-entropy of such a row is well defined, -sum(y log p), and every backend computes it. The gradient softmax - y is
right only for rows that sum to 1. A backend that uses it for every row trains on something else, while the loss looks
right.
"""

import keras
import numpy as np
import pytest

from backendcheck import LossCase, ModelCase

ROWS = {
    "multi_hot": [[1, 1, 0], [0, 1, 0]],
    "nothing": [[0, 0, 0], [0, 1, 0]],
    "weighted": [[3, 0, 0], [0, 0.5, 0]],
}
LOGITS = np.array([[1.0, -0.5, 0.25], [0.5, 1.5, -1.0]])


def softmax(logits):
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("rows", ROWS)
def case_gradient_of_a_row_that_does_not_sum_to_one(rows):
    """The gradient of -sum(y log softmax(z)) is sum(y) softmax(z) - y, for any sum of the row y."""
    y_true = np.array(ROWS[rows], dtype="float64")
    probability = softmax(LOGITS)
    return LossCase(
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        y_true=y_true.astype("float32"),
        y_pred=LOGITS.astype("float32"),
        class_names=["dog", "cat", "house"],
        reference={
            "per_example_loss": -(y_true * np.log(probability)).sum(axis=-1),
            "gradient/y_pred": (y_true.sum(axis=-1, keepdims=True) * probability - y_true) / 2,
        },
    )


def case_an_example_without_a_label_teaches_nothing():
    """A model that is trained only on a row of zeros keeps its weights: that row has no loss."""
    inputs = keras.Input((2,), name="image")
    logits = keras.layers.Dense(3, name="logits", kernel_initializer="ones", bias_initializer="zeros")(inputs)
    return ModelCase(
        model=keras.Model(inputs, logits),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        x=np.array([[1.0, 2.0]], dtype="float32"),
        y=np.zeros((1, 3), dtype="float32"),
        weights="as built",
        class_names=["dog", "cat", "house"],
        reference={
            "train/loss": np.array([0.0]),
            "train/weight/logits/kernel": np.ones((2, 3)),
            "train/weight/logits/bias": np.zeros(3),
        },
    )


def case_smoothing_an_example_without_a_label():
    """With label smoothing, too, a row of zeros is an example without a label, and has no loss."""
    y_true = np.array([[0, 0, 0], [0, 1, 0]], dtype="float64")
    log_p = np.log(softmax(LOGITS))
    return LossCase(
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3),
        y_true=y_true.astype("float32"),
        y_pred=LOGITS.astype("float32"),
        class_names=["dog", "cat", "house"],
        reference={"per_example_loss": np.array([0.0, -np.sum((0.7 * y_true[1] + 0.1) * log_p[1])])},
    )
