"""Predictions exactly at a corner of a loss: equal to the label, on the margin, at the limit of a clip.

What goes wrong in practice: the loss is the same on every backend. At the corner its gradient is a choice, and each
backend chooses differently. Corners are not rare: labels are 0 and 1, and saturated predictions are exactly 0 and 1.
"""

import keras
import numpy as np
import pytest

from backendcheck import LossCase, ModelCase, ValueCase


@pytest.mark.parametrize("loss", ["mean_absolute_error", "mean_absolute_percentage_error"])
def case_a_prediction_that_equals_its_label(loss):
    """A prediction that equals its label has no error and gets no gradient."""
    y_true = np.array([[1.0, 2.0], [4.0, 0.5]])
    error = np.array([[0.0, 0.5], [-1.0, 0.0]])
    scale = 100 / np.abs(y_true) if "percentage" in loss else 1.0
    return LossCase(
        loss=loss,
        y_true=y_true.astype("float32"),
        y_pred=(y_true + error).astype("float32"),
        reference={
            "loss": np.mean(scale * np.abs(error)),
            "gradient/y_pred": scale * np.sign(error) / error.size,
        },
    )


def case_training_on_what_is_already_right():
    """A step on the absolute error does not change a model that predicts every label exactly."""
    x = np.array([[1.0], [2.0], [4.0]], dtype="float32")
    layer = keras.layers.Dense(1, name="confidence", kernel_initializer="ones", bias_initializer="zeros")
    inputs = keras.Input((1,), name="votes")
    return ModelCase(
        model=keras.Model(inputs, layer(inputs)),
        loss="mean_absolute_error",
        x=x,
        y=x.copy(),
        weights="as built",
        reference={
            "train/loss": np.array([0.0]),
            "train/weight/confidence/kernel": np.array([[1.0]]),
            "train/weight/confidence/bias": np.array([0.0]),
        },
    )


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "categorical_hinge"])
def case_exactly_on_the_margin(loss):
    """A prediction exactly on the margin has loss 0, and the same gradient on every backend."""
    if loss == "categorical_hinge":
        y_true, y_pred = [[1, 0, 0], [0, 1, 0]], [[1.5, 0.5, 0.0], [0.25, 1.25, 0.0]]
    else:
        y_true, y_pred = [[1.0, -1.0], [1.0, -1.0]], [[1.0, -1.0], [0.5, -1.0]]
    return LossCase(loss=loss, y_true=np.array(y_true, dtype="float32"), y_pred=np.array(y_pred, dtype="float32"))


def case_certain_and_right():
    """A true class predicted with probability 1 has the gradient of -y log p there, which is -1.

    Kullback-Leibler divergence clips predictions to [1e-7, 1], and a saturated softmax is on that limit.
    """
    y_true = np.eye(3)[[0, 2]]
    y_pred = np.array([[1.0, 0.0, 0.0], [0.25, 0.25, 0.5]])
    return LossCase(
        loss="kl_divergence",
        y_true=y_true.astype("float32"),
        y_pred=y_pred.astype("float32"),
        reference={"gradient/y_pred": np.where(y_true > 0, -1 / np.maximum(y_pred, 1e-7), 0) / 2},
    )


@pytest.mark.parametrize("loss", ["binary_crossentropy", "categorical_crossentropy"])
def case_probabilities_clipped_by_hand(loss):
    """As people write it: predictions clipped to [epsilon, 1 - epsilon] have the same gradient on every backend.

    Keras clips to the same limits, so each saturated prediction is on the limit of the second clip.
    """
    epsilon = np.float32(keras.config.epsilon())
    saturated = np.array([[0.0, 1.0], [1.0, 0.0], [0.25, 0.75]], dtype="float32")
    return LossCase(
        loss=loss,
        y_true=np.array([[1, 0], [1, 0], [0, 1]], dtype="float32"),
        y_pred=np.clip(saturated, epsilon, 1 - epsilon),
        class_names=["no", "yes"],
    )


