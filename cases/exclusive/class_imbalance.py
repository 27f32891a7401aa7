"""Rare classes, and the weights that compensate for them.

What goes wrong in practice: `class_weight` is looked up by class index, and Keras takes the index from the labels. It
uses an integer as it is, and the `argmax` of a row of several numbers. For one-hot labels that is the class. For
multi-hot labels it is the first label that is set, and 0 for a row without any.
"""

import json

import keras
import numpy as np
import pytest
from _data import attributes_of, breast_cancer, digit_features, iris
from keras import ops
from sklearn.utils.class_weight import compute_class_weight

from backendcheck import LossCase, ModelCase, OptOut, Raises, ValueCase

ATTRIBUTES = ["prime", "even", "closed_loop"]


def balanced(class_index):
    """scikit-learn's balanced weights as the dict that `fit(class_weight=…)` takes."""
    classes = np.unique(class_index)
    return dict(zip(classes.tolist(), compute_class_weight("balanced", classes=classes, y=class_index), strict=True))


def case_balanced_weights_for_a_rare_diagnosis(rng):
    """A model trained with balanced class weights computes and learns the same on every backend.

    Scenario: E5
    """
    x, benign = breast_cancer(rng, 40)
    inputs = keras.Input((30,), name="tumor")
    probability = keras.layers.Dense(1, activation="sigmoid", name="benign")(inputs)
    return ModelCase(
        model=keras.Model(inputs, probability),
        loss="binary_crossentropy",
        x=x,
        y=benign.astype("float32")[:, None],
        class_weight=balanced(benign),
        metrics=["accuracy"],
    )


@pytest.mark.parametrize("labels", ["integers", "column", "one_hot"])
def case_class_weight_equals_sample_weight(rng, labels):
    """A weight per class equals that weight for each example of the class: same loss, same step.

    Scenario: E5
    """
    x, species = iris(rng, 30)
    weight_of = {0: 0.5, 1: 3.0, 2: 1.25}
    y = {"integers": species, "column": species[:, None], "one_hot": np.eye(3)[species]}[labels]
    loss = "categorical_crossentropy" if labels == "one_hot" else "sparse_categorical_crossentropy"
    kernel = rng.normal(size=(4, 3))

    def train(**weights):
        inputs = keras.Input((4,), name="flower")
        model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="species")(inputs))
        model.get_layer("species").set_weights([kernel, np.zeros(3)])
        model.compile(optimizer=keras.optimizers.SGD(1.0), loss=loss)
        history = model.fit(x, y, batch_size=30, epochs=1, shuffle=False, verbose=0, **weights).history
        return np.array(history["loss"]), kernel - model.get_layer("species").get_weights()[0]

    def compute():
        loss_by_class, step_by_class = train(class_weight=weight_of)
        loss_by_example, step_by_example = train(sample_weight=np.array([weight_of[index] for index in species]))
        return {
            "loss_by_class": loss_by_class,
            "step_by_class": step_by_class,
            "loss_difference": loss_by_class - loss_by_example,
            "step_difference": step_by_class - step_by_example,
        }

    return ValueCase(
        compute,
        reference={"value/loss_difference": np.zeros(1), "value/step_difference": np.zeros((4, 3))},
    )


def case_class_weights_from_a_json_file():
    """As people write it: weights that were stored as JSON, whose keys are texts, are refused or used, not ignored."""

    def compute():
        inputs = keras.Input((2,), name="probabilities")
        layer = keras.layers.Dense(2, use_bias=False, kernel_initializer="identity")
        model = keras.Model(inputs, layer(inputs))
        model.compile(keras.optimizers.SGD(0.1), loss="mean_squared_error")
        weights = json.loads(json.dumps({0: 1.0, 1: 3.0}))
        x, y = np.array([[0.5, 0.0], [0.0, 0.5]]), np.eye(2)  # an error of 1/2 in each row
        return {"loss": np.array(model.fit(x, y, class_weight=weights, batch_size=2, verbose=0).history["loss"])}

    return ValueCase(compute, reference={"value/loss": np.array([(1 * 0.125 + 3 * 0.125) / 2])})


def case_a_class_without_a_weight_counts_once(rng):
    """A class that is not in the `class_weight` dict has weight 1, not 0.

    Scenario: E5
    """
    x, species = iris(rng, 18)

    def compute():
        inputs = keras.Input((4,), name="flower")
        model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="species")(inputs))
        model.get_layer("species").set_weights([np.zeros((4, 3)), np.zeros(3)])  # so every class gets 1/3
        model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
        history = model.fit(x, species, batch_size=18, verbose=0, class_weight={0: 4.0, 2: 2.0}).history
        return {"loss": np.array(history["loss"])}

    weight = np.array([4.0, 1.0, 2.0])[species]
    return ValueCase(compute, reference={"value/loss": np.array([np.mean(weight * np.log(3))])})


