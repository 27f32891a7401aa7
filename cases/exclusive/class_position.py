"""Losses that depend on the position of a class in the label vector.

What goes wrong in practice: a list of costs per class is written once, next to the loss. The label vector comes from
somewhere else (a sorted directory, an adapted vocabulary). Nothing checks that both have the same order: shapes fit,
the loss goes down, and the wrong class is the expensive one.
"""

import keras
import numpy as np
import pytest
from _data import color_digits
from keras import ops

from backendcheck import LossCase, ModelCase, OptOut

# To miss a child costs more than to take a truck for a bike.
COST = {"truck": 1.0, "bike": 2.5, "child": 6.0, "bird": 0.5}
BY_POSITION = OptOut(relation="classes", reason="The cost belongs to a position in the label vector, by design.")


def cost_sensitive_crossentropy(class_names):
    """Cross-entropy in which every class has its cost; `class_names` is the order of the label vector."""
    costs = np.array([COST[name] for name in class_names], dtype="float32")

    def loss(y_true, y_pred):
        # ops.multiply, because PyTorch refuses `array * tensor`
        return -ops.sum(ops.multiply(costs, y_true) * ops.log(y_pred), axis=-1)

    return loss


def case_each_class_has_its_cost():
    """Loss and gradient of each example carry the cost of its own class alone.

    Scenario: E2
    """
    class_names = list(COST)
    y_true = np.eye(4)[[2, 0, 3, 1, 2]]
    y_pred = np.array(
        [
            [0.1, 0.2, 0.6, 0.1],
            [0.4, 0.3, 0.2, 0.1],
            [0.25, 0.25, 0.25, 0.25],
            [0.3, 0.2, 0.4, 0.1],
            [0.7, 0.1, 0.1, 0.1],
        ]
    )
    costs = np.array(list(COST.values()))
    per_example = -(costs * y_true * np.log(y_pred)).sum(axis=-1)
    return LossCase(
        loss=cost_sensitive_crossentropy(class_names),
        y_true=y_true.astype("float32"),
        y_pred=y_pred.astype("float32"),
        class_names=class_names,
        order=[BY_POSITION],
        reference={
            "per_example_loss": per_example,
            "loss": per_example.mean(),
            "gradient/y_pred": -costs * y_true / y_pred / len(y_true),
        },
    )


@pytest.mark.parametrize(
    "class_names",
    [["truck", "bike", "child", "bird"], ["bike", "bird", "child", "truck"], ["child", "bird", "truck", "bike"]],
    ids=["as_declared", "alphabetical", "child_first"],
)
def case_costs_travel_with_their_class(class_names):
    """In any order of the classes, an example costs what its class costs.

    Scenario: E2
    """
    true_names = ["child", "truck", "bird"]
    probability = {"truck": 0.2, "bike": 0.1, "child": 0.4, "bird": 0.3}
    per_example = np.array([-COST[name] * np.log(probability[name]) for name in true_names])
    return LossCase(
        loss=cost_sensitive_crossentropy(class_names),
        y_true=np.array([[float(name == true) for name in class_names] for true in true_names], dtype="float32"),
        y_pred=np.array([[probability[name] for name in class_names]] * 3, dtype="float32"),
        class_names=class_names,
        order=[BY_POSITION],
        reference={"per_example_loss": per_example, "loss": per_example.mean()},
    )


def case_training_with_costs_by_position(rng):
    """An image classifier trained with costs per class computes and learns the same on every backend.

    The digits 0, 1, 2 and 3 represent a truck, a bike, a child and a bird.

    Scenario: E2
    """
    x, thing = color_digits(rng, 16, side=32, classes=4)
    images = keras.Input((32, 32, 3), name="image")
    h = keras.layers.Conv2D(32, (3, 3), activation="relu", name="strokes")(images)
    h = keras.layers.Flatten(name="flat")(h)
    probabilities = keras.layers.Dense(4, activation="softmax", name="thing")(h)
    return ModelCase(
        model=keras.Model(images, probabilities),
        loss=cost_sensitive_crossentropy(list(COST)),
        x=x,
        y=np.eye(4, dtype="float32")[thing],
        class_names=list(COST),
        order=[BY_POSITION],
    )
