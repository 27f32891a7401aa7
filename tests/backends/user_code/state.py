"""Layers that remember: statistics, counters, generators of their own."""

import keras
from keras import ops

from backendcheck import ModelCase


class Counter(keras.layers.Layer):
    """Counts its calls, in inference as well, and shows it."""

    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, dtype="int32", name="count")

    def call(self, x):
        self.count.assign(self.count + 1)
        return x * (1 + 0.1 * ops.cast(self.count, x.dtype))


class Centred(keras.layers.Layer):
    """Like a BatchNormalization: the mean of the batch in training, a moving one otherwise."""

    def build(self, shape):
        self.mean = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False, name="mean")

    def call(self, x, training=False):
        if not training:
            return x - self.mean
        mean = ops.mean(x, axis=0)
        self.mean.assign(0.9 * self.mean + 0.1 * mean)
        return x - mean


class AlwaysMoving(Centred):
    """Uses the moving mean that it has just moved: is its gradient taken through that?"""

    def call(self, x):
        self.mean.assign(0.9 * self.mean + 0.1 * ops.mean(x, axis=0))
        return x - self.mean


class Noisy(keras.layers.Layer):
    def __init__(self, always=False, **options):
        super().__init__(**options)
        self.always = always
        self.generator = keras.random.SeedGenerator(7)

    def call(self, x, training=False):
        return x + 0.1 * keras.random.normal(ops.shape(x), seed=self.generator) if training or self.always else x


class TwiceOnJax(Counter):
    def call(self, x):
        self.count.assign(self.count + (2 if keras.backend.backend() == "jax" else 1))
        return x * (1 + 0.1 * ops.cast(self.count, x.dtype))


def with_layer(layer):
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(4), layer, keras.layers.Dense(2)])


def data(rng):
    return rng.normal(size=(12, 5)).astype("float32"), rng.normal(size=(12, 2)).astype("float32")


def case_counter(rng):
    return ModelCase(with_layer(Counter()), "mse", *data(rng))


def case_counter_in_batches(rng):
    return ModelCase(with_layer(Counter()), "mse", *data(rng), batch_size=5)


def case_moving_mean(rng):
    return ModelCase(with_layer(Centred()), "mse", *data(rng))


def case_noise_in_training(rng):
    return ModelCase(with_layer(Noisy()), "mse", *data(rng))


def case_noise_always(rng):
    return ModelCase(with_layer(Noisy(always=True)), "mse", *data(rng))


def case_mean_that_always_moves(rng):
    return ModelCase(with_layer(AlwaysMoving()), "mse", *data(rng))


def case_stateful_rnn(rng):
    inputs = keras.Input(batch_shape=(4, 3, 2))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GRU(3, stateful=True)(inputs)))
    return ModelCase(model, "mse", rng.normal(size=(4, 3, 2)).astype("float32"), rng.normal(size=(4, 2)).astype("float32"))


def case_planted_in_a_counter(rng):
    return ModelCase(with_layer(TwiceOnJax()), "mse", *data(rng))
