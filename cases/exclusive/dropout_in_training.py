"""Models that forget at random while they train.

What goes wrong in practice: almost every classifier has dropout, and each backend draws other masks, so its training cannot be
compared. A difference in the loss of the first epoch then says nothing. With `random="fixed"` all backends draw the same masks.
A dropped label, a wrong weight or another update then shows.
"""

import keras
import numpy as np
from _data import digit_features, digits
from keras import layers

from backendcheck import ModelCase


def case_classifier(rng):
    """A classifier of digits with dropout learns the same in three epochs of uneven batches."""
    x, digit = digit_features(rng, 20)
    model = keras.Sequential(
        [
            keras.Input((10,)),
            layers.Dense(16, activation="relu"),
            layers.Dropout(0.4),
            layers.Dense(10, activation="softmax"),
        ]
    )
    return ModelCase(
        model, "sparse_categorical_crossentropy", x, digit, batch_size=8, epochs=3, metrics=["accuracy"],
        optimizer=keras.optimizers.Adam(0.01), random="fixed",
    )  # fmt: skip


def case_noise_of_every_kind(rng):
    """Noise, alpha and Gaussian dropout change inputs and hidden layers alike on every backend."""
    x, digit = digit_features(rng, 12)
    model = keras.Sequential(
        [
            keras.Input((10,)),
            layers.GaussianNoise(0.1),
            layers.Dense(8, activation="selu"),
            layers.AlphaDropout(0.2),
            layers.GaussianDropout(0.3),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return ModelCase(model, loss, x, digit, batch_size=4, epochs=2, random="fixed")


def case_rows_of_an_image(rng):
    """A recurrent model drops inputs and states, in each row of a digit, alike on every backend."""
    images, digit = digits(rng, 10)
    model = keras.Sequential(
        [
            keras.Input((8, 8)),
            layers.GRU(6, dropout=0.3, recurrent_dropout=0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )
    weight = np.where(digit % 2, 2.0, 0.5)
    return ModelCase(
        model, "sparse_categorical_crossentropy", images, digit, sample_weight=weight, batch_size=5, epochs=2, random="fixed"
    )


def case_channels_of_an_image(rng):
    """Dropout of whole channels, before labels of one pixel each, is the same on every backend."""
    images, _ = digits(rng, 6)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.SpatialDropout2D(0.5),
            layers.Conv2D(1, 1, activation="sigmoid"),
        ]
    )
    is_ink = (images > 0.5).astype("float32")[..., None]
    return ModelCase(model, "binary_crossentropy", images[..., None], is_ink, batch_size=4, epochs=2, random="fixed")
