"""Example i of `predict` is example i of x.

What goes wrong in practice: a data adapter shuffles although it was told not to, or the last, smaller batch is dropped,
padded or returned in the wrong place. Shapes fit, every single prediction is right, and all of them belong to others.
"""

import keras
import numpy as np
import pytest
from _data import iris

from backendcheck import ModelCase, ValueCase


def case_predictions_stay_with_their_example(rng):
    """With 23 examples in batches of 5, each prediction is that of the example at its own place.

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
    """Whatever the batch size, `predict` returns each of 23 examples once, in order.

    Scenario: O5
    """
    number = np.arange(23, dtype="float32")[:, None]

    def compute():
        inputs = keras.Input((1,), name="number")
        model = keras.Model(inputs, keras.layers.Rescaling(2.0, name="double")(inputs))
        return {"doubled": model.predict(number, batch_size=batch_size, verbose=0)}

    return ValueCase(compute, reference={"value/doubled": 2 * number})


def case_fit_sees_the_examples_in_order_when_told_not_to_shuffle():
    """With `shuffle=False` each step of `fit` sees the batch that is next in x, the last one being smaller.

    One weight, target 0, absolute error: each step subtracts learning rate x mean of the batch, so the weight after
    the epoch tells which examples were seen; the largest batch comes last and moves it furthest.

    Scenario: O5
    """
    x = 2.0 ** np.arange(7, dtype="float32")[:, None]

    def compute():
        seen = []
        inputs = keras.Input((1,), name="number")
        model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="weight")(inputs))
        model.get_layer("weight").set_weights([np.array([[1000.0]])])
        model.compile(optimizer=keras.optimizers.SGD(1.0), loss="mean_absolute_error")
        after_each_batch = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: seen.append(model.get_layer("weight").get_weights()[0][0, 0])
        )
        model.fit(x, np.zeros((7, 1)), batch_size=3, shuffle=False, verbose=0, callbacks=[after_each_batch])
        return {"mean_of_each_batch": -np.diff([1000.0, *seen])}

    return ValueCase(compute, reference={"value/mean_of_each_batch": np.array([7 / 3, 56 / 3, 64.0])})
