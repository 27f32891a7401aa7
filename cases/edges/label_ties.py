"""Gradients where predictions equal their label or each other exactly: ties, kinks, zeros.

What goes wrong in practice: a distance of 0 between a prediction and its label, a probability of exactly 1, two equal
scores. The loss is right on every backend. Where the function is smooth, its gradient has one value. At a kink there
is a choice, and the backends choose differently. At a root the gradient can be NaN, which ends a training that had
just become perfect.
"""

import keras
import numpy as np
import pytest
from keras import ops

from backendcheck import LossCase, OptOut

# Three predictions (N, 2). The first equals its label, the others differ from it by (3, 4) and by (0, 1).
PREDICTED = np.array([[1.0, 2.0], [4.0, 6.0], [1.0, 3.0]], dtype="float32")
TARGET = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]], dtype="float32")


@pytest.mark.parametrize("order", [1, 2, np.inf], ids=["1", "2", "inf"])
def case_no_distance_to_the_label(order):
    """A prediction that equals its label has distance 0, and gradient 0 by symmetry, not NaN."""
    gradient = {
        1: [[0, 0], [1, 1], [0, 1]],
        2: [[0, 0], [0.6, 0.8], [0, 1]],
        np.inf: [[0, 0], [0, 1], [0, 1]],
    }[order]
    return LossCase(
        loss=lambda y_true, y_pred: ops.norm(y_pred - y_true, ord=order, axis=-1),
        y_true=TARGET,
        y_pred=PREDICTED,
        reference={"gradient/y_pred": np.array(gradient) / 3},
    )


def case_an_absolute_error_of_zero():
    """`abs` has gradient 0 at 0: a prediction that equals its label does not move."""
    return LossCase(
        loss=lambda y_true, y_pred: ops.sum(ops.abs(y_pred - y_true), axis=-1),
        y_true=TARGET,
        y_pred=PREDICTED,
        reference={"gradient/y_pred": np.array([[0, 0], [1, 1], [0, 1]]) / 3},
    )


def case_no_spread_among_the_scores():
    """The standard deviation of equal scores is 0, and its gradient is 0, not NaN."""
    scores = np.array([[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]], dtype="float32")
    # d std / d x = (x - mean) / (n std), with std = sqrt(2 / 3) in the second row.
    gradient = np.array([[0, 0, 0], [-1, 0, 1]]) / (3 * np.sqrt(2 / 3)) / 2
    return LossCase(
        loss=lambda _, y_pred: ops.std(y_pred, axis=-1),
        y_true=np.zeros(2, dtype="float32"),
        y_pred=scores,
        reference={"gradient/y_pred": gradient},
    )


@pytest.mark.parametrize("name", ["normalize", "UnitNormalization"])
def case_an_embedding_of_length_zero(name):
    """An embedding of length 0 has cosine 0 with the direction of its label, and a finite gradient."""
    scale = {"normalize": ops.normalize, "UnitNormalization": keras.layers.UnitNormalization()}[name]
    return LossCase(
        loss=lambda y_true, y_pred: -ops.sum(y_true * scale(y_pred), axis=-1),
        y_true=np.array([[1.0, 0.0], [1.0, 0.0]], dtype="float32"),
        y_pred=np.array([[0.0, 0.0], [3.0, 4.0]], dtype="float32"),
        reference={"loss": -0.3},
    )


def case_focusing_on_nothing():
    """A focal weight (1 - p)^0 is 1 for every p, so its gradient is 0, even where p is 1."""
    return LossCase(
        loss=lambda _, y_pred: ops.power(1.0 - y_pred, 0.0) * (1.0 - y_pred),
        y_true=np.ones(3, dtype="float32"),
        y_pred=np.array([0.25, 0.5, 1.0], dtype="float32"),
        reference={"loss": 1.25 / 3, "gradient/y_pred": np.full(3, -1 / 3)},
    )


@pytest.mark.parametrize("name", ["logaddexp", "logaddexp2", "hypot"])
def case_two_equal_scores_share_a_smooth_function(name):
    """At equal arguments these smooth functions give each argument the same gradient: 1/2, or 1/sqrt(2) for `hypot`."""
    share = 1 / np.sqrt(2) if name == "hypot" else 0.5
    combine = {
        "logaddexp": lambda left, right: ops.logaddexp(left, right),
        "logaddexp2": lambda left, right: ops.logaddexp2(left, right),
        "hypot": lambda left, right: ops.hypot(left, right),
    }[name]
    return LossCase(
        loss=lambda _, y_pred: combine(y_pred[:, 0], y_pred[:, 1]),
        y_true=np.zeros(2, dtype="float32"),
        y_pred=np.array([[1.0, 1.0], [3.0, 3.0]], dtype="float32"),
        reference={"gradient/y_pred": np.full((2, 2), share / 2)},
    )


def case_a_smooth_activation_at_zero():
    """`celu` with alpha 1 is smooth: its slope at 0 is 1 from both sides."""
    return LossCase(
        loss=lambda _, y_pred: ops.celu(y_pred, alpha=1.0),
        y_true=np.zeros(3, dtype="float32"),
        y_pred=np.array([-1.0, 0.0, 1.0], dtype="float32"),
        reference={"gradient/y_pred": np.array([np.exp(-1), 1, 1]) / 3},
    )


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def case_the_better_of_two_equal_scores(name):
    """At a tie `maximum` and `minimum` share the gradient evenly, so exchanging the two scores changes nothing."""
    better = {"maximum": ops.maximum, "minimum": ops.minimum}[name]
    return LossCase(
        loss=lambda _, y_pred: better(y_pred[:, 0], y_pred[:, 1]),
        y_true=np.zeros(2, dtype="float32"),
        y_pred=np.array([[1.0, 1.0], [-2.0, -2.0]], dtype="float32"),
        reference={"gradient/y_pred": np.full((2, 2), 0.25)},
    )


