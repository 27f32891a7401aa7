"""Gradients of which a backend gives none: zeros where that is what they are, missing where they were not taken."""

import contextlib

import keras
import numpy as np
from keras import layers, ops

from backendcheck import LossCase, ModelCase

if keras.backend.backend() == "torch":
    import torch



def losses_on(outputs):
    """A model whose own loss reads only some of its outputs."""

    class OwnLoss(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **options):
            return sum(ops.mean(ops.square(y_pred[place])) for place in outputs)

    x = keras.Input((4,))
    hidden = layers.Dense(5, activation="tanh", name="first")(x)
    return OwnLoss(x, [hidden, layers.Dense(3, name="second")(hidden)])


def case_an_output_without_labels(rng):
    """The gradient by the embedding does not go through the head that is computed from it."""
    y = [np.zeros((7, 5)), rng.integers(0, 3, 7)]
    return ModelCase(losses_on([1]), "mse", rng.normal(size=(7, 4)), [y[0], np.zeros((7, 3))], weights="seeded")


def case_a_loss_that_ignores_its_prediction():
    return LossCase(lambda y_true, y_pred: ops.mean(ops.square(y_true), axis=-1), [[1.0, 2.0]], [[0.0, 1.0]])


def case_a_loss_that_stops_its_gradient():
    def stopped(y_true, y_pred):
        return ops.mean(ops.square(y_true - ops.stop_gradient(y_pred)), axis=-1)

    return LossCase(stopped, [[1.0, 2.0]], [[0.0, 1.0]])


def case_a_loss_of_steps():
    return LossCase(lambda y_true, y_pred: ops.mean(ops.square(y_true - ops.round(y_pred)), axis=-1), [[1.0, 2.0]], [[0.2, 1.1]])


def case_a_loss_in_numpy():
    def in_numpy(y_true, y_pred):
        return ops.convert_to_tensor(np.mean(np.square(ops.convert_to_numpy(y_true - y_pred)), axis=-1))

    return LossCase(in_numpy, [[1.0, 2.0]], [[0.0, 1.0]])


def case_switched_off_in_the_loss():
    def switched_off(y_true, y_pred):
        with torch.no_grad() if keras.backend.backend() == "torch" else contextlib.nullcontext():
            return ops.mean(ops.square(y_true - y_pred), axis=-1)

    return LossCase(switched_off, [[1.0, 2.0]], [[0.0, 1.0]])
