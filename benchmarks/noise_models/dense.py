"""Dense networks: shallow and deep, from one example to 512, each kind of label, without and with normalization."""

import keras
import numpy as np
import pytest
from _layers import dense, integers, multi_hot, one_hot, table

from backendcheck import ModelCase


@pytest.mark.parametrize(("depth", "n"), [(1, 1), (1, 64), (6, 8), (6, 512)])
def case_integer_labels(rng, depth, n):
    """Integer labels and probabilities."""
    return ModelCase(
        dense(depth), "sparse_categorical_crossentropy", table(rng, n), integers(rng, n), metrics=["sparse_categorical_accuracy"]
    )


@pytest.mark.parametrize(("depth", "width"), [(2, 32), (4, 256)])
def case_one_hot_labels_and_logits(rng, depth, width):
    """One-hot labels, logits, label smoothing; narrow, and as wide as real ones are."""
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    model = dense(depth, activation=None, width=width)
    return ModelCase(model, loss, table(rng, 512), one_hot(rng, 512), metrics=["categorical_accuracy"])


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


@pytest.mark.parametrize(("depth", "n"), [(1, 8), (4, 512)])
def case_batch_norm(rng, depth, n):
    """A batch norm behind each layer: training normalizes by the statistics of the batch."""
    model = dense(depth, between=keras.layers.BatchNormalization)
    return ModelCase(model, "sparse_categorical_crossentropy", table(rng, n), integers(rng, n), metrics=["accuracy"])


def case_layer_norm(rng):
    """A layer norm behind each of four layers."""
    model = dense(4, between=keras.layers.LayerNormalization)
    return ModelCase(model, "sparse_categorical_crossentropy", table(rng, 512), integers(rng, 512), metrics=["accuracy"])
