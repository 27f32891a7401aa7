"""Several labels at once: each label is a yes-or-no question of its own.

What goes wrong in practice: a softmax head, which makes the labels compete; weights in another order than the labels;
`accuracy`, which Keras computes as the accuracy of exclusive classes. One more problem passes every shape check. When
a layer ends in sigmoid or softmax, the TensorFlow backend computes the cross-entropy from the *input* of that
activation, and applies the activation that belongs to the *loss*. With a mismatched pair it trains another model than
the one that `predict` shows.
"""

import keras
import numpy as np
import pytest
from _data import DIGIT_ATTRIBUTES, attributes_of, color_digits, digit_features, digits
from keras import ops
from scipy.sparse import csr_matrix

from backendcheck import LossCase, ModelCase, OptOut, ValueCase

TAGS = ["dog", "cat", "house", "tree", "sky"]
TAG_WEIGHT = {"dog": 1.0, "cat": 0.5, "house": 1.0, "tree": 2.0, "sky": 1.5}
FINDINGS = ["pneumothorax", "cardiomegaly", "edema"]
BY_POSITION = OptOut(relation="classes", reason="The weight belongs to a position in the label vector, by design.")


def case_five_attributes_of_a_digit(rng):
    """A sigmoid head with binary cross-entropy on multi-hot labels computes and learns the same on every backend.

    Scenario: M1
    """
    x, digit = digit_features(rng, 100)
    inputs = keras.Input((10,), name="digit")
    h = keras.layers.Dense(64, activation="relu", name="hidden")(inputs)
    probabilities = keras.layers.Dense(5, activation="sigmoid", name="attributes")(h)
    return ModelCase(
        model=keras.Model(inputs, probabilities),
        loss="binary_crossentropy",
        x=x,
        y=attributes_of(digit),
        class_names=DIGIT_ATTRIBUTES,
    )


def softmax(z):
    """The probabilities of competing classes."""
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def sigmoid(z):
    """The probability of each label by itself."""
    return 1 / (1 + np.exp(-z))


def categorical_crossentropy(y_true, p):
    """Keras's definition: the probabilities of an example are first scaled to a sum of 1."""
    return -(y_true * np.log(p / p.sum(axis=-1, keepdims=True))).sum(axis=-1)


def binary_crossentropy(y_true, p):
    """The mean over the labels."""
    return -(y_true * np.log(p) + (1 - y_true) * np.log(1 - p)).mean(axis=-1)


@pytest.mark.parametrize(
    ("activation", "loss"),
    [(softmax, categorical_crossentropy), (softmax, binary_crossentropy), (sigmoid, categorical_crossentropy)],
    ids=["softmax_categorical", "softmax_binary", "sigmoid_categorical"],
)
def case_a_head_that_does_not_fit_multi_hot_labels(rng, activation, loss):
    """As people write it: with any head, the loss is that of the probabilities that the model predicts.

    Scenario: M2
    """
    x, digit = digit_features(rng, 24)
    y = attributes_of(digit)
    kernel, bias = rng.normal(size=(10, 5)), rng.normal(size=5)
    inputs = keras.Input((10,), name="digit")
    probabilities = keras.layers.Dense(5, activation=activation.__name__, name="attributes")(inputs)
    model = keras.Model(inputs, probabilities)
    model.get_layer("attributes").set_weights([kernel, bias])
    predictions = activation(x @ kernel + bias)
    per_example = loss(y, predictions)
    return ModelCase(
        model=model,
        loss=loss.__name__,
        x=x,
        y=y,
        weights="as built",
        class_names=DIGIT_ATTRIBUTES,
        reference={"predictions": predictions, "per_example_loss": per_example, "loss": per_example.mean()},
    )


