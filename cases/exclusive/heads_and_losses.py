"""The last layer of a model and its loss, with valid labels.

What goes wrong in practice: `from_logits` and the activation of the head do not fit, so the softmax is applied twice
or never. Or the head is a softmax over a single unit, which always predicts 1. Or the head has a class too many, or a
class has no examples. None of this is refused, and the loss goes down all the same.
"""

import keras
import numpy as np
import pytest

from backendcheck import Raises, ValueCase

LOGITS = np.array([2.0, -1.0, 0.5])  # for cat, dog and fox, for every image
ANIMALS = np.array([0, 2, 1, 0])
YES_LOGIT = 1.5
YES = np.array([[1], [0], [0], [1]], dtype="float32")


def trained(head, loss, labels):
    """The value of a case: the loss of one step of `fit` on `labels`. The model has the logits above.

    `head` is the number of units and their activation.
    """

    def compute():
        n_units, activation = head
        images = keras.Input((2,), name="image")
        layer = keras.layers.Dense(n_units, activation=activation, name="head")
        model = keras.Model(images, layer(images))
        layer.set_weights([np.zeros((2, n_units)), np.resize(LOGITS if n_units > 1 else YES_LOGIT, n_units)])
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
        history = model.fit(np.ones((len(labels), 2), dtype="float32"), labels, batch_size=len(labels), verbose=0).history
        return {"loss": np.array(history["loss"])}

    return compute


def softmax(logits):
    """The probabilities of competing classes."""
    return np.exp(logits) / np.exp(logits).sum()


def sigmoid(logits):
    """The probability of each label by itself."""
    return 1 / (1 + np.exp(-logits))


def binary_crossentropy(labels, p):
    """The mean over examples and labels."""
    return -np.mean(np.where(labels == 1, np.log(p), np.log(1 - p)))


@pytest.mark.parametrize("loss", ["SparseCategoricalCrossentropy", "CategoricalCrossentropy", "BinaryCrossentropy"])
@pytest.mark.parametrize("head", ["activation_and_from_logits", "neither"])
def case_the_activation_is_there_once(head, loss):
    """As people write it: an activation with `from_logits=True`, or neither of them, still gives the loss of the logits.

    The activation (softmax or sigmoid) must be applied once. With both it is applied twice. With neither, logits are
    taken for probabilities.
    """
    twice = head == "activation_and_from_logits"
    loss_class = {
        "SparseCategoricalCrossentropy": keras.losses.SparseCategoricalCrossentropy,
        "CategoricalCrossentropy": keras.losses.CategoricalCrossentropy,
        "BinaryCrossentropy": keras.losses.BinaryCrossentropy,
    }[loss]
    compiled = loss_class(from_logits=twice)
    if loss == "BinaryCrossentropy":
        compute = trained((1, "sigmoid" if twice else None), compiled, YES)
        exact = binary_crossentropy(YES, sigmoid(YES_LOGIT))
    else:
        labels = ANIMALS if loss.startswith("Sparse") else np.eye(3, dtype="float32")[ANIMALS]
        compute = trained((3, "softmax" if twice else None), compiled, labels)
        exact = -np.mean(np.log(softmax(LOGITS))[ANIMALS])
    return ValueCase(compute, reference={"value/loss": np.array([exact])})


@pytest.mark.parametrize("loss", ["binary_crossentropy", "sparse_categorical_crossentropy", "mean_squared_error"])
def case_training_a_softmax_over_one_unit(loss):
    """`fit` refuses a softmax head of width 1 for a yes-or-no question: it always predicts 1."""
    return ValueCase(trained((1, "softmax"), loss, YES), expect=Raises())


def case_independent_answers_for_exclusive_classes():
    """Done knowingly: a sigmoid head with binary cross-entropy takes one-hot rows as one question per class."""
    labels = np.eye(3, dtype="float32")[ANIMALS]
    exact = binary_crossentropy(labels, sigmoid(LOGITS))
    return ValueCase(trained((3, "sigmoid"), "binary_crossentropy", labels), reference={"value/loss": np.array([exact])})


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "categorical_crossentropy"])
@pytest.mark.parametrize(
    "labels", [[1, 0, 1, 0], [2, 0, 2, 0], [1, 2, 1, 2], [1, 1, 1, 1]], ids=["without_the_last", "gap", "from_one", "one_class"]
)
def case_a_class_that_no_example_has(labels, loss):
    """`fit` accepts labels in which a class does not occur, and the loss is that of the other classes."""
    exact = -np.mean(np.log(softmax(LOGITS))[labels])
    encoded = np.array(labels) if loss.startswith("sparse") else np.eye(3, dtype="float32")[labels]
    return ValueCase(trained((3, "softmax"), loss, encoded), reference={"value/loss": np.array([exact])})


def case_a_question_with_one_answer():
    """`fit` accepts yes-or-no labels that are all yes, and computes their loss."""
    labels = np.ones((4, 1), dtype="float32")
    exact = binary_crossentropy(labels, sigmoid(YES_LOGIT))
    return ValueCase(trained((1, "sigmoid"), "binary_crossentropy", labels), reference={"value/loss": np.array([exact])})


def case_an_attribute_that_all_examples_have():
    """`fit` accepts multi-hot labels with a column that is always 1; it counts like any other column."""
    labels = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1], [0, 1, 0]], dtype="float32")
    exact = binary_crossentropy(labels, sigmoid(LOGITS))
    return ValueCase(trained((3, "sigmoid"), "binary_crossentropy", labels), reference={"value/loss": np.array([exact])})


def case_a_margin_at_any_height():
    """The margin of the true class is its distance from the best wrong one, also where all scores are negative."""

    def compute():
        scores = np.array([[-0.5, -0.9, -2.0]], dtype="float32")
        return {"loss": keras.losses.CategoricalHinge()(np.array([[1, 0, 0]], dtype="float32"), scores)}

    return ValueCase(compute, reference={"value/loss": -0.9 - -0.5 + 1})


def case_cross_entropy_by_its_short_name():
    """As people write it: `loss="crossentropy"` on multi-hot labels and a sigmoid head is that of yes-or-no questions."""
    probabilities = np.array([[0.9, 0.8], [0.3, 0.4]], dtype="float32")
    labels = np.array([[1, 1], [0, 1]], dtype="float32")

    def compute():
        inputs = keras.Input((2,), name="image")
        model = keras.Model(inputs, keras.layers.Activation("sigmoid")(inputs))
        model.compile(loss="crossentropy")
        return {"loss": model.evaluate(np.log(probabilities / (1 - probabilities)), labels, verbose=0)}

    exact = probabilities.astype("float64")
    return ValueCase(compute, reference={"value/loss": -np.mean(np.log(np.where(labels == 1, exact, 1 - exact)))})
