"""Labels (N,) for outputs (N, 1), or the reverse, or labels (N,) for an output (N, C).

What goes wrong in practice: (N,) and (N, 1) broadcast to (N, N), and each prediction is compared with every label:
the model learns the mean. Keras aligns the two for its own losses and for functions. A class derived from `Loss`, or
a loss computed by hand, has to do it itself. Labels (N,) for C units broadcast where there happen to be as many
examples as units.
"""

import keras
import numpy as np
import pytest
from keras import ops

from backendcheck import Raises, ValueCase

PREDICTED = np.array([0.9, 0.5, 0.2], dtype="float32")
LABELS = np.array([1, 1, 0], dtype="float32")
ERROR = np.mean((LABELS - PREDICTED.astype("float64")) ** 2)
CROSS_ENTROPY = -np.mean(np.where(LABELS == 1, np.log(PREDICTED), np.log(1 - PREDICTED.astype("float64"))))


class Unchanged(keras.layers.Layer):
    """Predicts its input, or n_columns copies of it. One weight makes it trainable."""

    def __init__(self, n_columns=None):
        super().__init__()
        self.n_columns = n_columns
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        """(N,) without n_columns, else (N, n_columns)."""
        return self.scale * (x[:, 0] if self.n_columns is None else ops.repeat(x, self.n_columns, axis=-1))


class OwnLoss(keras.Model):
    """A model that computes its squared error by hand."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The mean over the shape to which the two broadcast."""
        del x, sample_weight, training
        return ops.mean(ops.square(ops.cast(y, "float32") - y_pred))


def trained_on(labels, loss, *, n_columns=1, kind=keras.Model):
    """The value of a case: the loss of one step of `fit`."""

    def compute():
        x = keras.Input((1,), name="score")
        model = kind(x, Unchanged(n_columns)(x))
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
        history = model.fit(PREDICTED[:, None], labels, batch_size=3, shuffle=False, verbose=0).history
        return {"loss": np.array(history["loss"])}

    return compute


def squared_error(y_true, y_pred):
    """A custom loss that does not check the shapes."""
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


class SquaredError(keras.losses.Loss):
    """The same as a class: `call` gets both unchanged."""

    def call(self, y_true, y_pred):
        """One number for each example, as long as the shapes fit."""
        return squared_error(y_true, y_pred)


LOSSES = {"mean_squared_error": ERROR, "binary_crossentropy": CROSS_ENTROPY, "own_function": ERROR}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", ["flat_labels", "column_of_labels"])
def case_flat_or_a_column(shape, loss):
    """Labels (N,) for an output (N, 1), and labels (N, 1) for an output (N,), are compared one by one."""
    flat = shape == "flat_labels"
    labels = LABELS if flat else LABELS[:, None]
    compute = trained_on(labels, squared_error if loss == "own_function" else loss, n_columns=1 if flat else None)
    return ValueCase(compute, reference={"value/loss": np.array([LOSSES[loss]])})


def case_flat_labels_in_a_loss_by_hand():
    """As people write it: a custom `compute_loss` compares labels (N,) and predictions (N, 1) one by one."""
    return ValueCase(trained_on(LABELS, None, kind=OwnLoss), reference={"value/loss": np.array([ERROR])})


def case_flat_labels_in_a_loss_class():
    """As people write it: a class derived from `Loss` compares (N,) and (N, 1) one by one, as a function does."""
    return ValueCase(trained_on(LABELS, SquaredError()), reference={"value/loss": np.array([ERROR])})


@pytest.mark.parametrize("loss", ["mean_squared_error", "mean_absolute_error", "huber", "binary_crossentropy", "hinge"])
@pytest.mark.parametrize("n_columns", [2, 3], ids=["two_units", "as_many_units_as_examples"])
def case_flat_labels_for_several_units(n_columns, loss):
    """`fit` refuses labels (N,) for an output (N, C), even if N equals C; they are not a row for every example."""
    return ValueCase(trained_on(LABELS, loss, n_columns=n_columns), expect=Raises())


def case_a_column_of_classes():
    """Classes (N, 1), as image data sets have them, give generalized cross-entropy the losses of classes (N,)."""
    probabilities = np.array([[0.81, 0.19], [0.36, 0.64]], dtype="float32")

    def compute():
        loss = keras.losses.CategoricalGeneralizedCrossEntropy(q=0.5)
        return {"loss": loss(np.array([[0], [1]]), probabilities)}

    return ValueCase(compute, reference={"value/loss": np.mean(2 * (1 - np.array([0.9, 0.8])))})
