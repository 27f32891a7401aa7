"""Losses that compute in float16 or bfloat16: with `dtype=`, with such a `floatx`, or of predictions in that type.

What goes wrong in practice: cross-entropy keeps probabilities epsilon = 1e-7 away from 0 and 1. In 16 bits 1 - 1e-7 is 1,
and in float16 the inverse of 1e-7 is infinite. Few bits also saturate early: in bfloat16 a sigmoid of 7 is exactly 1. So the
examples that the model is sure of give NaN or infinity, and after one step so does every weight.
"""

import keras
import numpy as np
import pytest

from backendcheck import LossCase, ValueCase

CERTAIN = -np.log(1e-7)  # what a true class of probability 0 costs, as Keras clips it


def losses_of(loss, y_true, y_pred):
    """The value of a case: the loss of each example, in float32."""
    y_true, y_pred = np.array(y_true, dtype="float32"), np.array(y_pred, dtype="float32")
    return lambda: {"losses": keras.ops.cast(loss(y_true, y_pred), "float32")}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("loss", ["BinaryCrossentropy", "BinaryFocalCrossentropy"])
def case_certain_and_right(loss, dtype):
    """In half precision as well, a yes with probability 1 and a no with probability 0 cost nothing."""
    in_few_bits = getattr(keras.losses, loss)(dtype=dtype, reduction="none")
    return ValueCase(losses_of(in_few_bits, [[1], [0]], [[1], [0]]), reference={"value/losses": np.zeros(2)})


def case_a_wrong_no_costs_as_much_as_a_wrong_yes():
    """In bfloat16 as well, a yes with probability 0 and a no with probability 1 cost the same, and a finite amount."""

    def compute():
        loss = keras.losses.BinaryCrossentropy(dtype="bfloat16", reduction="none")
        wrong = keras.ops.cast(loss(np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]])), "float32")
        return {"ratio": wrong[1] / wrong[0]}

    return ValueCase(compute, reference={"value/ratio": np.array(1.0)})


def case_predictions_of_mixed_precision():
    """As people write it: a loss function of predictions in float16, as a model in mixed precision gives them, is finite."""

    def compute():
        y_true, y_pred = np.array([[1.0], [0.0]]), keras.ops.cast(np.array([[1.0], [0.0]]), "float16")
        return {"losses": keras.ops.cast(keras.losses.binary_crossentropy(y_true, y_pred), "float32")}

    return ValueCase(compute, reference={"value/losses": np.zeros(2)})


def case_a_true_class_without_probability():
    """In float16 as well, the divergence from a true class of probability 0 is -log(epsilon), not infinite."""
    loss = keras.losses.KLDivergence(dtype="float16", reduction="none")
    return ValueCase(losses_of(loss, [[1, 0]], [[0, 1]]), reference={"value/losses": np.array([CERTAIN])})


@pytest.mark.parametrize("loss", ["CategoricalCrossentropy", "Dice"])
def case_the_gradient_of_a_probability_of_zero(loss):
    """In float16 as well, a probability of exactly 0 has a finite gradient: that of the clip is 0, that of Dice is bounded."""
    y_true = [[1, 0]] if loss == "CategoricalCrossentropy" else [[0, 0]]
    return LossCase(
        loss=getattr(keras.losses, loss)(dtype="float16"),
        y_true=np.array(y_true, dtype="float32"),
        y_pred=np.array([[0, 1]] if loss == "CategoricalCrossentropy" else [[0, 0]], dtype="float32"),
    )


def case_a_small_error():
    """In float16 as well, log cosh of an error of 0.01 is no less than nothing: it is 0.00005."""

    def compute():
        loss = keras.losses.LogCosh(dtype="float16")
        return {"is_negative": keras.ops.cast(loss(np.array([[0.0]]), np.array([[0.01]])), "float32") < 0}

    return ValueCase(compute, reference={"value/is_negative": np.array(False)})


def case_seconds_since_1970():
    """A loss in float64 tells two seconds apart: the error of a prediction that is a second late is 1.

    Between 1.7e9 and the next number of float32 there are 128 seconds.
    """

    def compute():
        loss = keras.losses.MeanAbsoluteError(dtype="float64")
        return {"error": keras.ops.cast(loss(np.array([[1.7e9 + 1]]), np.array([[1.7e9]])), "float32")}

    return ValueCase(compute, reference={"value/error": np.array(1.0)})
