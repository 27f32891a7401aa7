"""Predictions that are certain and wrong: the examples that matter most in training.

What goes wrong in practice: a probability of exactly 0 or 1 is clipped, and beyond the clip there is no gradient. The
model then learns nothing from the mislabeled or difficult examples that it gets most wrong, on some backends only.
"""

import keras
import numpy as np
import pytest

from backendcheck import LossCase, ModelCase, ValueCase


def saturated_model(units, activation):
    """One feature, and a head that is certain of the first class, with a logit of 40, for a feature of 1."""
    inputs = keras.Input((1,), name="tumor")
    model = keras.Model(inputs, keras.layers.Dense(units, activation=activation, name="head")(inputs))
    kernel = np.array([[40.0] + [0.0] * (units - 1)])
    model.set_weights([kernel, np.zeros(units)])
    return model


@pytest.mark.parametrize("head", ["sigmoid", "softmax_one_hot", "softmax_integer"])
def case_certain_and_wrong_still_learns(head):
    """A saturated head learns from an example that it is certain and wrong about: the step moves the weights.

    In exact arithmetic the loss is 40, and its gradient by the logit is 1.
    """
    if head == "sigmoid":
        model, loss, y, step = saturated_model(1, "sigmoid"), "binary_crossentropy", [[0.0]], [[-1.0]]
    else:
        model, step = saturated_model(3, "softmax"), [[-1.0, 1.0, 0.0]]
        loss, y = (
            ("categorical_crossentropy", [[0, 1, 0]]) if head == "softmax_one_hot" else ("sparse_categorical_crossentropy", [1])
        )
    start = np.array([[40.0, 0.0, 0.0]])[:, : len(step[0])]
    return ModelCase(
        model=model,
        loss=loss,
        x=np.ones((1, 1), dtype="float32"),
        y=np.array(y),
        weights="as built",
        reference={"loss": 40.0, "train/weight/head/kernel": start + 0.1 * np.array(step)},
    )


@pytest.mark.parametrize("loss", ["binary", "categorical"])
def case_focal_loss_from_logits(loss):
    """Focal loss from logits uses the logits: a certain and wrong prediction costs its logit and has its gradient."""
    if loss == "binary":
        return LossCase(
            loss=keras.losses.BinaryFocalCrossentropy(from_logits=True),
            y_true=np.array([[0.0], [1.0]], dtype="float32"),
            y_pred=np.array([[40.0], [-40.0]], dtype="float32"),
            reference={"per_example_loss": np.array([40.0, 40.0]), "gradient/y_pred": np.array([[0.5], [-0.5]])},
        )
    return LossCase(
        loss=keras.losses.CategoricalFocalCrossentropy(from_logits=True, alpha=1.0),
        y_true=np.array([[0, 1, 0], [0, 0, 1]], dtype="float32"),
        y_pred=np.array([[40.0, 0.0, 0.0], [0.0, 40.0, 0.0]], dtype="float32"),
        reference={
            "per_example_loss": np.array([40.0, 40.0]),
            "gradient/y_pred": np.array([[0.5, -0.5, 0.0], [0.0, 0.5, -0.5]]),
        },
    )


def case_focal_loss_of_an_infinite_logit():
    """An infinite logit that is right, as half precision makes of one beyond 65504, costs nothing in focal loss."""
    loss = keras.losses.BinaryFocalCrossentropy(from_logits=True)
    label, logit = np.array([[1.0]], dtype="float32"), np.array([[np.inf]], dtype="float32")
    return ValueCase(lambda: {"loss": loss(label, logit)}, reference={"value/loss": 0.0})


@pytest.mark.parametrize("labels", ["integer", "one_hot"])
def case_impossible_classes_masked_out(labels):
    """A logit of minus infinity excludes a class: the loss is that of a softmax over the other classes, not NaN."""
    logits = np.array([[1.0, -np.inf, 0.0], [-np.inf, 2.0, 1.0]])
    truth = np.array([0, 2])
    chosen = np.array([[1.0, 0.0], [1.0, 2.0]])  # the logit of the true class, then of the one other possible class
    per_example = np.log1p(np.exp(chosen[:, 1] - chosen[:, 0]))
    name = {"integer": keras.losses.SparseCategoricalCrossentropy, "one_hot": keras.losses.CategoricalCrossentropy}[labels]
    return LossCase(
        loss=name(from_logits=True),
        y_true=truth if labels == "integer" else np.eye(3, dtype="float32")[truth],
        y_pred=logits.astype("float32"),
        class_names=["cat", "dog", "fox"],
        reference={"per_example_loss": per_example, "loss": per_example.mean()},
    )


@pytest.mark.parametrize("labels", ["integer", "one_hot"])
def case_scores_that_do_not_sum_to_one(labels):
    """Scores above 1 are scaled to sum to 1, for integer and for one-hot labels alike."""
    scores, truth = np.array([[2.0, 1.0, 1.0], [3.0, 1.0, 4.0]]), np.array([0, 1])
    share = scores / scores.sum(axis=-1, keepdims=True)
    per_example = -np.log(share[np.arange(2), truth])
    one_hot = np.eye(3)[truth]
    return LossCase(
        loss="sparse_categorical_crossentropy" if labels == "integer" else "categorical_crossentropy",
        y_true=truth if labels == "integer" else one_hot.astype("float32"),
        y_pred=scores.astype("float32"),
        class_names=["cat", "dog", "fox"],
        reference={
            "per_example_loss": per_example,
            "gradient/y_pred": (1 / scores.sum(axis=-1, keepdims=True) - one_hot / scores) / 2,
        },
    )


@pytest.mark.parametrize("labels", ["integer", "one_hot"])
def case_no_class_has_any_probability(labels):
    """A row of zeros, as a head of rectified units may give, has a finite loss, the same on every backend."""
    truth = np.array([0, 1])
    return LossCase(
        loss="sparse_categorical_crossentropy" if labels == "integer" else "categorical_crossentropy",
        y_true=truth if labels == "integer" else np.eye(3, dtype="float32")[truth],
        y_pred=np.array([[0.0, 0.0, 0.0], [0.1, 0.8, 0.1]], dtype="float32"),
        class_names=["cat", "dog", "fox"],
    )


@pytest.mark.parametrize("labels", ["integer", "one_hot"])
def case_a_saturated_class_beside_the_true_one(labels):
    """A class of probability 0 has the gradient of -log(p / sum(p)) there, like every class that is not the true one: 1."""
    truth = np.array([0])
    return LossCase(
        loss="sparse_categorical_crossentropy" if labels == "integer" else "categorical_crossentropy",
        y_true=truth if labels == "integer" else np.eye(3, dtype="float32")[truth],
        y_pred=np.array([[0.75, 0.25, 0.0]], dtype="float32"),
        class_names=["cat", "dog", "fox"],
        reference={"gradient/y_pred": np.array([[1 - 1 / 0.75, 1.0, 1.0]])},
    )


def case_a_reader_that_is_certain_of_silence():
    """CTC: a network that is certain of the blank, and wrong, gets the gradient that teaches it the letters.

    A step that reads a letter costs 300 in logits. At least three of the ten steps must read one, and there are 120
    ways to choose them. The loss is 3 x 300 - log 120.
    """
    logits = np.zeros((1, 10, 4), dtype="float32")
    logits[:, :, 0] = 300.0
    return LossCase(
        loss=keras.losses.CTC(),
        y_true=np.array([[1, 2, 3]]),
        y_pred=logits,
        reference={"loss": 900 - np.log(120)},
    )
