"""Predictions and activations that are exactly 0 or 1, where formulas have an edge.

What goes wrong in practice: a probability of exactly 0 has no logarithm, so it is clipped. The limit of the clip
decides how large the loss of a confident mistake is. An activation of exactly 0 is on the kink of relu, which has two
slopes there.
"""

import keras
import numpy as np
from _data import digits

from backendcheck import LossCase, ModelCase

EPSILON = 1e-7
ANIMALS = ["cat", "dog", "fox"]


def case_a_confident_mistake_among_classes():
    """A probability of exactly 0 for the true class costs -log(epsilon), and one of exactly 1 costs nothing.

    Scenario: E1
    """
    return LossCase(
        loss="categorical_crossentropy",
        y_true=np.eye(3, dtype="float32")[[0, 1, 2]],
        y_pred=np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5]], dtype="float32"),
        class_names=ANIMALS,
        reference={"per_example_loss": -np.log([1.0, EPSILON, 0.5])},
    )


def case_a_confident_mistake_of_a_yes_or_no():
    """Binary cross-entropy of label 1 with a probability of exactly 0 is -log(epsilon).

    Scenario: E1
    """
    return LossCase(
        loss="binary_crossentropy",
        y_true=np.array([[1.0], [0.0], [1.0]], dtype="float32"),
        y_pred=np.array([[0.0], [0.0], [0.25]], dtype="float32"),
        reference={"per_example_loss": -np.log([EPSILON, 1.0, 0.25])},
    )


def case_a_black_image_teaches_hidden_units_nothing(rng):
    """An image of zeros, with biases of 0, puts hidden units on the kink of relu: they get no gradient from it.

    Scenario: E1
    """
    x, digit = digits(rng, 6, classes=3)
    x[[1, 4]] = 0.0
    images = keras.Input((8, 8), name="image")
    flat = keras.layers.Flatten(name="flat")(images)
    hidden = keras.layers.Dense(5, activation="relu", name="hidden")(flat)
    model = keras.Model(images, keras.layers.Dense(3, activation="softmax", name="digit")(hidden))
    model.get_layer("hidden").set_weights([rng.normal(size=(64, 5)) / 8, np.zeros(5)])
    model.get_layer("digit").set_weights([rng.normal(size=(5, 3)), np.zeros(3)])
    return ModelCase(
        model=model,
        loss="sparse_categorical_crossentropy",
        x=x,
        y=digit,
        weights="as built",
        class_names=["zero", "one", "two"],
    )
