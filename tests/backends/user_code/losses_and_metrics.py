"""Losses and metrics of one's own, as functions and as classes."""

import keras
import numpy as np
from keras import ops

from backendcheck import LossCase, ModelCase


def focal_loss(y_true, y_pred):
    y_pred = ops.clip(y_pred, 1e-7, 1 - 1e-7)
    return -ops.sum(y_true * (1 - y_pred) ** 2 * ops.log(y_pred), axis=-1)


class Clipped(keras.losses.Loss):
    def __init__(self, delta=0.3, name="clipped"):
        super().__init__(name=name)
        self.delta = delta

    def call(self, y_true, y_pred):
        error = ops.abs(ops.subtract(y_true, y_pred))
        return ops.mean(ops.minimum(error, self.delta), axis=-1)


class RunningScale(keras.losses.Loss):
    """A loss with a variable: each call changes what the next one returns."""

    def __init__(self):
        super().__init__(name="running_scale")
        self.scale = keras.Variable(1.0, trainable=False, name="scale")

    def call(self, y_true, y_pred):
        error = ops.mean(ops.square(ops.subtract(y_true, y_pred)), axis=-1)
        self.scale.assign(0.9 * self.scale + 0.1 * ops.stop_gradient(ops.mean(error)))
        return error / ops.stop_gradient(ops.convert_to_tensor(self.scale))


class RightOnes(keras.metrics.Metric):
    def __init__(self, name="right_ones", **options):
        super().__init__(name=name, **options)
        self.n = self.add_variable((), "zeros", name="n")

    def update_state(self, y_true, y_pred, sample_weight=None):
        hits = ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1))
        self.n.assign_add(ops.sum(ops.cast(hits, self.n.dtype)))

    def result(self):
        return ops.convert_to_tensor(self.n)


class AsInTheDocumentation(RightOnes):
    """The example of `keras.metrics.Metric` returns the variable itself."""

    def result(self):
        return self.n


class ResetByHand(RightOnes):
    def reset_state(self):
        self.n.assign(ops.zeros_like(self.n))


def mean_gap(y_true, y_pred):
    return ops.mean(ops.abs(ops.subtract(y_true, y_pred)), axis=-1)


def data(rng):
    return rng.normal(size=(12, 5)).astype("float32"), np.eye(3, dtype="float32")[rng.integers(0, 3, 12)]


def classifier():
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(3, "softmax")])


def case_loss_function(rng):
    return ModelCase(classifier(), focal_loss, *data(rng), metrics=[mean_gap, RightOnes()], class_names=["a", "b", "c"])


def case_loss_class(rng):
    return ModelCase(classifier(), Clipped(), *data(rng), metrics=[RightOnes()])


def case_loss_class_by_itself(rng):
    return LossCase(Clipped(), rng.normal(size=(6, 3)), rng.normal(size=(6, 3)))


def case_loss_with_a_variable(rng):
    return ModelCase(classifier(), RunningScale(), *data(rng))


def case_metric_that_returns_its_variable(rng):
    return ModelCase(classifier(), "categorical_crossentropy", *data(rng), metrics=[AsInTheDocumentation()])


def case_minus_sign(rng):
    def squared(y_true, y_pred):
        return ops.mean((y_true - y_pred) ** 2, axis=-1)

    return ModelCase(classifier(), squared, *data(rng))


def case_planted_in_a_loss(rng):
    def next_class_on_jax(y_true, y_pred):
        return focal_loss(ops.roll(y_true, 1, axis=-1) if keras.backend.backend() == "jax" else y_true, y_pred)

    return ModelCase(classifier(), next_class_on_jax, *data(rng))


def case_metric_reset_by_another_tensor(rng):
    return ModelCase(classifier(), "categorical_crossentropy", *data(rng), metrics=[ResetByHand()])


def case_planted_in_a_metric(rng):
    def twice_on_tensorflow(y_true, y_pred):
        return mean_gap(y_true, y_pred) * (2.0 if keras.backend.backend() == "tensorflow" else 1.0)

    return ModelCase(classifier(), "categorical_crossentropy", *data(rng), metrics=[twice_on_tensorflow])
