"""Labels of one width, and a head of another.

What goes wrong in practice: a class was added to the data and not to the model, or one-hot labels of a yes-or-no
question (width 2) meet a head of width 1. Where a loss broadcasts, the model trains without any message: both columns
pull at the same output, which ends at 0.5.
"""

import keras
import numpy as np
import pytest
from _data import attributes_of, breast_cancer, color_digits

from backendcheck import LossCase, ModelCase, Raises


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "binary_crossentropy", "mean_squared_error"])
@pytest.mark.parametrize(("labels", "head"), [(4, 3), (2, 1), (1, 3)], ids=["4_for_3", "2_for_1", "1_for_3"])
def case_labels_of_another_width(loss, labels, head):
    """Labels of width 4 for a head of width 3, of 2 for 1 and of 1 for 3 are refused; they do not broadcast.

    Scenario: P7
    """
    return LossCase(
        loss=loss,
        y_true=np.eye(labels, dtype="float32")[[labels - 1, 0]],
        y_pred=np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], dtype="float32")[:, :head],
        expect=Raises(),
    )


def case_training_four_classes_with_a_head_of_three(rng):
    """`fit` refuses one-hot labels that are wider than the head.

    Scenario: P7
    """
    x, digit = color_digits(rng, 8, side=32, classes=4)
    images = keras.Input((32, 32, 3), name="image")
    h = keras.layers.Flatten(name="flat")(images)
    probabilities = keras.layers.Dense(3, activation="softmax", name="digit")(h)
    return ModelCase(
        model=keras.Model(images, probabilities),
        loss="categorical_crossentropy",
        x=x,
        y=np.eye(4, dtype="float32")[digit],
        expect=Raises(),
    )


@pytest.mark.parametrize("loss", ["binary_crossentropy", "mean_squared_error"])
def case_training_a_head_of_one_on_two_columns(rng, loss):
    """`fit` refuses one-hot labels of a yes-or-no question for a head of width 1.

    Scenario: P7
    """
    x, benign = breast_cancer(rng, 16)
    inputs = keras.Input((30,), name="tumor")
    probability = keras.layers.Dense(1, activation="sigmoid", name="benign")(inputs)
    return ModelCase(
        model=keras.Model(inputs, probability),
        loss=loss,
        x=x,
        y=np.eye(2, dtype="float32")[benign],
        expect=Raises(),
    )


def case_a_softmax_over_one_unit():
    """A softmax head of width 1 is refused for a yes-or-no question: it always predicts 1.

    Scenario: P7
    """
    return LossCase(
        loss="sparse_categorical_crossentropy",
        y_true=np.array([1, 0, 1]),
        y_pred=np.ones((3, 1), dtype="float32"),
        expect=Raises(),
    )


def case_integers_for_a_multi_hot_head():
    """Integer labels (N,) for a multi-label head (N, 5) are refused; they do not broadcast along the labels.

    Scenario: P7
    """
    digit = np.array([3, 8])
    return LossCase(
        loss="binary_crossentropy",
        y_true=digit,
        y_pred=(0.8 * attributes_of(digit) + 0.1).astype("float32"),
        expect=Raises(),
    )
