"""Labels of one kind and a loss for another kind, in `fit`.

What goes wrong in practice: one-hot rows for a loss of integers or the reverse, 0 and 255 from an image file, -1 and
1 from another library, a NaN or a -1 where a label is missing, names instead of numbers. What stops one backend in
its first step trains on another, and the loss looks normal.
"""

import keras
import numpy as np
import pytest

from backendcheck import Raises, ValueCase

ANIMAL = np.array([0.7, 0.2, 0.1])  # what the model predicts for cat, dog and fox, for every image
YES = 0.8
AGE = 3.0
OF_INTEGERS = ["sparse_categorical_crossentropy", "categorical_generalized_cross_entropy"]
OF_ONE_HOT_ROWS = ["categorical_crossentropy", "categorical_focal_crossentropy", "kl_divergence", "categorical_hinge"]
OF_YES_OR_NO = ["binary_crossentropy", "binary_focal_crossentropy"]
OF_NUMBERS = ["mean_squared_error", "mean_absolute_error", "huber"]


def trained_on(labels, loss, *, n=None, sample_weight=None):
    """The value of a case: the loss of one step of `fit` on N examples, and how many weights are finite after it.

    The model predicts the constants above for each example.
    """

    def compute():
        if loss in OF_INTEGERS + OF_ONE_HOT_ROWS:
            n_units, activation, bias = 3, "softmax", np.log(ANIMAL)
        elif loss in OF_YES_OR_NO:
            n_units, activation, bias = 1, "sigmoid", np.log([YES / (1 - YES)])
        else:
            n_units, activation, bias = 1, "linear", np.array([AGE])
        images = keras.Input((2,), name="image")
        head = keras.layers.Dense(n_units, activation=activation, name="head")
        model = keras.Model(images, head(images))
        head.set_weights([np.zeros((2, n_units)), bias])
        generalized = loss == "categorical_generalized_cross_entropy"  # Keras has no function of this name
        compiled = keras.losses.CategoricalGeneralizedCrossEntropy() if generalized else loss
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss=compiled)
        x = np.ones((len(labels) if n is None else n, 2), dtype="float32")
        history = model.fit(x, labels, sample_weight=sample_weight, batch_size=len(x), shuffle=False, verbose=0).history
        finite = sum(int(np.isfinite(weight).sum()) for weight in model.get_weights())
        return {"loss": np.array(history["loss"]), "finite_weights": np.array(finite)}

    return compute


@pytest.mark.parametrize("loss", OF_INTEGERS)
def case_one_hot_rows_for_the_loss_of_integers(loss):
    """`fit` refuses one-hot rows for a loss of class indices."""
    return ValueCase(trained_on(np.eye(3, dtype="float32"), loss), expect=Raises())


@pytest.mark.parametrize("loss", OF_ONE_HOT_ROWS)
@pytest.mark.parametrize("shape", ["flat", "column"])
def case_integers_for_the_loss_of_one_hot_rows(shape, loss):
    """`fit` refuses integer labels, (N,) or (N, 1), for a loss of one-hot rows, even if there are N classes."""
    labels = np.array([0, 1, 2])
    return ValueCase(trained_on(labels if shape == "flat" else labels[:, None], loss), expect=Raises())


@pytest.mark.parametrize("loss", OF_INTEGERS)
def case_a_fraction_for_the_loss_of_integers(loss):
    """`fit` refuses label 1.9; it does not become class 1."""
    labels = np.array([0.0, 1.9, 2.0], dtype="float32")
    return ValueCase(trained_on(labels, loss), expect=Raises())


@pytest.mark.parametrize("label", [pytest.param(3, id="one_past_the_last"), pytest.param(-1, id="minus_one")])
def case_no_class_for_the_generalized_loss(label):
    """`fit` refuses a label outside 0 ... C-1 for generalized cross-entropy, which takes integers."""
    return ValueCase(trained_on(np.array([0, 1, label]), "categorical_generalized_cross_entropy"), expect=Raises())


@pytest.mark.parametrize("kind", ["text", "objects"])
def case_names_for_labels(kind):
    """`fit` refuses names as labels: the numbers that they mean cannot be guessed."""
    labels = np.array(["cat", "dog", "fox"], dtype=object if kind == "objects" else None)
    return ValueCase(trained_on(labels, "sparse_categorical_crossentropy"), expect=Raises())


@pytest.mark.parametrize("loss", OF_YES_OR_NO)
def case_minus_one_and_one_for_yes_or_no(loss):
    """`fit` refuses labels -1 and 1 for binary cross-entropy, which expects 0 and 1."""
    labels = np.array([[1], [-1], [-1], [1]], dtype="float32")
    return ValueCase(trained_on(labels, loss), expect=Raises())


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def case_zero_and_one_for_a_hinge_loss(loss):
    """Labels 0 and 1 for a hinge loss count as -1 and 1, for which it is defined."""
    labels = np.array([[1], [0], [0], [1]], dtype="float32")
    hinge = np.maximum(1 - (2 * labels[:, 0] - 1) * AGE, 0)
    exact = np.mean(hinge if loss == "hinge" else hinge**2)
    return ValueCase(trained_on(labels, loss), reference={"value/loss": np.array([exact])})


