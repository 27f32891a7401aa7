"""Functions, losses, metrics and values that draw random numbers, and some that only remember."""

# ruff: noqa: NPY002 - NumPy's global generator is what is tried

import keras
import numpy as np
from keras import layers, ops

from backendcheck import FunctionCase, LossCase, ModelCase, ValueCase

GENERATOR = np.random.default_rng(7)


def model(*extra):
    return keras.Sequential([keras.Input((4,)), layers.Dense(8, "tanh"), *extra, layers.Dense(3, "softmax")])


def trained(rng, *extra, **options):
    arguments = {"loss": "categorical_crossentropy", **options}
    return ModelCase(model(*extra), arguments.pop("loss"), rng.normal(size=(6, 4)), np.eye(3)[rng.integers(0, 3, 6)], **arguments)


# --- functions and values --------------------------------------------------------------------------------------


def case_dropout_in_a_function(rng):
    """Dropout without a seed."""
    return FunctionCase(lambda x: keras.random.dropout(x, 0.5), [rng.normal(size=(4, 5))])


def case_fixed_seed(rng):
    """A seed gives other numbers on each backend."""
    return FunctionCase(lambda x: x + keras.random.normal((4, 5), seed=3), [rng.normal(size=(4, 5))])


def case_one_of_two_results(rng):
    """Only the noisy result is random."""
    return FunctionCase(
        lambda x: {"noisy": x + keras.random.normal((4, 5), seed=1), "plain": x * 2}, [rng.normal(size=(4, 5))]
    )  # fmt: skip


def case_numpy_in_a_function(rng):
    """NumPy's global generator."""
    return FunctionCase(lambda x: x * float(np.random.normal()), [rng.normal(size=(4, 5))])


def case_numpy_without_a_seed(rng):
    """A generator of NumPy without a seed."""
    return FunctionCase(lambda x: x * float(np.random.default_rng().normal()), [rng.normal(size=(4, 5))])


def from_a_kept_generator(x):
    return x * float(GENERATOR.normal())


def case_kept_generator(rng):
    """A generator that goes on from call to call."""
    return FunctionCase(from_a_kept_generator, [rng.normal(size=(4, 5))])


def case_values(rng):
    """Two values of one case, and the numbers of the fixture."""
    return {"noise": keras.random.normal((3,)), "given": rng.normal(size=3), "numpy": np.random.normal(size=3)}


def case_what_a_layer_starts_from():
    """The weights of a layer that the case builds itself."""
    return {"out": layers.Dense(3)(np.ones((2, 4), "float32")), "shape": np.array([2, 3])}


# --- losses and metrics ----------------------------------------------------------------------------------------


def noisy(y_true, y_pred):
    return ops.mean((y_true - y_pred) ** 2, -1) * (1 + keras.random.uniform((), seed=5))


def noisy_with_numpy(y_true, y_pred):
    return ops.mean((y_true - y_pred) ** 2, -1) * (1 + np.random.rand())


def case_loss(rng):
    """A loss with noise."""
    return LossCase(noisy, rng.normal(size=(4, 5)), rng.normal(size=(4, 5)))


def case_loss_of_a_model(rng):
    """A loss with noise, in training."""
    return trained(rng, loss=noisy_with_numpy, metrics=["accuracy"])


class Shuffled(keras.metrics.Metric):
    """Sums by a random rank, as a ranking metric that shuffles ties does."""

    def __init__(self, name="shuffled", **kwargs):
        super().__init__(name=name, **kwargs)
        self.seed_generator = keras.random.SeedGenerator(1)
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        ranks = ops.argsort(keras.random.uniform((6,), seed=self.seed_generator))
        self.total.assign_add(ops.sum(ops.cast(ranks, "float32") * y_pred[:, 0]))

    def result(self):
        return self.total * 1


def case_metric(rng):
    """A metric that shuffles."""
    return trained(rng, metrics=["accuracy", Shuffled()])


# --- models ----------------------------------------------------------------------------------------------------


class Doubtful(layers.Layer):
    """Draws in inference as well."""

    def __init__(self):
        super().__init__(name="doubtful")
        self.seed_generator = keras.random.SeedGenerator(3)

    def call(self, x):
        return keras.random.dropout(x, 0.5, seed=self.seed_generator)


class WithNumpy(layers.Layer):
    """Draws from NumPy."""

    def call(self, x):
        return x * float(np.random.rand())


def case_training(rng):
    """Noise in training only."""
    return trained(rng, layers.GaussianNoise(0.5, name="noise"), layers.Dropout(0.5, name="dropout"))


def case_inference(rng):
    """Dropout that is always on."""
    return trained(rng, Doubtful())


def case_numpy_in_a_layer(rng):
    """NumPy's numbers in a layer."""
    return trained(rng, WithNumpy())


# --- what only remembers ---------------------------------------------------------------------------------------


def case_statistics(rng):
    """BatchNormalization changes with each batch, and the same in each run."""
    return trained(rng, layers.BatchNormalization(), metrics=["accuracy"])


def case_mean_that_goes_on():
    """A metric outside `compute` goes on from call to call."""
    mean = keras.metrics.Mean()

    def compute():
        mean.update_state([1.0, 2.0])
        return {"mean": mean.result(), "built": np.array(layers.Dense(3)(np.ones((2, 4))).shape[-1])}

    return ValueCase(compute)


def case_dropout_that_drops_nothing(rng):
    """Draws nothing."""
    return trained(rng, layers.Dropout(0.0))


# --- the same numbers on every backend -------------------------------------------------------------------------


class EveryOp(layers.Layer):
    """Uses each op that can be fixed."""

    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(3)

    def call(self, x, training=False):
        if not training:
            return x
        seed = self.seed_generator
        x = x + keras.random.normal(ops.shape(x), 0.1, 0.2, seed=seed) + keras.random.truncated_normal(ops.shape(x), seed=seed)
        x = x * ops.cast(keras.random.randint((3,), 1, 5, seed=seed), x.dtype) + keras.random.uniform((), 0.5, 0.7, seed=seed)
        x = x + ops.cast(keras.random.categorical(x, 3, seed=seed), x.dtype)
        return keras.random.shuffle(keras.random.dropout(x, 0.3, seed=seed), axis=1, seed=seed)


class Refused(layers.Layer):
    """Calls an op that cannot be fixed."""

    def __init__(self, draw):
        super().__init__()
        self.draw = draw
        self.seed_generator = keras.random.SeedGenerator(3)

    def call(self, x, training=False):
        return x + self.draw(self.seed_generator) if training else x


def case_fixed_ops(rng):
    """Every op, in three epochs of uneven batches."""
    model = keras.Sequential([keras.Input((3,)), EveryOp(), layers.Dense(2)])
    return ModelCase(model, "mse", rng.normal(size=(7, 3)), rng.normal(size=(7, 2)), random="fixed", epochs=3, batch_size=3)


def case_fixed_in_inference(rng):
    """Dropout that is always on."""
    return trained(rng, Doubtful(), random="fixed", batch_size=4)


def case_fixed_beside_numpy(rng):
    """NumPy's numbers are not those of Keras."""
    return trained(rng, layers.Dropout(0.5), WithNumpy(), random="fixed")


def case_fixed_gamma(rng):
    """No two backends have the same gamma distribution."""
    return trained(rng, Refused(lambda seed: keras.random.gamma((8,), 0.5, seed=seed)), random="fixed")


def case_fixed_without_a_seed(rng):
    """Keras's own generator counts calls, also those that trace."""
    return trained(rng, Refused(lambda _: keras.random.normal((8,))), random="fixed")
