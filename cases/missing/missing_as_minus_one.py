"""A missing label is written as -1, and an index of -1 means the last class.

What goes wrong in practice: `to_categorical(-1)` is the *last* class. It uses NumPy indexing, so every example
without a label becomes a confident example of one particular class, on every backend alike. Comparing backends cannot
find it.
"""

import keras
import numpy as np
from _data import digits
from keras import ops

from backendcheck import LossCase, ModelCase, Raises, ValueCase

SHAPES = ["round", "angular", "other"]
Y_PRED = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4], [0.25, 0.5, 0.25]])


def case_to_categorical_of_minus_one():
    """As people write it: `to_categorical` refuses -1; it does not turn it into the last class.

    Scenario: P6
    """
    return ValueCase(lambda: {"one_hot": keras.utils.to_categorical([0, -1, 1], 3)}, expect=Raises())


def case_a_missing_label_through_to_categorical():
    """As people write it: example 1, whose label is missing, has no loss and gets no gradient.

    `to_categorical` turns it into an example of "other".

    Scenario: P6
    """
    per_example = -np.log([0.7, 1.0, 0.5])
    gradient = np.array([[-1 / 0.7, 0, 0], [0, 0, 0], [0, -1 / 0.5, 0]]) / 3
    return LossCase(
        loss=lambda y_true, y_pred: -ops.sum(y_true * ops.log(y_pred), axis=-1),
        y_true=keras.utils.to_categorical([0, -1, 1], 3),
        y_pred=Y_PRED.astype("float32"),
        class_names=SHAPES,
        reference={"per_example_loss": per_example, "loss": per_example.mean(), "gradient/y_pred": gradient},
    )


def case_one_hot_of_minus_one():
    """`one_hot` encodes -1 as a row of zeros, and a row of zeros has no cross-entropy.

    Scenario: P6
    """

    def compute():
        one_hot = ops.one_hot(np.array([0, -1, 1], dtype="int32"), 3)
        return {"one_hot": one_hot, "loss": keras.losses.categorical_crossentropy(one_hot, Y_PRED.astype("float32"))}

    return ValueCase(
        compute,
        reference={
            "value/one_hot": np.array([[1.0, 0, 0], [0, 0, 0], [0, 1.0, 0]]),
            "value/loss": -np.log([0.7, 1.0, 0.5]),
        },
    )


def case_ignore_class_leaves_minus_one_out():
    """Done right: with `ignore_class=-1` an example without a label has no loss, and the mean is over the others.

    Scenario: P6
    """
    return LossCase(
        loss=keras.losses.SparseCategoricalCrossentropy(ignore_class=-1),
        y_true=np.array([0, -1, 1]),
        y_pred=Y_PRED.astype("float32"),
        class_names=SHAPES,
        reference={"loss": np.mean(-np.log([0.7, 0.5]))},
    )


def case_training_without_the_missing_labels(rng):
    """Done right: training with weight 0 for examples without a label gives the same result on every backend.

    Scenario: P6
    """
    x, digit = digits(rng, 30, classes=3)
    missing = rng.random(30) < 0.4
    images = keras.Input((8, 8), name="image")
    flat = keras.layers.Flatten(name="flat")(images)
    return ModelCase(
        model=keras.Model(images, keras.layers.Dense(3, activation="softmax", name="shape")(flat)),
        loss="sparse_categorical_crossentropy",
        x=x,
        y=np.where(missing, 0, digit),  # any valid class in place of -1; its weight is 0
        sample_weight=np.where(missing, 0.0, 1.0).astype("float32"),
        class_names=SHAPES,
    )
