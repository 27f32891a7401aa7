"""Labels of several outputs from a data set. `fit` takes a list of arrays, so a data set that returns a list seems natural."""

import keras
import numpy as np
import pytest


class Batches(keras.utils.PyDataset):
    """Two batches of two examples, with labels for two outputs in a list or a tuple."""

    def __init__(self, nest):
        super().__init__()
        self.nest = nest

    def __len__(self):
        return 2

    def __getitem__(self, number):
        x = np.array([[1.0, 2.0], [3.0, 4.0]], "float32") + number
        return x, self.nest([x[:, :1], x[:, 1:]])


@pytest.mark.parametrize("nest", [list, tuple])
def case_labels_of_two_outputs(nest):
    """A model with two outputs learns from a data set that returns their labels in a list or a tuple."""
    inputs = keras.Input((2,))
    outputs = [keras.layers.Dense(1, kernel_initializer="ones", name=name)(inputs) for name in ("width", "height")]
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.01), loss=["mse", "mae"])
    history = model.fit(Batches(nest), shuffle=False, verbose=0).history
    return {"loss": history["loss"], "kernels": np.concatenate([layer.get_weights()[0] for layer in model.layers[1:]])}