def case_an_array_is_no_class_weight(rng):
    """As people write it: `fit` refuses balanced weights of the `argmax` of multi-hot labels, tiled to (C, C).

    Scenario: M8
    """
    x, digit = digit_features(rng, 24)
    y = attributes_of(digit, ATTRIBUTES)
    weights = np.array([balanced(y.argmax(axis=1)).get(index, 1.0) for index in range(3)])
    inputs = keras.Input((10,), name="digit")
    probabilities = keras.layers.Dense(3, activation="sigmoid", name="attributes")(inputs)
    return ModelCase(
        model=keras.Model(inputs, probabilities),
        loss="binary_crossentropy",
        x=x,
        y=y,
        class_weight=np.tile(weights, (3, 1)),
        class_names=ATTRIBUTES,
        expect=Raises(),
    )


def case_class_weight_on_multi_hot_labels():
    """As people write it: `class_weight` by label should weight each label, or be refused.

    Keras does neither. A row gets the weight of its first label that is set, and row [0, 0, 0] gets that of "prime".

    Scenario: M8
    """
    y = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1]], dtype="float32")
    weight = {0: 1.0, 1: 2.0, 2: 5.0}

    def compute():
        inputs = keras.Input((2,), name="digit")
        model = keras.Model(inputs, keras.layers.Dense(3, activation="sigmoid", name="attributes")(inputs))
        model.get_layer("attributes").set_weights([np.zeros((2, 3)), np.log([4.0, 1.0, 1.0])])
        model.compile(optimizer="sgd", loss="binary_crossentropy")
        history = model.fit(np.zeros((4, 2)), y, batch_size=4, verbose=0, class_weight=weight).history
        return {"loss": np.array(history["loss"])}

    probability = np.array([0.8, 0.5, 0.5])  # the sigmoid of the three biases
    per_label = -np.where(y == 1, np.log(probability), np.log(1 - probability))
    return ValueCase(compute, reference={"value/loss": np.array([np.mean(per_label * np.array([1.0, 2.0, 5.0]))])})


def case_weights_per_label_inside_the_loss():
    """Done right: the weight of each label is inside the loss, and scales the gradient of that label alone.

    Scenario: M8
    """
    weights = np.array([1.0, 2.0, 5.0], dtype="float32")

    def loss(y_true, y_pred):
        return ops.mean(ops.multiply(weights, ops.binary_crossentropy(y_true, y_pred)), axis=-1)

    y_true = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1]], dtype="float32")
    y_pred = np.array([[0.8, 0.4, 0.3], [0.1, 0.6, 0.7], [0.2, 0.5, 0.1], [0.9, 0.3, 0.6]])
    per_example = np.mean(-weights * np.where(y_true == 1, np.log(y_pred), np.log(1 - y_pred)), axis=-1)
    return LossCase(
        loss=loss,
        y_true=y_true,
        y_pred=y_pred.astype("float32"),
        class_names=ATTRIBUTES,
        order=[OptOut(relation="classes", reason="The weight belongs to a position in the label vector, by design.")],
        reference={
            "per_example_loss": per_example,
            "loss": per_example.mean(),
            "gradient/y_pred": weights * np.where(y_true == 1, -1 / y_pred, 1 / (1 - y_pred)) / y_true.size,
        },
    )


def case_alpha_of_tversky_weighs_false_positives():
    """`Tversky(alpha=0.9, beta=0.1)` punishes a false positive nine times as hard as a false negative.

    Scenario: E5
    """
    y_true = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    y_pred = np.array([[0.7, 0.4], [0.6, 0.1], [0.9, 0.2]])
    hits, false_positives = (y_true * y_pred).sum(), ((1 - y_true) * y_pred).sum()
    false_negatives = (y_true * (1 - y_pred)).sum()
    return LossCase(
        loss=keras.losses.Tversky(alpha=0.9, beta=0.1),
        y_true=y_true.astype("float32"),
        y_pred=y_pred.astype("float32"),
        class_names=["tumor", "vessel"],
        reference={"loss": 1 - hits / (hits + 0.9 * false_positives + 0.1 * false_negatives)},
    )