@pytest.mark.parametrize("size", [3, 1], ids=["in_one_batch", "one_by_one"])
def case_three_answers_for_a_hinge_loss(size):
    """Labels -1, 0 and 1, for no, no answer and yes, have the same hinge loss in any batches: 0 stays 0.

    Beside -1 the label 0 has the loss 1. Counted as -1 it has the loss 1.5.
    """

    def compute():
        score = keras.Input((1,), name="score")
        model = keras.Model(score, keras.layers.Identity()(score))
        model.compile(loss="hinge")
        labels = np.array([[-1], [0], [1]], dtype="float32")
        return {"loss": model.evaluate(np.full((3, 1), 0.5, dtype="float32"), labels, batch_size=size, verbose=0)}

    return ValueCase(compute, reference={"value/loss": (1.5 + 1.0 + 0.5) / 3})


def case_counts_for_the_loss_of_shares():
    """Votes of 3 to 1 for the divergence of shares are refused, or count as 3 to 1: not as 1 to 1."""

    def compute():
        loss = keras.losses.KLDivergence()
        votes, predicted = np.array([[3.0, 1.0]], dtype="float32"), np.array([[0.5, 0.5]], dtype="float32")
        return {"loss": loss(votes, predicted)}

    return ValueCase(compute, reference={"value/loss": 3 * np.log(3 / 0.5) + np.log(1 / 0.5)})


@pytest.mark.parametrize("loss", OF_YES_OR_NO)
def case_zero_and_255_for_yes_or_no(loss):
    """`fit` refuses labels 0 and 255, as in an image mask, for binary cross-entropy."""
    labels = np.array([[255], [0], [0], [255]], dtype="uint8")
    return ValueCase(trained_on(labels, loss), expect=Raises())


@pytest.mark.parametrize("loss", OF_YES_OR_NO)
def case_minus_one_for_a_missing_answer(loss):
    """`fit` refuses -1 for "missing" in binary cross-entropy: it is not between 0 and 1."""
    labels = np.array([[1], [0], [-1], [1]], dtype="float32")
    return ValueCase(trained_on(labels, loss), expect=Raises())


@pytest.mark.parametrize("loss", OF_NUMBERS)
def case_minus_999_for_a_missing_age(loss):
    """A regression loss takes any number as a label: an age of -999, for "missing", counts and outweighs all others."""
    labels = np.array([[2.0], [4.0], [-999.0], [3.0]], dtype="float32")
    error = np.abs(labels.astype("float64") - AGE)
    per_example = {
        "mean_squared_error": error**2,
        "mean_absolute_error": error,
        "huber": np.where(error <= 1, error**2 / 2, error - 0.5),
    }[loss]
    return ValueCase(trained_on(labels, loss), reference={"value/loss": np.array([per_example.mean()])})


@pytest.mark.parametrize("loss", OF_INTEGERS + OF_ONE_HOT_ROWS + OF_YES_OR_NO + OF_NUMBERS)
def case_a_label_that_is_no_number(loss):
    """`fit` refuses labels that contain NaN; it does not continue to weights that are all NaN."""
    if loss in OF_INTEGERS:
        labels = np.array([0, np.nan, 2], dtype="float32")
    elif loss in OF_ONE_HOT_ROWS:
        labels = np.array([[1, 0, 0], [np.nan, np.nan, np.nan], [0, 0, 1]], dtype="float32")
    else:
        labels = np.array([[1], [np.nan], [0]], dtype="float32")
    return ValueCase(trained_on(labels, loss), expect=Raises())


def case_a_missing_label_in_mixed_precision():
    """In mixed precision, too, `fit` refuses labels that contain NaN; it does not leave the whole batch out in silence."""

    def compute():
        inputs = keras.Input((1,), name="x")
        layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", dtype="mixed_float16")
        model = keras.Model(inputs, layer(inputs))
        scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=1.0)
        model.compile(scaled, loss="mean_squared_error")
        model.fit(np.ones((2, 1), "float32"), np.array([[1.0], [np.nan]], "float32"), batch_size=2, verbose=0)
        return {"kernel": model.get_weights()[0]}

    return ValueCase(compute, expect=Raises())


def case_a_weight_that_is_no_number():
    """`fit` refuses sample weights that contain NaN; it does not continue to weights that are all NaN."""
    weights = np.array([1.0, np.nan, 1.0], dtype="float32")
    return ValueCase(trained_on(np.array([0, 1, 2]), "sparse_categorical_crossentropy", sample_weight=weights), expect=Raises())


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def case_labels_in_a_wide_unsigned_type(dtype):
    """Unsigned integer labels, as a database gives them, keep their classes."""
    labels = np.array([0, 1, 2], dtype=dtype)
    exact = -np.mean(np.log(ANIMAL))
    return ValueCase(trained_on(labels, "sparse_categorical_crossentropy"), reference={"value/loss": np.array([exact])})


def case_labels_that_are_complex_numbers():
    """`fit` refuses complex labels, even if every imaginary part is 0."""
    return ValueCase(trained_on(np.array([0, 1, 2], dtype="complex64"), "sparse_categorical_crossentropy"), expect=Raises())


def case_class_200_wrapped_around_in_eight_bits():
    """As people write it: class 200 as int8 is -56 before Keras receives it, and `fit` refuses that."""
    labels = np.array([0, 200, 2]).astype("int8")
    return ValueCase(trained_on(labels, "sparse_categorical_crossentropy"), expect=Raises())


@pytest.mark.parametrize("shorter", ["labels", "weights"])
def case_fewer_than_there_are_examples(shorter):
    """`fit` refuses three labels, or three weights, for four examples."""
    labels = np.array([0, 1, 2] if shorter == "labels" else [0, 1, 2, 0])
    weights = np.ones(3, dtype="float32") if shorter == "weights" else None
    return ValueCase(trained_on(labels, "sparse_categorical_crossentropy", n=4, sample_weight=weights), expect=Raises())
