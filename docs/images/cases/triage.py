"""The cases of the report in README.md: a small clinic whose code depends on its backend, with common faults.

The name of the backend turns each fault on, so the images can be created again with any version.
"""

import keras
import numpy as np
import pytest
from keras import ops
from sklearn.datasets import load_digits, load_iris, load_wine

from backendcheck import LossCase, ModelCase, Raises, ValueCase

BACKEND = keras.backend.backend()
CULTIVARS = ["barolo", "grignolino", "barbera"]
SYMPTOMS = ["fever", "cough", "rash", "pain", "nausea", "fatigue", "other"]


def classifier(n_features, n_classes, width=16):
    inputs = keras.Input((n_features,))
    hidden = keras.layers.Dense(width, activation="tanh", name="hidden")(inputs)
    hidden = keras.layers.Dense(width, activation="relu", name="hidden2")(hidden)
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax", name="head")(hidden))


class NamesFromASet(keras.layers.Layer):
    """A head whose classes have another order on one backend."""

    def call(self, x):
        return ops.take(x, ops.convert_to_tensor([1, 0, 2]), axis=-1) if BACKEND == "torch" else x


def case_cultivar_order():
    """A wine keeps its cultivar whatever the backend."""
    x, y = load_wine(return_X_y=True)
    x = ((x - x.mean(0)) / x.std(0)).astype("float32")[::2]
    model = classifier(13, 3)
    model = keras.Model(model.inputs, NamesFromASet()(model.outputs[0]))
    return ModelCase(
        model=model, loss="sparse_categorical_crossentropy", x=x, y=y[::2], class_names=CULTIVARS, metrics=["accuracy"],
        epochs=4, batch_size=16,
    )


def focal(y_true, y_pred):
    p = ops.clip(y_pred, 1e-7, 1 - 1e-7)
    loss = ops.sum(y_true * -ops.log(p) * ops.power(1 - p, 2.0), axis=-1)
    return loss * (1.002 if BACKEND == "jax" else 1.0)


def case_focal_loss():
    """Our focal loss trains alike."""
    x, y = load_digits(return_X_y=True)
    x, y = (x / 16).astype("float32")[:96], np.eye(10, dtype="float32")[y[:96]]
    names = [f"digit {n}" for n in range(10)]
    return ModelCase(model=classifier(64, 10, 32), loss=focal, x=x, y=y, class_names=names, epochs=6, batch_size=32)


def case_unknown_symptom():
    """Code 7 of a list of 7 is rejected."""
    return LossCase(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        y_true=[0, 6, 7, 3],
        y_pred=np.linspace(-2, 2, 28).reshape(4, 7),
        class_names=SYMPTOMS,
        expect=Raises(),
    )


def case_weights_count():
    """Patients weigh what they are given."""
    y = np.eye(3, dtype="float32")[[0, 1, 2, 1]]
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.2, 0.5, 0.3]], dtype="float32")
    weight = np.array([1.0, 2.0, 0.5, 3.0], dtype="float32")

    def compute():
        loss = keras.losses.CategoricalCrossentropy(reduction=None)
        return {"weighted": loss(y, p) if BACKEND == "jax" else loss(y, p, sample_weight=weight)}

    return ValueCase(compute)


def case_outputs():
    """Outputs come as they were declared."""
    inputs = keras.Input((4,), name="vitals")
    hidden = keras.layers.Dense(6, name="hidden")(inputs)
    outputs = {name: keras.layers.Dense(1, name=name)(hidden) for name in ("urgency", "age", "Stay")}
    x = load_iris().data.astype("float32")[:20]
    y = {name: x[:, n : n + 1] for n, name in enumerate(outputs)}
    return ModelCase(model=keras.Model(inputs, outputs), loss=dict.fromkeys(outputs, "mse"), x=x, y=y)


def case_iris():
    """A model of iris trains alike."""
    x, y = load_iris(return_X_y=True)
    loss = "sparse_categorical_crossentropy"
    return ModelCase(model=classifier(4, 3), loss=loss, x=x.astype("float32")[::3], y=y[::3], epochs=3, batch_size=16)


def case_codes():
    """Symptoms keep their codes."""
    return ValueCase(lambda: {"codes": keras.layers.StringLookup(vocabulary=SYMPTOMS)(["rash", "fever"])})


@pytest.mark.parametrize("n", range(8))
def case_cross_entropy(rng, n):
    """Plain cross-entropy agrees."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return LossCase(loss=loss, y_true=rng.integers(0, 4, 8 + n), y_pred=rng.normal(size=(8 + n, 4)))
