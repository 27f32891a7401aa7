"""The cases of `usual_ways.py`: what `test_losses.py` checks by hand, declared once."""

import keras
import pytest
from _data import CLASS, KERNEL, LOSSES, ONE_HOT, WEIGHT, X

from backendcheck import LossCase, ModelCase


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def case_loss(name, weighted):
    """The loss and its gradient are the same everywhere, and those of the formula."""
    loss, options, y_true, y_pred = LOSSES[name]
    return LossCase(
        loss=getattr(keras.losses, loss)(**options), y_true=y_true, y_pred=y_pred, sample_weight=WEIGHT if weighted else None
    )


@pytest.mark.parametrize("labels", ["integer", "one_hot"])
def case_training(labels):
    """A linear classifier has the same loss, and the same weights after one step."""
    inputs = keras.Input((X.shape[1],))
    layer = keras.layers.Dense(KERNEL.shape[1], use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([KERNEL])
    loss = keras.losses.SparseCategoricalCrossentropy if labels == "integer" else keras.losses.CategoricalCrossentropy
    return ModelCase(
        model=model, loss=loss(from_logits=True), x=X, y=CLASS if labels == "integer" else ONE_HOT,
        optimizer=keras.optimizers.SGD(0.5), metrics=["accuracy"],
    )
