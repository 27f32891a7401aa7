"""The usual way: the formulas written by hand, and one run of pytest for each backend.

    KERAS_BACKEND=jax pytest -W default -o pythonpath=benchmarks/by_hand benchmarks/by_hand

Gradients are compared with differences of the formula in float64.
"""

import keras
import numpy as np
import pytest
from _data import CLASS, KERNEL, LOSSES, ONE_HOT, WEIGHT, X

STEP = 1e-6


def _log_softmax(z):
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def _binary(y, p):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=1)


def _huber(y, p, delta):
    error = np.abs(y - p)
    return np.where(error <= delta, error**2 / 2, delta * error - delta**2 / 2).mean(axis=1)


FORMULAS = {
    "sparse_categorical": lambda y, p: -np.log(p[np.arange(len(y)), y] / p.sum(axis=1)),
    "sparse_categorical_of_logits": lambda y, p: -_log_softmax(p)[np.arange(len(y)), y],
    "categorical": lambda y, p: -(y * np.log(p / p.sum(axis=1, keepdims=True))).sum(axis=1),
    "categorical_smoothed": lambda y, p: -((0.9 * y + 0.1 / 4) * np.log(p / p.sum(axis=1, keepdims=True))).sum(axis=1),
    "binary": _binary,
    "binary_of_logits": lambda y, p: _binary(y, 1 / (1 + np.exp(-p))),
    "divergence": lambda y, p: (y * np.log(y / p)).sum(axis=1),
    "poisson": lambda y, p: (p - y * np.log(p + 1e-7)).mean(axis=1),
    "hinge": lambda y, p: np.maximum(1 - y * p, 0).mean(axis=1),
    "categorical_hinge": lambda y, p: np.maximum(1 + ((1 - y) * p).max(axis=1) - (y * p).sum(axis=1), 0),
    "squares": lambda y, p: ((y - p) ** 2).mean(axis=1),
    "absolute": lambda y, p: np.abs(y - p).mean(axis=1),
    "huber": lambda y, p: _huber(y, p, 0.7),
    "logarithm_of_cosh": lambda y, p: np.log(np.cosh(p - y)).mean(axis=1),
}


def _gradient(function, at):
    """The gradient of a function of an array, by central differences in float64."""
    gradient = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[place] += STEP
        down[place] -= STEP
        gradient[place] = (function(up) - function(down)) / (2 * STEP)
    return gradient


def _keras_gradient(function, array):
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tensor = tf.constant(array)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            value = function(tensor)
        return tape.gradient(value, tensor).numpy()
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(function)(array))
    import torch

    tensor = torch.tensor(array, requires_grad=True)
    function(tensor).backward()
    return tensor.grad.numpy()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_loss(name, weighted):
    loss_class, options, y_true, y_pred = LOSSES[name]
    loss = getattr(keras.losses, loss_class)(**options)
    weight = WEIGHT if weighted else None

    def formula(p):
        return float((FORMULAS[name](y_true, p) * (1 if weight is None else weight.astype(float))).mean())

    exact = y_pred.astype(np.float64)
    np.testing.assert_allclose(float(loss(y_true, y_pred, sample_weight=weight)), formula(exact), rtol=1e-5, atol=1e-6)
    gradient = _keras_gradient(lambda p: loss(y_true, p, sample_weight=weight), y_pred)
    np.testing.assert_allclose(gradient, _gradient(formula, exact), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("labels", ["integer", "one_hot"])
def test_training(labels):
    inputs = keras.Input((X.shape[1],))
    layer = keras.layers.Dense(KERNEL.shape[1], use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([KERNEL])
    loss = keras.losses.SparseCategoricalCrossentropy if labels == "integer" else keras.losses.CategoricalCrossentropy
    y = CLASS if labels == "integer" else ONE_HOT
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss=loss(from_logits=True), metrics=["accuracy"])

    logits = X.astype(float) @ KERNEL.astype(float)
    value = -(ONE_HOT * _log_softmax(logits)).sum(axis=1).mean()
    kernel = KERNEL - 0.5 * X.astype(float).T @ (np.exp(_log_softmax(logits)) - ONE_HOT) / len(X)
    np.testing.assert_allclose(model.predict(X, verbose=0), logits, rtol=1e-4, atol=1e-5)
    evaluated = model.evaluate(X, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(evaluated["loss"], value, rtol=1e-5)
    np.testing.assert_allclose(evaluated["accuracy"], (logits.argmax(axis=1) == CLASS).mean())
    history = model.fit(X, y, batch_size=len(X), shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], [value], rtol=1e-5)
    np.testing.assert_allclose(layer.get_weights()[0], kernel, rtol=1e-4, atol=1e-5)
