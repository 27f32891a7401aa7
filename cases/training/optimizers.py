"""Optimizers: the step that each of them makes of a gradient.

What goes wrong in practice: loss and gradients are right, and the model still learns at another rate, because an option of the
optimizer is left out, counted twice, or applied elsewhere. Training goes on without any message. After one step, weights and
state are compared with the documented rule; after several, backends are compared with each other.
"""

import keras
import numpy as np
import pytest
from _data import iris

from backendcheck import ModelCase, ValueCase

MATRIX = np.array([[0.5, -1.0, 0.25], [2.0, 0.125, -0.5]], "float32")
VECTOR = np.array([0.0, 1.0, -2.0], "float32")
SLOPES = np.array([[0.5, -0.25, 1.0], [-0.125, 2.0, 0.75]], "float32")
NAMES = ("hidden", "species")
CLASSES = [
    "SGD", "RMSprop", "Adam", "AdamW", "Adamax", "Adagrad", "Adadelta", "Nadam", "Ftrl", "Lion", "Lamb", "Adafactor", "Muon",
]  # fmt: skip


def one_of_each(name):
    """An optimizer of Keras by name, with a step large enough to see its effect."""
    if not hasattr(keras.optimizers, name):
        pytest.skip(f"this version of Keras has no {name}")
    return getattr(keras.optimizers, name)


def without_decay_of_biases():
    optimizer = keras.optimizers.AdamW(0.05, weight_decay=0.5, amsgrad=True)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def one_for_each_layer(pattern=".*hidden/.*"):
    by_path = one_of_each("OptimizerMap")(keras.optimizers.SGD(0.1), {pattern: keras.optimizers.Adam(0.05, clipnorm=0.2)})
    return one_of_each("MultiOptimizer")(by_path)


STEPS = {
    "nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, clipvalue=0.05),
    "centered": lambda: keras.optimizers.RMSprop(0.05, momentum=0.5, centered=True, global_clipnorm=0.5),
    "decay_of_kernels": without_decay_of_biases,
    "schedule": lambda: keras.optimizers.Adamax(keras.optimizers.schedules.ExponentialDecay(0.05, 1, 0.5)),
    "adadelta": lambda: keras.optimizers.Adadelta(1.0),
    "lamb": lambda: one_of_each("Lamb")(0.05),
    "muon": lambda: one_of_each("Muon")(0.05, exclude_layers=["species"]),
    "schedule_free": lambda: one_of_each("ScheduleFreeAdamW")(0.05, warmup_steps=2),
    "scaled_loss": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.05), initial_scale=64.0),
    "one_for_each_layer": one_for_each_layer,
}


@pytest.mark.parametrize("step", STEPS)
def case_one_step(step, rng):
    """The first step of an optimizer is that of its documented rule."""
    x, species = iris(rng, 12)
    hidden = keras.layers.Dense(4, activation="tanh", name="hidden")
    model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(3, activation="softmax", name="species")])
    return ModelCase(model, "sparse_categorical_crossentropy", x, species, optimizer=STEPS[step]())


def case_a_pattern_for_one_layer(rng):
    """The pattern `hidden/.*` matches the same weights before a model is saved and after it is loaded."""
    x, species = iris(rng, 12)
    hidden = keras.layers.Dense(4, activation="tanh", name="hidden")
    model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(3, activation="softmax", name="species")])
    return ModelCase(model, "sparse_categorical_crossentropy", x, species, optimizer=one_for_each_layer("hidden/.*"))


def case_ridge_strength_of_ftrl(rng):
    """Ftrl divides by the strength of its L2 regularization once, as the rule in its documentation does."""
    x, species = iris(rng, 12)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, name="size")])
    return ModelCase(model, "mse", x, species, optimizer=keras.optimizers.Ftrl(0.1, l2_regularization_strength=2.0))


def case_several_steps():
    """Every optimizer reaches the same weights in four steps with a falling learning rate, every second of them an update."""

    def compute():
        return {name: _after_steps(getattr(keras.optimizers, name)) for name in CLASSES if hasattr(keras.optimizers, name)}

    return ValueCase(compute)


def _after_steps(optimizer_class):
    falling = keras.optimizers.schedules.PiecewiseConstantDecay([0, 2], [0.1, 0.05, 0.01])
    optimizer = optimizer_class(falling, gradient_accumulation_steps=2, clipnorm=1.5)
    weights = [keras.Variable(MATRIX, name="matrix"), keras.Variable(VECTOR, name="vector")]
    for turn in range(4):
        slopes = SLOPES * (1 + turn) / 2
        optimizer.apply([keras.ops.convert_to_tensor(slope) for slope in (slopes, slopes[0])], weights)
    return np.concatenate([keras.ops.convert_to_numpy(weight).ravel() for weight in weights])


def case_decay_of_a_layer_excluded_by_its_name():
    """Words that exclude weights from weight decay are looked up in the names of weights, which the name of a layer is not in.

    Both weights are 1, and their names are kernel. Without a gradient, a rate of 0.1 and a decay of 0.5 make 0.95 of them.
    """

    def compute():
        model = keras.Sequential([keras.Input((1,)), *(keras.layers.Dense(1, use_bias=False, name=name) for name in NAMES)])
        model.set_weights([np.ones((1, 1)), np.ones((1, 1))])
        optimizer = keras.optimizers.SGD(0.1, weight_decay=0.5)
        optimizer.exclude_from_weight_decay(var_names=["hidden"])
        optimizer.apply([keras.ops.zeros((1, 1)), keras.ops.zeros((1, 1))], model.trainable_variables)
        return dict(zip(NAMES, model.get_weights(), strict=True))

    return ValueCase(compute, reference={f"value/{name}": np.array([[0.95]]) for name in NAMES})


def case_second_step_without_a_schedule():
    """ScheduleFreeAdamW trains at the average of its two steps, mixed with a tenth of the last one.

    A constant gradient moves the auxiliary weight z by the learning rate: z is -0.1, then -0.2. The average of both is -0.15, and
    the weight is 0.1 * z + 0.9 * average.
    """
    optimizer_class = one_of_each("ScheduleFreeAdamW")
    return ValueCase(lambda: _after_two_steps(optimizer_class(0.1), 0.0), reference={"value/weight": np.array([-0.155])})


def case_a_rate_that_is_not_relative():
    """Adafactor keeps a learning rate of 0.9 in its second step if the rate is not relative to the step.

    A gradient of constant size moves a weight by 0.9 times its size.
    """
    optimizer_class = keras.optimizers.Adafactor
    return ValueCase(
        lambda: _after_two_steps(optimizer_class(0.9, relative_step=False), 1.0), reference={"value/weight": np.array([0.01])}
    )


def _after_two_steps(optimizer, start):
    weight = keras.Variable(np.array([start], "float32"), name="weight")
    for _ in range(2):
        optimizer.apply([keras.ops.convert_to_tensor(np.array([0.5], "float32"))], [weight])
    return {"weight": weight}
