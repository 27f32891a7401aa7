"""How the losses of examples, steps and terms become one number.

What goes wrong in practice: `reduction="none"` shows the loss of each example, and stays in the model that is trained. One
backend takes the sum without a word. A weighted mean divides by the wrong sum, and of two losses one is forgotten.
"""

import keras
import numpy as np
import pytest

from backendcheck import ValueCase


@pytest.mark.parametrize("reduction", ["none", "sum"])
def case_a_step_on_a_loss_without_reduction(reduction):
    """A step on a loss for each example is refused, or is the step on their sum.

    The labels are 1, 2 and 4, the predictions 0. With a learning rate of 1 the kernel is the sum of 2 y x, which is 42.
    """
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(1.0), loss=keras.losses.MeanSquaredError(reduction=reduction))
    labels = np.array([[1.0], [2.0], [4.0]], "float32")
    model.fit(labels, labels, batch_size=3, verbose=0)
    return {"kernel": model.get_weights()[0]}


def case_a_weighted_mean_lies_between_the_losses():
    """The weighted mean of losses is no larger than the largest: with all weight on the first series it is the mean of that."""

    def compute():
        loss = keras.losses.MeanAbsoluteError(reduction="mean_with_sample_weight")
        series = np.array([[[1.0], [2.0]], [[3.0], [4.0]]], dtype="float32")
        return {"loss": loss(series, np.zeros_like(series), sample_weight=np.array([[1.0], [0.0]], dtype="float32"))}

    return ValueCase(compute, reference={"value/loss": (1 + 2) / 2})


def case_two_losses_for_one_output():
    """As people write it: a list of two losses for one output is refused, or it is their sum."""

    def compute():
        inputs = keras.Input((1,))
        model = keras.Model(inputs, keras.layers.Identity()(inputs))
        model.compile(loss=["mean_squared_error", "mean_absolute_error"])
        result = model.evaluate(np.array([[1.0], [2.0]]), np.array([[3.0], [3.0]]), verbose=0, return_dict=True)
        return {"loss": result["loss"]}

    return ValueCase(compute, reference={"value/loss": (4 + 1) / 2 + (2 + 1) / 2})
