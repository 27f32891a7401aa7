"""Confidences in [0, 1] as labels, instead of 0 and 1.

What goes wrong in practice: the votes of annotators are averaged, or a confidence comes from another model, and
sometimes one is slightly above 1. Binary cross-entropy takes any number in [0, 1] as a label. Outside that range its
loss has no lower bound.
"""

import keras
import numpy as np
import pytest
from _data import attributes_of, digit_features

from backendcheck import LossCase, ModelCase, Raises

ATTRIBUTES = ["prime", "even", "closed_loop"]


@pytest.mark.parametrize("loss", ["mean_squared_error", "binary_crossentropy"])
def case_training_on_confidences(rng, loss):
    """A sigmoid head learns confidences with squared error and with cross-entropy, the same on every backend.

    Scenario: M5
    """
    x, digit = digit_features(rng, 40)
    certain = attributes_of(digit, ATTRIBUTES)
    doubt = rng.uniform(0.0, 0.4, size=certain.shape)
    inputs = keras.Input((10,), name="digit")
    h = keras.layers.Dense(16, activation="relu", name="hidden")(inputs)
    probabilities = keras.layers.Dense(3, activation="sigmoid", name="attributes")(h)
    return ModelCase(
        model=keras.Model(inputs, probabilities),
        loss=loss,
        x=x,
        y=np.abs(certain - doubt).astype("float32"),
        metrics=["mean_absolute_error"],
        class_names=ATTRIBUTES,
    )


def case_cross_entropy_of_a_confidence():
    """Binary cross-entropy weights both answers by the confidence; its gradient is 0 where the prediction equals it.

    Scenario: M5
    """
    confidence = np.array([[0.9, 0.5], [0.0, 1.0], [0.3, 0.75]])
    predicted = np.array([[0.9, 0.2], [0.3, 0.6], [0.3, 0.5]])  # equal to the confidence in (0, 0) and in (2, 0)
    per_label = -confidence * np.log(predicted) - (1 - confidence) * np.log(1 - predicted)
    return LossCase(
        loss="binary_crossentropy",
        y_true=confidence.astype("float32"),
        y_pred=predicted.astype("float32"),
        class_names=["sunny", "crowded"],
        reference={
            "per_example_loss": per_label.mean(axis=-1),
            "loss": per_label.mean(),
            "gradient/y_pred": (predicted - confidence) / (predicted * (1 - predicted)) / confidence.size,
        },
    )


def case_a_confidence_above_one():
    """A confidence of 1.2 is rejected: binary cross-entropy would reward ever more certain predictions.

    Scenario: M5
    """
    return LossCase(
        loss="binary_crossentropy",
        y_true=np.array([[0.9, 1.2], [0.0, 1.0]], dtype="float32"),
        y_pred=np.array([[0.9, 0.8], [0.3, 0.6]], dtype="float32"),
        class_names=["sunny", "crowded"],
        expect=Raises(),
    )