def case_focal_loss_that_does_not_focus():
    """With gamma 0 the focal loss is binary cross-entropy, and so is its gradient at an exactly right prediction."""
    y_true = np.array([[1.0, 0.0], [1.0, 0.0]])
    y_pred = np.array([[1.0, 0.25], [0.5, 0.0]])
    inside = (y_pred > 0) & (y_pred < 1)  # where it is saturated the clip inside the loss stops the gradient
    safe = np.where(inside, y_pred, 0.5)
    return LossCase(
        loss=keras.losses.BinaryFocalCrossentropy(gamma=0.0),
        y_true=y_true.astype("float32"),
        y_pred=y_pred.astype("float32"),
        reference={
            "loss": -(np.log(0.75) + np.log(0.5)) / 4,
            "gradient/y_pred": np.where(inside, (safe - y_true) / (safe * (1 - safe)), 0) / 4,
        },
    )


def case_an_embedding_of_zeros():
    """A prediction of zeros has no direction: its similarity is 0, and its gradient is finite."""
    return LossCase(
        loss="cosine_similarity",
        y_true=np.array([[0.6, 0.8], [1.0, 0.0]], dtype="float32"),
        y_pred=np.array([[0.0, 0.0], [0.5, 0.5]], dtype="float32"),
        reference={"per_example_loss": np.array([0.0, -np.sqrt(0.5)])},
    )


def case_a_true_class_of_probability_zero():
    """Generalized cross-entropy of a true class with probability 0 gives the other classes no gradient, not NaN.

    The loss is (1 - p^q) / q of the true class alone. At p = 0 its own slope has no bound.
    """
    return LossCase(
        loss=keras.losses.CategoricalGeneralizedCrossEntropy(q=0.5),
        y_true=np.array([0, 1]),
        y_pred=np.array([[0.0, 1.0, 0.0], [0.25, 0.5, 0.25]], dtype="float32"),
        class_names=["cat", "dog", "fox"],
        reference={"per_example_loss": np.array([2.0, 2 * (1 - np.sqrt(0.5))])},
    )


@pytest.mark.parametrize("loss", ["huber", "log_cosh", "mean_squared_error", "poisson"])
def case_smooth_losses_at_their_joints(loss):
    """Losses that are smooth where their pieces meet have the same gradient there on every backend."""
    return LossCase(
        loss=loss,
        y_true=np.array([[0.0, 0.0, 1.0]], dtype="float32"),
        y_pred=np.array([[1.0, 0.0, 1.0]], dtype="float32"),  # errors of exactly delta, and of 0
    )


def case_a_distance_from_a_missing_label():
    """A label that is NaN makes the gradient NaN, as it makes the loss: no backend steps in a direction of its own."""
    return LossCase(
        loss="mean_absolute_error",
        y_true=np.array([[np.nan], [2.0]], dtype="float32"),
        y_pred=np.array([[1.0], [1.5]], dtype="float32"),
    )


def case_a_small_error_under_log_cosh():
    """Log cosh of a small error e is e^2 / 2, like half of the squared error."""
    errors = np.array([[3e-4], [1e-3], [3e-3]], dtype="float32")

    def compute():
        loss = keras.losses.LogCosh(reduction="none")
        return {"relative": loss(np.zeros_like(errors), errors) / (errors[:, 0] ** 2 / 2)}

    return ValueCase(compute, reference={"value/relative": np.ones(3)})


def case_a_sure_answer_in_focus():
    """A focal loss with gamma 1/2 has no gradient at an answer that is sure and right, and leaves the others theirs."""
    return LossCase(
        loss=keras.losses.BinaryFocalCrossentropy(gamma=0.5),
        y_true=np.array([[1.0, 0.0]], dtype="float32"),
        y_pred=np.array([[1.0, 0.25]], dtype="float32"),
    )
