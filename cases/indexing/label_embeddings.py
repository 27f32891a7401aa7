"""Labels as inputs of a model: conditional models, class tokens, ids of users. Each label is looked up in an embedding.

What goes wrong in practice: a batch holds the same label many times, and how an optimizer updates its row depends on
the backend. TensorFlow passes on one gradient row for each occurrence. Adam and similar optimizers then square every
row by itself, where the square of their sum is meant. A label that is frequent in a batch learns at another rate,
without any message.
"""

import keras
import numpy as np
import pytest
from _data import iris

from backendcheck import ModelCase

OPTIMIZERS = ["sgd", "adam", "adamw", "nadam", "adamax", "rmsprop", "adagrad", "adafactor", "ftrl", "lion"]
SPECIES = 3


def conditional_model():
    """Predicts two measurements of a flower from its species, which is looked up."""
    species = keras.Input((), dtype="int32", name="species")
    looked_up = keras.layers.Embedding(SPECIES, 4, name="table")(species)
    return keras.Model(species, keras.layers.Dense(2, name="measurements")(looked_up))


def optimizer_of(name):
    """The optimizer, with a step large enough to see its effect."""
    return keras.optimizers.get({"class_name": name, "config": {"learning_rate": 0.05}})


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def case_labels_that_repeat_in_a_batch(rng, optimizer):
    """The row of a label that occurs many times in a batch is trained with the sum of its gradients."""
    measured, species = iris(rng, 30)
    return ModelCase(conditional_model(), "mse", species.astype("int32"), measured[:, :2], optimizer=optimizer_of(optimizer))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def case_labels_that_occur_once(rng, optimizer):
    """The row of a label that occurs once in a batch is trained with its gradient."""
    measured, _ = iris(rng, SPECIES)
    return ModelCase(conditional_model(), "mse", np.array([2, 0, 1], "int32"), measured[:, :2], optimizer=optimizer_of(optimizer))


def case_the_accumulator_of_a_repeated_label():
    """Adagrad adds the square of the summed gradient to its accumulator, once per label and step.

    Each label has one weight and a target of 1. Label 0 is looked up twice, so its gradient is 2 * 2/3 * (w - 1). The
    step moves w by 0.1 * g / sqrt(0.1 + g**2).
    """
    label = keras.Input((1,), dtype="int32")
    model = keras.Model(label, keras.layers.Flatten()(keras.layers.Embedding(3, 1, name="table")(label)))
    weights = np.array([[0.25], [0.5], [0.75]], "float32")
    model.set_weights([weights])
    times = np.array([[2.0], [1.0], [0.0]])
    gradient = times * 2 / 3 * (weights - 1.0)
    return ModelCase(
        model, "mse", np.array([[0], [1], [0]]), np.ones((3, 1)), weights="as built",
        optimizer=keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.1, epsilon=1e-7),
        reference={"train/weight/table/embeddings": weights - 0.1 * gradient / (np.sqrt(0.1 + gradient**2) + 1e-7)},
    )  # fmt: skip