def case_a_sigmoid_head_on_exclusive_classes(rng):
    """As people write it: a sigmoid head with sparse cross-entropy has the loss of its predictions, scaled to sum to 1.

    Scenario: M2
    """
    x, digit = digit_features(rng, 24)
    kernel, bias = rng.normal(size=(10, 10)), rng.normal(size=10)
    inputs = keras.Input((10,), name="features")
    model = keras.Model(inputs, keras.layers.Dense(10, activation="sigmoid", name="digit")(inputs))
    model.get_layer("digit").set_weights([kernel, bias])
    predictions = sigmoid(x @ kernel + bias)
    per_example = categorical_crossentropy(np.eye(10)[digit], predictions)
    return ModelCase(
        model=model,
        loss="sparse_categorical_crossentropy",
        x=x,
        y=digit,
        weights="as built",
        class_names=[str(number) for number in range(10)],
        reference={"predictions": predictions, "per_example_loss": per_example, "loss": per_example.mean()},
    )


def case_tags_of_an_image(rng):
    """A convolutional tagger with five independent tags computes and learns the same on every backend.

    The five attributes of a digit represent the tags of a photograph.

    Scenario: M3
    """
    x, digit = color_digits(rng, 16, side=64)
    images = keras.Input((64, 64, 3), name="image")
    h = keras.layers.Conv2D(32, 3, activation="relu", name="edges")(images)
    h = keras.layers.MaxPooling2D(4, name="pool_edges")(h)  # both pools by 4, which keeps the recording small
    h = keras.layers.Conv2D(64, 3, activation="relu", name="parts")(h)
    h = keras.layers.MaxPooling2D(4, name="pool_parts")(h)
    h = keras.layers.Flatten(name="flat")(h)
    h = keras.layers.Dense(128, activation="relu", name="scene")(h)
    probabilities = keras.layers.Dense(5, activation="sigmoid", name="tags")(h)
    return ModelCase(
        model=keras.Model(images, probabilities),
        loss="binary_crossentropy",
        x=x,
        y=attributes_of(digit),
        class_names=TAGS,
    )


def weighted_binary_crossentropy(tags):
    """Binary cross-entropy with a weight per tag; `tags` is their order in the label vector."""
    weights = np.array([TAG_WEIGHT[tag] for tag in tags], dtype="float32")

    def loss(y_true, y_pred):
        return ops.mean(ops.multiply(weights, ops.binary_crossentropy(y_true, y_pred)), axis=-1)

    return loss


@pytest.mark.parametrize(
    "tags",
    [TAGS, sorted(TAGS), ["sky", "dog", "tree", "house", "cat"]],
    ids=["as_declared", "alphabetical", "shuffled"],
)
def case_weights_travel_with_their_label(tags):
    """In any order of the tags, each tag counts by its own weight, in the loss and in the gradient.

    Scenario: M4
    """
    present = [{"dog", "tree", "sky"}, {"cat", "house"}, set(), {"sky"}]
    probability = {"dog": 0.6, "cat": 0.1, "house": 0.3, "tree": 0.8, "sky": 0.9}
    weights = np.array([TAG_WEIGHT[tag] for tag in tags])
    y_true = np.array([[float(tag in image) for tag in tags] for image in present])
    y_pred = np.array([[probability[tag] for tag in tags]] * 4)
    per_example = (-weights * np.where(y_true == 1, np.log(y_pred), np.log(1 - y_pred))).mean(axis=-1)
    return LossCase(
        loss=weighted_binary_crossentropy(tags),
        y_true=y_true.astype("float32"),
        y_pred=y_pred.astype("float32"),
        class_names=tags,
        order=[BY_POSITION],
        reference={
            "per_example_loss": per_example,
            "loss": per_example.mean(),
            "gradient/y_pred": weights * np.where(y_true == 1, -1 / y_pred, 1 / (1 - y_pred)) / y_true.size,
        },
    )


def case_weights_in_a_numpy_array():
    """As people write it: `weights * loss_per_label` is the weighted loss, even if `weights` is a NumPy array.

    Scenario: M4
    """
    weights = np.array(list(TAG_WEIGHT.values()), dtype="float32")

    def loss(y_true, y_pred):
        return ops.mean(weights * ops.binary_crossentropy(y_true, y_pred), axis=-1)

    y_true = np.array([[1, 0, 0, 1, 1], [0, 1, 1, 0, 0]], dtype="float32")
    y_pred = np.array([[0.6, 0.1, 0.3, 0.8, 0.9], [0.2, 0.7, 0.6, 0.1, 0.4]])
    per_example = (-weights * np.where(y_true == 1, np.log(y_pred), np.log(1 - y_pred))).mean(axis=-1)
    return LossCase(
        loss=loss,
        y_true=y_true,
        y_pred=y_pred.astype("float32"),
        class_names=TAGS,
        order=[BY_POSITION],
        reference={"per_example_loss": per_example, "loss": per_example.mean()},
    )


