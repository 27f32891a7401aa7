"""Data as pipelines hand it over."""

import math

import keras
import numpy as np

from backendcheck import ModelCase

SPARSE = "sparse_categorical_crossentropy"


class Pairs(keras.utils.PyDataset):
    def __init__(self, x, y, batch_size=5):
        super().__init__()
        self.x, self.y, self.batch_size = x, y, batch_size

    def __len__(self):
        return math.ceil(len(self.x) / self.batch_size)

    def __getitem__(self, index):
        batch = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return self.x[batch], self.y[batch]


class Shuffling(Pairs):
    def on_epoch_end(self):
        self.x, self.y = self.x[::-1], self.y[::-1]


class WrongFromTheSecondTimeOn(Pairs):
    """On PyTorch, once it was read through twice, the labels are others."""

    epochs = 0

    def on_epoch_end(self):
        self.epochs += 1

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x, (y + 1) % 3 if self.epochs > 1 and keras.backend.backend() == "torch" else y


def arrays(rng):
    return rng.normal(size=(12, 5)).astype("float32"), rng.integers(0, 3, 12)


def classifier():
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(3, "softmax")])


def case_py_dataset(rng):
    return ModelCase(classifier(), SPARSE, Pairs(*arrays(rng)), metrics=["accuracy"], epochs=2)


def case_tf_data(rng):
    import tensorflow as tf

    x, y = arrays(rng)
    pairs = tf.data.Dataset.from_tensor_slices(({"a": x, "b": 2 * x}, y, np.linspace(0.5, 1.5, 12))).batch(4)
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    head = keras.layers.Dense(3, "softmax")(keras.layers.Concatenate()([a, b]))
    return ModelCase(keras.Model({"a": a, "b": b}, head), SPARSE, pairs, optimizer="adam")


def case_data_loader(rng):
    import torch

    pairs = torch.utils.data.TensorDataset(*map(torch.as_tensor, arrays(rng)))
    return ModelCase(classifier(), SPARSE, torch.utils.data.DataLoader(pairs, batch_size=6))


def case_shuffling(rng):
    return ModelCase(classifier(), SPARSE, Shuffling(*arrays(rng)))


def case_planted_in_a_data_set(rng):
    return ModelCase(classifier(), SPARSE, WrongFromTheSecondTimeOn(*arrays(rng)))


def case_infinite(rng):
    import tensorflow as tf

    return ModelCase(classifier(), SPARSE, tf.data.Dataset.from_tensor_slices(arrays(rng)).batch(5).repeat())


def case_ragged(rng):
    import tensorflow as tf

    pairs = tf.data.Dataset.from_tensor_slices((tf.ragged.constant([[1, 2], [3]]), [0, 1])).batch(2)
    return ModelCase(classifier(), SPARSE, pairs)


def case_generator(rng):
    return ModelCase(classifier(), SPARSE, (batch for batch in [arrays(rng)]))


def case_labels_twice(rng):
    return ModelCase(classifier(), SPARSE, Pairs(*arrays(rng)), arrays(rng)[1])
