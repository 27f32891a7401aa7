"""Exactly one class per example: labels can be one-hot or integers, flat or a column, of any integer type.

What goes wrong in practice: one-hot labels meet the sparse loss or the reverse, a column (N, 1) broadcasts against
(N,), a narrow integer type wraps around. The class is the same in every form, so the loss and the gradient must be
the same.
"""

import keras
import numpy as np
import pytest
from _data import color_digits, digits, iris

from backendcheck import LossCase, ModelCase, ValueCase

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
CLOTHES = ["shirt", "pants", "skirt"]
# Four examples, three classes; each row sums to 1.
CLOTHES_INTEGERS = np.array([1, 0, 2, 1])
CLOTHES_PROBABILITIES = np.array([[0.2, 0.7, 0.1], [0.5, 0.3, 0.2], [0.25, 0.5, 0.25], [0.6, 0.1, 0.3]])


def cross_entropy_on_logits(class_index, logits):
    """What categorical and sparse cross-entropy should both give: the mean of -log softmax at the true class."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    probabilities = np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)
    one_hot = np.eye(logits.shape[-1])[class_index]
    per_example = -np.log((one_hot * probabilities).sum(axis=-1))
    return {
        "per_example_loss": per_example,
        "loss": per_example.mean(),
        "gradient/y_pred": (probabilities - one_hot) / len(logits),
    }


def case_ten_digits_in_color(rng):
    """A small convolutional classifier with one-hot labels computes and learns the same on every backend.

    Scenario: E1
    """
    x, digit = color_digits(rng, 20, side=32)
    images = keras.Input((32, 32, 3), name="image")
    h = keras.layers.Conv2D(32, (3, 3), activation="relu", name="strokes")(images)
    h = keras.layers.Flatten(name="flat")(h)
    probabilities = keras.layers.Dense(10, activation="softmax", name="digit")(h)
    return ModelCase(
        model=keras.Model(images, probabilities),
        loss="categorical_crossentropy",
        x=x,
        y=keras.utils.to_categorical(digit, 10).astype("float32"),  # float64, but on the backend NumPy
        optimizer="adam",
        metrics=["accuracy"],
        class_names=DIGITS,
    )


def case_three_garments_by_integer(rng):
    """A classifier of exclusive attributes with integer labels computes and learns the same on every backend.

    The digits 0, 1 and 2 represent a shirt, pants and a skirt.

    Scenario: E3
    """
    x, garment = color_digits(rng, 16, side=64, classes=3)
    images = keras.Input((64, 64, 3), name="image")
    h = keras.layers.Conv2D(32, 3, activation="relu", name="texture")(images)
    h = keras.layers.MaxPooling2D(4, name="pool")(h)  # by 4, which keeps the next kernel at 0.9 M weights
    h = keras.layers.Flatten(name="flat")(h)
    h = keras.layers.Dense(128, activation="relu", name="shape")(h)
    probabilities = keras.layers.Dense(3, activation="softmax", name="garment")(h)
    return ModelCase(
        model=keras.Model(images, probabilities),
        loss="sparse_categorical_crossentropy",
        x=x,
        y=garment,
        metrics=["accuracy"],
        class_names=CLOTHES,
    )


@pytest.mark.parametrize("labels", ["one_hot", "integers"])
def case_one_hot_and_integers_give_one_loss(labels):
    """Categorical cross-entropy on one-hot labels equals sparse cross-entropy on integers, gradient included.

    Both are compared with the same NumPy reference.

    Scenario: E3
    """
    logits = np.log(CLOTHES_PROBABILITIES)
    one_hot = labels == "one_hot"
    loss = keras.losses.CategoricalCrossentropy if one_hot else keras.losses.SparseCategoricalCrossentropy
    return LossCase(
        loss=loss(from_logits=True),
        y_true=np.eye(3)[CLOTHES_INTEGERS] if one_hot else CLOTHES_INTEGERS,
        y_pred=logits.astype("float32"),
        class_names=CLOTHES,
        reference=cross_entropy_on_logits(CLOTHES_INTEGERS, logits),
    )


def case_one_hot_and_integers_take_the_same_step(rng):
    """From equal weights, a training step on one-hot labels and one on integers give equal weights.

    With plain SGD at learning rate 1 the step is the gradient, so this compares the gradient of every weight.

    Scenario: E3
    """
    x, garment = digits(rng, 24, classes=3)
    kernel = rng.normal(scale=0.3, size=(64, 3))

    def step(loss, y):
        inputs = keras.Input((8, 8), name="image")
        flat = keras.layers.Flatten(name="flat")(inputs)
        model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="garment")(flat))
        model.get_layer("garment").set_weights([kernel, np.zeros(3)])
        model.compile(optimizer=keras.optimizers.SGD(1.0), loss=loss)
        model.train_on_batch(x, y)
        new_kernel, new_bias = model.get_layer("garment").get_weights()
        return kernel - new_kernel, -new_bias

    def compute():
        kernel_step, bias_step = step("categorical_crossentropy", np.eye(3)[garment])
        sparse_kernel_step, sparse_bias_step = step("sparse_categorical_crossentropy", garment)
        return {
            "kernel_step": kernel_step,
            "bias_step": bias_step,
            "kernel_difference": kernel_step - sparse_kernel_step,
            "bias_difference": bias_step - sparse_bias_step,
        }

    return ValueCase(
        compute,
        reference={"value/kernel_difference": np.zeros((64, 3)), "value/bias_difference": np.zeros(3)},
    )


@pytest.mark.parametrize("shape", ["flat", "column"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "float32"])
def case_integer_labels_of_any_type(dtype, shape):
    """Labels (N,) or (N, 1), signed, unsigned or whole floats, give the same loss for the same class.

    Scenario: E4
    """
    labels = CLOTHES_INTEGERS.astype(dtype)
    logits = np.log(CLOTHES_PROBABILITIES)
    return LossCase(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        y_true=labels if shape == "flat" else labels[:, None],
        y_pred=logits.astype("float32"),
        class_names=CLOTHES,
        reference=cross_entropy_on_logits(CLOTHES_INTEGERS, logits),
    )


@pytest.mark.parametrize("shape", ["flat", "column"])
def case_yes_or_no_as_bool(shape):
    """Boolean labels (N,) or (N, 1) of a yes-or-no question count as 1 and 0, with one loss per example.

    Scenario: E4
    """
    yes = np.array([True, False, False])
    probability = np.array([[0.8], [0.3], [0.5]])
    per_example = -np.log([0.8, 0.7, 0.5])
    return LossCase(
        loss=keras.losses.BinaryCrossentropy(),
        y_true=yes if shape == "flat" else yes[:, None],
        y_pred=probability.astype("float32"),
        reference={
            "per_example_loss": per_example,
            "loss": per_example.mean(),
            # d(-log p) = -1/p for a yes, d(-log(1 - p)) = 1/(1 - p) for a no, each over N = 3
            "gradient/y_pred": np.array([[-1 / 0.8], [1 / 0.7], [1 / 0.5]]) / 3,
        },
    )


def case_class_200_in_eight_bits():
    """Class 200 of 256 stays class 200 as uint8; it is not read as int8, which would be class -56.

    Scenario: E4
    """
    class_index = np.array([200, 3, 255], dtype="uint8")
    logits = np.cos(np.arange(3 * 256)).reshape(3, 256)
    return LossCase(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        y_true=class_index,
        y_pred=logits.astype("float32"),
        reference=cross_entropy_on_logits(class_index, logits),
    )


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("uint8", (-1,)), ("int64", (-1, 1)), ("float32", (-1, 1))],
    ids=["uint8", "int64_column", "float32_column"],
)
def case_training_on_labels_of_any_type(rng, dtype, shape):
    """Integer labels train the same in `fit` in any type and shape: same steps, same accuracy.

    Scenario: E4
    """
    x, species = iris(rng, 24)
    inputs = keras.Input((4,), name="flower")
    probabilities = keras.layers.Dense(3, activation="softmax", name="species")(inputs)
    return ModelCase(
        model=keras.Model(inputs, probabilities),
        loss="sparse_categorical_crossentropy",
        x=x,
        y=species.astype(dtype).reshape(shape),
        metrics=["accuracy"],
        class_names=["setosa", "versicolor", "virginica"],
    )
