"""The labels of one epoch, when several steps run in one execution.

What goes wrong in practice: an endless generator gives the labels, `steps_per_epoch` says how many batches are an epoch, and
`steps_per_execution` makes it faster. If the steps do not divide evenly, an epoch trains on labels of the next one.
"""

import itertools

import keras
import numpy as np
import pytest

from backendcheck import ValueCase


def _batches():
    """Labels 1, 10, 100, …: their sum tells which ones were trained on."""
    for place in itertools.count():
        yield np.ones((1, 1), "float32"), np.full((1, 1), 10.0 ** (place % 6), "float32")


@pytest.mark.parametrize("steps_per_execution", [1, 2, 3])
def case_an_epoch_of_three_steps(steps_per_execution):
    """An epoch of three steps trains on three labels. Keras documents that an execution is cut off at the end of the epoch."""

    def compute():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
        # The gradient by the weight is minus the label, so a rate of 1 adds up the labels.
        model.compile(
            keras.optimizers.SGD(1.0), lambda y_true, y_pred: -keras.ops.mean(y_true * y_pred),
            steps_per_execution=steps_per_execution,
        )  # fmt: skip
        model.fit(_batches(), steps_per_epoch=3, verbose=0)
        return {"sum_of_labels": model.get_weights()[0][0, 0]}

    return ValueCase(compute, reference={"value/sum_of_labels": 111.0})
