"""Dense networks: shallow and deep, from one example to 512, each kind of label, without and with normalization."""

import keras
import numpy as np
import pytest
from _layers import dense, integers, multi_hot, one_hot, table

from backendcheck import ModelCase


@pytest.mark.parametrize("n", [1, 8, 64, 512])
@pytest.mark.parametrize("depth", [1, 6])
def case_integer_labels(rng, depth, n):
    """Integer labels and probabilities."""
    return ModelCase(
        dense(depth), "sparse_categorical_crossentropy", table(rng, n), integers(rng, n), metrics=["sparse_categorical_accuracy"]
    )


@pytest.mark.parametrize("n", [8, 512])
def case_one_hot_labels_and_logits(rng, n):
    """One-hot labels, logits, label smoothing."""
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    return ModelCase(dense(2, activation=None), loss, table(rng, n), one_hot(rng, n), metrics=["categorical_accuracy"])


@pytest.mark.parametrize("n", [8, 512])
def case_multi_hot_labels(rng, n):
    """Multi-hot labels, weighted examples, an area under the curve."""
    weight = rng.uniform(0.5, 2.0, n).astype("float32")
    model = dense(2, activation="sigmoid")
    return ModelCase(
        model, "binary_crossentropy", table(rng, n), multi_hot(rng, n), sample_weight=weight,
        metrics=["binary_accuracy", keras.metrics.AUC(multi_label=True, num_labels=6, name="auc")],
    )  # fmt: skip


def case_several_epochs(rng):
    """Five epochs of eight batches: what forty steps of plain gradient descent add up to."""
    return ModelCase(
        dense(2), "sparse_categorical_crossentropy", table(rng, 512), integers(rng, 512), metrics=["accuracy"], epochs=5,
        batch_size=64,
    )  # fmt: skip


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def case_other_optimizers(rng, optimizer):
    """Three epochs of momentum, and of Adam, whose step does not shrink with the gradient."""
    made = keras.optimizers.SGD(0.05, momentum=0.9) if optimizer == "momentum" else keras.optimizers.Adam(0.01)
    return ModelCase(
        dense(2), "sparse_categorical_crossentropy", table(rng, 64), integers(rng, 64), metrics=["accuracy"], epochs=3,
        batch_size=16, optimizer=made,
    )  # fmt: skip


def case_regression(rng):
    """Real-valued targets and squared error."""
    x = table(rng, 64)
    y = np.tanh(x[:, :6]).astype("float32")
    return ModelCase(dense(2, activation=None), "mean_squared_error", x, y, metrics=["mean_absolute_error"])


@pytest.mark.parametrize("n", [8, 512])
@pytest.mark.parametrize("depth", [1, 4])
def case_batch_norm(rng, depth, n):
    """A batch norm behind each layer: training normalizes by the statistics of the batch."""
    model = dense(depth, between=keras.layers.BatchNormalization)
    return ModelCase(model, "sparse_categorical_crossentropy", table(rng, n), integers(rng, n), metrics=["accuracy"])


@pytest.mark.parametrize("n", [8, 512])
def case_layer_norm(rng, n):
    """A layer norm behind each of four layers."""
    model = dense(4, between=keras.layers.LayerNormalization)
    return ModelCase(model, "sparse_categorical_crossentropy", table(rng, n), integers(rng, n), metrics=["accuracy"])
