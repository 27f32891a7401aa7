"""Example i of `predict` is example i of x.

What goes wrong in practice: a data adapter shuffles although it should not, or the last, smaller batch is dropped,
padded or returned in the wrong place. Shapes fit, every single prediction is right, and each belongs to another
example.
"""

import keras
import numpy as np
import pytest
from _data import iris

from backendcheck import ModelCase, ValueCase


def case_predictions_stay_with_their_example(rng):
    """With 23 examples in batches of 5, each prediction is that of the example at the same position.

    Scenario: O5
    """
    x, species = iris(rng, 23)
    kernel, bias = rng.normal(size=(4, 3)), rng.normal(size=3)
    inputs = keras.Input((4,), name="flower")
    model = keras.Model(inputs, keras.layers.Dense(3, name="species")(inputs))
    model.get_layer("species").set_weights([kernel, bias])
    return ModelCase(
        model=model,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        x=x,
        y=species,
        batch_size=5,
        weights="as built",
        class_names=["setosa", "versicolor", "virginica"],
        reference={"predictions": x @ kernel + bias},
    )


@pytest.mark.parametrize("batch_size", [1, 5, 22, 23, 64])
def case_every_example_comes_back_once(batch_size):
    """For any batch size, `predict` returns each of 23 examples once, in order.

    Scenario: O5
    """
    number = np.arange(23, dtype="float32")[:, None]

    def compute():
        inputs = keras.Input((1,), name="number")
        model = keras.Model(inputs, keras.layers.Rescaling(2.0, name="double")(inputs))
        return {"doubled": model.predict(number, batch_size=batch_size, verbose=0)}

    return ValueCase(compute, reference={"value/doubled": 2 * number})


def case_fit_takes_the_batches_in_order():
    """With `shuffle=False`, `fit` takes the batches in the order of x, and the smaller one last.

    At each step the single weight falls by the mean of the batch times the learning rate. The rates are 1, 0.1 and
    0.01, so the final weight tells which batch came when.

    Scenario: O5
    """
    x = np.array([1, 2, 3, 7, 8, 9, 60], dtype="float32")[:, None]

    def compute():
        inputs = keras.Input((1,), name="number")
        model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="weight")(inputs))
        model.get_layer("weight").set_weights([np.array([[10.0]])])
        falling = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], [1.0, 0.1, 0.01])
        model.compile(optimizer=keras.optimizers.SGD(falling), loss="mean_absolute_error")
        model.fit(x, np.zeros((7, 1)), batch_size=3, shuffle=False, verbose=0)
        return {"weight": model.get_layer("weight").get_weights()[0]}

    return ValueCase(compute, reference={"value/weight": np.array([[10 - 1.0 * 2 - 0.1 * 8 - 0.01 * 60]])})
