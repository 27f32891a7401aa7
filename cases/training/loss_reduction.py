"""Training on a loss that is not reduced to one number.

What goes wrong in practice: `reduction="none"` shows the loss of each example, and stays in the model that is trained. One
backend takes the sum without a word.
"""

import keras
import numpy as np
import pytest


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
