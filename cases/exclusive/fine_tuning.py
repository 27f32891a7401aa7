"""Training in steps: a head that is trained further, and weighted validation.

What goes wrong in practice: a layer is frozen between two calls of `fit`, and the model is not compiled again. Keras
documents that the change then has no effect. This is so on TensorFlow. On PyTorch it takes effect at once, and on JAX
the second call raises.
"""

import keras
import numpy as np
from _data import iris

from backendcheck import Fit, ModelCase


def classifier():
    return keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(6, activation="tanh", name="hidden"),
        keras.layers.Dense(3, activation="softmax", name="species"),
    ])


def examples(rng):
    """Twelve examples to train with, and six others."""
    x, y = iris(rng, 18)
    return x[:12], y[:12], x[12:], y[12:]


def case_weighted_validation(rng):
    """The validation loss that fit reports counts each example with its weight."""
    x, y, other_x, other_y = examples(rng)
    weights = np.linspace(0.25, 3.0, len(other_y))
    return ModelCase(
        classifier(), "sparse_categorical_crossentropy", x, y, validation=(other_x, other_y, weights), epochs=3, batch_size=5,
    )


def case_frozen_and_compiled_again(rng):
    """A layer that is frozen before the model is compiled again keeps its weights, and the head trains on."""
    x, y, *_ = examples(rng)
    fits = [Fit(epochs=2), Fit(epochs=2, trainable={"hidden": False}, compile=True)]
    return ModelCase(classifier(), "sparse_categorical_crossentropy", x, y, fits=fits)


def case_frozen_without_compiling_again(rng):
    """A layer that is frozen without compiling again trains on, as Keras documents."""
    x, y, *_ = examples(rng)
    fits = [Fit(), Fit(trainable={"hidden": False})]
    return ModelCase(classifier(), "sparse_categorical_crossentropy", x, y, fits=fits)