@pytest.mark.parametrize("name", ["fmax", "fmin"])
def case_the_better_score_that_is_a_number(name):
    """`fmax` and `fmin` have the same gradient at a tie on every backend."""
    better = {"fmax": lambda left, right: ops.fmax(left, right), "fmin": lambda left, right: ops.fmin(left, right)}[name]
    return LossCase(
        loss=lambda _, y_pred: better(y_pred[:, 0], y_pred[:, 1]),
        y_true=np.zeros(2, dtype="float32"),
        y_pred=np.array([[1.0, 1.0], [-2.0, -2.0]], dtype="float32"),
    )


def case_a_probability_on_the_limit_of_clip():
    """A probability exactly on a limit of `clip` has the same gradient on every backend."""
    return LossCase(
        loss=lambda _, y_pred: -ops.log(ops.clip(y_pred, 0.25, 0.75)),
        y_true=np.ones(4, dtype="float32"),
        y_pred=np.array([0.1, 0.25, 0.5, 0.75], dtype="float32"),
    )


@pytest.mark.parametrize("name", ["leaky_relu", "selu", "hard_tanh", "sparse_sigmoid", "relu_up_to_1"])
def case_a_logit_on_a_kink(name):
    """A logit exactly on the kink of its activation has the same gradient on every backend."""
    activation = {
        "leaky_relu": lambda logits: ops.leaky_relu(logits),
        "selu": lambda logits: ops.selu(logits),
        "hard_tanh": lambda logits: ops.hard_tanh(logits),
        "sparse_sigmoid": lambda logits: ops.sparse_sigmoid(logits),
        "relu_up_to_1": keras.layers.ReLU(max_value=1.0),
    }[name]
    return LossCase(
        loss=lambda _, y_pred: activation(y_pred),
        y_true=np.zeros(3, dtype="float32"),
        y_pred=np.array([-1.0, 0.0, 1.0], dtype="float32"),
    )


@pytest.mark.parametrize("name", ["relu", "relu6", "elu", "hard_sigmoid"])
def case_a_logit_of_zero(name):
    """At a logit of 0, `relu`, `relu6`, `elu` and `hard_sigmoid` have the gradients 0, 0, 1 and 1/6."""
    activation, slope = {
        "relu": (ops.relu, 0.0),
        "relu6": (ops.relu6, 0.0),
        "elu": (ops.elu, 1.0),
        "hard_sigmoid": (ops.hard_sigmoid, 1 / 6),
    }[name]
    return LossCase(
        loss=lambda _, y_pred: activation(y_pred),
        y_true=np.zeros(2, dtype="float32"),
        y_pred=np.array([0.0, 0.0], dtype="float32"),
        reference={"gradient/y_pred": np.full(2, slope / 2)},
    )


@pytest.mark.parametrize("name", ["max", "min", "logsumexp"])
def case_equal_best_scores_share_the_gradient(name):
    """The best score of tied classes shares its gradient evenly among them."""
    scores = np.array([[1.0, 1.0, 1.0], [-2.0, -2.0, -2.0]], dtype="float32")
    best = {"max": ops.max, "min": ops.min, "logsumexp": ops.logsumexp}[name]
    return LossCase(
        loss=lambda _, y_pred: best(y_pred, axis=-1),
        y_true=np.zeros(2, dtype="float32"),
        y_pred=scores,
        class_names=["cat", "dog", "fox"],
        reference={"gradient/y_pred": np.full((2, 3), 1 / 6)},
    )


def case_equal_best_scores_of_a_class():
    """The best score of a class (`segment_max`) shares its gradient evenly among the examples that tie."""
    return LossCase(
        loss=lambda y_true, y_pred: ops.segment_max(y_pred, ops.cast(y_true, "int32"), num_segments=2),
        y_true=np.array([0, 0, 1, 1], dtype="int32"),
        y_pred=np.array([2.0, 2.0, 3.0, 1.0], dtype="float32"),
        reference={"gradient/y_pred": np.array([0.5, 0.5, 1.0, 0.0]) / 2},
        order=[OptOut(relation="examples", reason="The loss has one element per class, not per example.")],
    )


def case_a_root_behind_a_mask():
    """As people write it: `where(known, sqrt(error), 0)` gives an unknown label gradient 0, not NaN."""
    return LossCase(
        loss=lambda y_true, y_pred: ops.where(y_true >= 0, ops.sqrt(y_pred), ops.zeros_like(y_pred)),
        y_true=np.array([-1.0, 1.0, 1.0], dtype="float32"),
        y_pred=np.array([0.0, 1.0, 4.0], dtype="float32"),
        reference={"loss": 1.0, "gradient/y_pred": np.array([0, 0.5, 0.25]) / 3},
    )


@pytest.mark.parametrize("reduction", ["nansum", "nanmean"])
def case_missing_labels_as_nan(reduction):
    """As people write it: NaN marks a missing label, and `nansum` or `nanmean` of the squared errors leaves it out."""
    n_known = np.array([[2.0], [1.0]]) if reduction == "nanmean" else 1.0

    def loss(y_true, y_pred):
        errors = ops.square(y_pred - y_true)
        return ops.nanmean(errors, axis=-1) if reduction == "nanmean" else ops.nansum(errors, axis=-1)

    return LossCase(
        loss=loss,
        y_true=np.array([[1.0, 0.0], [np.nan, 1.0]], dtype="float32"),
        y_pred=np.array([[0.5, 0.25], [0.75, 0.5]], dtype="float32"),
        reference={"gradient/y_pred": 2 * np.array([[-0.5, 0.25], [0, -0.5]]) / n_known / 2},
    )
