"""Metrics beside a loss: scores with weights, scores of several outputs, and functions as metrics.

What goes wrong in practice: the number that chooses the best epoch weighs the wrong examples or counts labels in place of
examples, or a metric that works in `fit` fails in `test_on_batch`.
"""

import keras
import numpy as np
import pytest

from backendcheck import ModelCase, ValueCase

Y_TRUE = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0]], dtype="float32")
Y_PRED = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5], [0.1, 0.8, 0.1]], dtype="float32")
WEIGHTS = np.array([1.0, 3.0, 0.5, 2.0], dtype="float32")


@pytest.mark.parametrize("shape", [(4,), (4, 1)], ids=["n", "n_by_one"])
def case_weighted_f1(shape):
    """A weight for each example weighs it alike, whether the weights come as (N,) or as (N, 1)."""

    def compute():
        metric = keras.metrics.F1Score(average="micro")
        metric.update_state(Y_TRUE, Y_PRED, sample_weight=WEIGHTS.reshape(shape))
        return {"f1": metric.result()}

    # Each example has one label and one prediction, so micro-averaged F1 is the weighted share of right ones.
    return ValueCase(compute, reference={"value/f1": 3.5 / 6.5})


@pytest.mark.parametrize("n_outputs", [1, 2])
def case_adjusted_r2(n_outputs):
    """Adjusted R2 counts examples, however many outputs each has."""
    counted = np.array([[1.0, 2.0], [3.0, 1.0], [2.0, 2.0], [5.0, 4.0], [4.0, 4.0], [2.0, 0.0]])[:, :n_outputs]
    predicted = counted + np.array([[0.5, 0.0], [-0.5, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.5, -0.5], [0.0, 0.5]])[:, :n_outputs]

    def compute():
        metric = keras.metrics.R2Score(num_regressors=2)
        metric.update_state(counted.astype("float32"), predicted.astype("float32"))
        return {"r2": metric.result()}

    plain = 1 - ((counted - predicted) ** 2).sum(axis=0) / ((counted - counted.mean(axis=0)) ** 2).sum(axis=0)
    n = len(counted)
    return ValueCase(compute, reference={"value/r2": 1 - (1 - plain.mean()) * (n - 1) / (n - 2 - 1)})


def _model(metric, rng):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    x = rng.normal(size=(6, 4)).astype("float32")
    y = np.eye(3, dtype="float32")[rng.integers(3, size=6)]
    return ModelCase(model=model, loss="categorical_crossentropy", x=x, y=y, metrics=[metric], batch_size=3)


def case_f1_of_each_class_in_training(rng):
    """A metric with a value for each class is reported in training and evaluation."""
    return _model(keras.metrics.F1Score(), rng)


def case_adjusted_r2_in_training(rng):
    """Adjusted R2 works beside a loss as it does by hand."""
    return _model(keras.metrics.R2Score(num_regressors=2), rng)


def overlap(y_true, y_pred):
    """Dice's coefficient of each example."""
    return 2 * keras.ops.sum(y_true * y_pred, axis=-1) / keras.ops.sum(y_true + y_pred, axis=-1)


def case_a_function_with_operators_as_metric(rng):
    """A metric function gets tensors, so that it may multiply labels and predictions by an operator."""
    return _model(overlap, rng)


def case_a_loss_called_twice():
    """A loss leaves the weights that it gets as they are: called again, it is the same."""

    def compute():
        loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=2)
        labels, predictions = np.array([0, 1, 2, 1]), keras.ops.convert_to_tensor(Y_PRED)
        weights = keras.ops.convert_to_tensor(WEIGHTS)
        first = loss(labels, predictions, sample_weight=weights)
        return {"again": loss(labels, predictions, sample_weight=weights) / first}

    return ValueCase(compute, reference={"value/again": 1.0})