def case_metrics_compiled_in(rng):
    """`fit` and `evaluate` report the same precision, recall, F1 and accuracy per label on every backend.

    Scenario: M7
    """
    x, digit = digit_features(rng, 48)
    inputs = keras.Input((10,), name="digit")
    h = keras.layers.Dense(64, activation="relu", name="wide")(inputs)
    h = keras.layers.Dense(128, activation="relu", name="wider")(h)
    probabilities = keras.layers.Dense(5, activation="sigmoid", name="attributes")(h)
    return ModelCase(
        model=keras.Model(inputs, probabilities),
        loss="binary_crossentropy",
        x=x,
        y=attributes_of(digit),
        metrics=[
            keras.metrics.BinaryAccuracy(name="per_label_accuracy"),
            keras.metrics.Precision(name="precision"),
            keras.metrics.Recall(name="recall"),
            keras.metrics.F1Score(average="macro", threshold=0.5, name="macro_f1"),
        ],
        epochs=3,
        batch_size=16,
        class_names=DIGIT_ATTRIBUTES,
    )


def case_findings_are_independent():
    """Each finding has its own gradient, which depends on the label and probability of that finding alone.

    Examples 0 and 1 differ only in "cardiomegaly", and so do their gradients.

    Scenario: M9
    """
    y_true = np.array([[1, 0, 1], [1, 1, 1], [0, 0, 0]], dtype="float32")
    y_pred = np.array([[0.7, 0.4, 0.2], [0.7, 0.4, 0.2], [0.1, 0.5, 0.9]])
    per_example = binary_crossentropy(y_true, y_pred)
    return LossCase(
        loss="binary_crossentropy",
        y_true=y_true,
        y_pred=y_pred.astype("float32"),
        class_names=FINDINGS,
        reference={
            "per_example_loss": per_example,
            "loss": per_example.mean(),
            "gradient/y_pred": np.where(y_true == 1, -1 / y_pred, 1 / (1 - y_pred)) / y_true.size,
        },
    )


def case_findings_on_an_image(rng):
    """A model of three independent findings, with every label known, computes and learns the same on every backend.

    Three attributes of a digit represent the findings on an X-ray.

    Scenario: M9
    """
    x, digit = digits(rng, 32)
    images = keras.Input((8, 8, 1), name="image")
    h = keras.layers.Conv2D(8, 3, activation="relu", name="edges")(images)
    h = keras.layers.Flatten(name="flat")(h)
    logits = keras.layers.Dense(3, name="findings")(h)
    return ModelCase(
        model=keras.Model(images, logits),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        x=x[..., None],
        y=attributes_of(digit, ["prime", "at_least_five", "closed_loop"]),
        metrics=[keras.metrics.BinaryAccuracy(threshold=0.0, name="accuracy")],  # of logits: 0 is probability 0.5
        class_names=FINDINGS,
    )


def case_tags_in_a_sparse_matrix():
    """Tags in a sparse matrix, as `MultiLabelBinarizer(sparse_output=True)` gives them, train like the dense ones."""
    tags = np.array([[1, 0, 1], [0, 0, 1]], dtype="float32")
    scores = np.array([[1.0, -1.0, 0.5], [-2.0, 0.0, 1.5]], dtype="float32")

    def compute():
        inputs = keras.Input((3,), name="scores")
        model = keras.Model(inputs, keras.layers.Activation("sigmoid")(inputs))
        model.compile(loss="binary_crossentropy")
        return {"loss": model.evaluate(scores, csr_matrix(tags), verbose=0)}

    exact = scores.astype("float64")
    return ValueCase(compute, reference={"value/loss": np.mean(np.log1p(np.exp(exact)) - tags * exact)})
