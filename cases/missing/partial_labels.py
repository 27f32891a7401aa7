"""Multi-label data with only some labels known.

What goes wrong in practice: the mask of the known labels does not reach the loss. A `Loss` whose `call` has a
`sample_weight` never gets it (Keras multiplies by it afterwards). A mask (N, labels) does not fit a loss (N,). In a
batch of as many examples as labels it broadcasts along the wrong axis. And a -1 for "unknown" goes through the
cross-entropy as a number before it is masked.
"""

import keras
import numpy as np
import pytest
from _data import attributes_of, digits, hide_labels
from keras import ops

from backendcheck import LossCase, ModelCase, OptOut, Raises

FINDINGS = ["pneumothorax", "cardiomegaly", "edema"]
UNKNOWN = -1.0

# Labels, the mask of those that are known, and predictions: everything known, one known, none known.
ANSWERS = np.array([[1, 0, 1], [0, 1, 1], [1, 0, 0]], dtype="float32")
KNOWN = np.array([[1, 1, 1], [0, 1, 0], [0, 0, 0]], dtype="float32")
Y_PRED = np.array([[0.7, 0.4, 0.2], [0.6, 0.3, 0.8], [0.1, 0.5, 0.9]])

BOUND_TO_ITS_MASK = [
    OptOut(relation=relation, reason="The loss uses the mask of this one batch.") for relation in ("examples", "classes")
]


def findings_model():
    """Digits in, three independent findings out."""
    images = keras.Input((8, 8), name="image")
    flat = keras.layers.Flatten(name="flat")(images)
    return keras.Model(images, keras.layers.Dense(3, activation="sigmoid", name="findings")(flat))


def findings_of_digits(rng, n):
    """N images, three attributes of each that represent findings, and the mask of those that are known."""
    x, digit = digits(rng, n)
    return x, attributes_of(digit, ["prime", "at_least_five", "closed_loop"]), hide_labels(rng, n, 3)


def known_only(answers, known, y_pred):
    """The right values: the mean over the known labels of the whole batch, and no gradient for other labels."""
    n_known = max(known.sum(), 1)
    per_label = -np.where(answers == 1, np.log(y_pred), np.log(1 - y_pred))
    slope = np.where(answers == 1, -1 / y_pred, 1 / (1 - y_pred))
    # The Keras loss averages over the N examples, so each example carries N / n_known times its known labels.
    per_example = (known * per_label).sum(axis=-1) * len(answers) / n_known
    return {
        "per_example_loss": per_example,
        "loss": (known * per_label).sum() / n_known,
        "gradient/y_pred": known * slope / n_known,
    }


def masked_binary_crossentropy(y_true, y_pred):
    """Binary cross-entropy over the known labels alone; -1 is unknown."""
    known = ops.cast(ops.not_equal(y_true, UNKNOWN), y_pred.dtype)
    n_known = ops.maximum(ops.sum(known), 1)  # a batch without any label divides by 1
    answers = ops.maximum(y_true, 0)  # a valid answer in place of -1; the mask removes its loss
    per_label = known * ops.binary_crossentropy(answers, y_pred)
    # In a graph of TensorFlow the number of examples can be an integer tensor: cast it.
    return ops.sum(per_label, axis=-1) * ops.cast(ops.shape(y_true)[0], y_pred.dtype) / n_known


# As people write it -----------------------------------------------------------------------------------------------


class LossThatAsksForTheMask(keras.losses.Loss):
    """A loss whose `call` has a third, required argument."""

    def call(self, y_true, y_pred, sample_weight):
        return ops.mean(sample_weight * ops.binary_crossentropy(y_true, y_pred), axis=-1)


class LossThatHopesForTheMask(keras.losses.Loss):
    """The same with a default value, which is all that it ever gets."""

    def call(self, y_true, y_pred, sample_weight=None):
        per_label = ops.binary_crossentropy(y_true, y_pred)
        if sample_weight is None:
            return ops.mean(per_label)
        return ops.sum(sample_weight * per_label) / ops.sum(sample_weight)


def case_a_loss_that_asks_for_the_mask(rng):
    """As people write it: a `call` that requires `sample_weight` fails at once, because Keras does not pass it.

    Scenario: P1
    """
    x, y, known = findings_of_digits(rng, 40)
    return ModelCase(
        model=findings_model(),
        loss=LossThatAsksForTheMask(),
        x=x,
        y=y,
        sample_weight=known,
        class_names=FINDINGS,
        expect=Raises(),
    )


def case_a_loss_that_hopes_for_the_mask():
    """As people write it: a `call` with `sample_weight=None` should get the mask and use the known labels alone.

    It gets None. Keras multiplies the mean of all labels, unknown ones included, by the mask.

    Scenario: P1
    """
    return LossCase(
        loss=LossThatHopesForTheMask(),
        y_true=ANSWERS,
        y_pred=Y_PRED.astype("float32"),
        sample_weight=KNOWN,
        class_names=FINDINGS,
        reference={name: known_only(ANSWERS, KNOWN, Y_PRED)[name] for name in ("loss", "gradient/y_pred")},
    )


@pytest.mark.parametrize("n", [2, 3])
def case_a_mask_by_label_for_a_loss_by_example(n):
    """As people write it: the built-in loss, with one number per example, refuses a mask (N, 3).

    This includes N = 3, where the shapes fit by accident: the loss of example j would be multiplied by mask[:, j].

    Scenario: P1
    """
    return LossCase(
        loss="binary_crossentropy",
        y_true=ANSWERS[:n],
        y_pred=Y_PRED[:n].astype("float32"),
        sample_weight=KNOWN[:n],
        class_names=FINDINGS,
        expect=Raises(),
    )


@pytest.mark.parametrize("unknown", [pytest.param(-1.0, id="minus_one"), pytest.param(np.nan, id="nan")])
def case_mask_after_the_cross_entropy(unknown):
    """As people write it: a mask by element after the cross-entropy keeps the known labels and hides any other value.

    The cross-entropy still gets the -1 or the NaN, and 0 * NaN is NaN.

    Scenario: P8
    """

    def loss(y_true, y_pred):
        return ops.mean(ops.multiply(KNOWN, ops.binary_crossentropy(y_true, y_pred)), axis=-1)

    per_label = -KNOWN * np.where(ANSWERS == 1, np.log(Y_PRED), np.log(1 - Y_PRED))
    slope = KNOWN * np.where(ANSWERS == 1, -1 / Y_PRED, 1 / (1 - Y_PRED))
    return LossCase(
        loss=loss,
        y_true=np.where(KNOWN == 1, ANSWERS, unknown).astype("float32"),
        y_pred=Y_PRED.astype("float32"),
        class_names=FINDINGS,
        order=BOUND_TO_ITS_MASK,
        reference={
            "per_example_loss": per_label.mean(axis=-1),
            "loss": per_label.mean(),
            "gradient/y_pred": slope / KNOWN.size,
        },
    )


def case_mask_by_any_known_label_of_the_row():
    """As people write it: a row with any known label is kept whole, and its unknown labels should not count.

    But the cross-entropy uses -1 as a number: -1 * log(p) + 2 * log(1 - p), with a gradient that drives p to 0.

    Scenario: P8
    """

    def loss(y_true, y_pred):
        any_known = ops.cast(ops.any(ops.not_equal(y_true, UNKNOWN), axis=-1), y_pred.dtype)
        return any_known * ops.mean(ops.binary_crossentropy(y_true, y_pred), axis=-1)

    slope = KNOWN * np.where(ANSWERS == 1, -1 / Y_PRED, 1 / (1 - Y_PRED))
    return LossCase(
        loss=loss,
        y_true=np.where(KNOWN == 1, ANSWERS, UNKNOWN).astype("float32"),
        y_pred=Y_PRED.astype("float32"),
        class_names=FINDINGS,
        reference={"gradient/y_pred": slope / KNOWN.size},
    )


# Done right -------------------------------------------------------------------------------------------------------


def case_mask_by_element():
    """Done right: the mean is over the known labels, and an unknown label gets exactly no gradient.

    Scenario: P2, P8
    """
    return LossCase(
        loss=masked_binary_crossentropy,
        y_true=np.where(KNOWN == 1, ANSWERS, UNKNOWN).astype("float32"),
        y_pred=Y_PRED.astype("float32"),
        class_names=FINDINGS,
        reference=known_only(ANSWERS, KNOWN, Y_PRED),
    )


def case_a_loss_by_label_takes_the_mask_as_sample_weight():
    """Done right: a loss that returns (N, 3) takes a `sample_weight` (N, 3).

    The mean is over all labels, known or not.

    Scenario: P2
    """

    class LossByLabel(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return ops.binary_crossentropy(y_true, y_pred)

    per_label = -KNOWN * np.where(ANSWERS == 1, np.log(Y_PRED), np.log(1 - Y_PRED))
    slope = KNOWN * np.where(ANSWERS == 1, -1 / Y_PRED, 1 / (1 - Y_PRED))
    return LossCase(
        loss=LossByLabel(),
        y_true=ANSWERS,
        y_pred=Y_PRED.astype("float32"),
        sample_weight=KNOWN,
        class_names=FINDINGS,
        reference={"loss": per_label.mean(), "gradient/y_pred": slope / KNOWN.size},
    )


def case_training_on_partial_labels(rng):
    """A model trained on the known labels of each image computes and learns the same on every backend.

    Scenario: P2
    """
    x, y, known = findings_of_digits(rng, 40)
    return ModelCase(
        model=findings_model(),
        loss=masked_binary_crossentropy,
        x=x,
        y=np.where(known == 1, y, UNKNOWN).astype("float32"),
        epochs=2,
        class_names=FINDINGS,
    )


@pytest.mark.parametrize("n_known", [0, 1])
def case_a_batch_with_almost_nothing_known(n_known):
    """A batch without a known label has loss 0 and gradient 0; with one known label it has the loss of that one.

    Scenario: P3
    """
    known = np.zeros((3, 3))
    known[1, 2] = n_known
    return LossCase(
        loss=masked_binary_crossentropy,
        y_true=np.where(known == 1, ANSWERS, UNKNOWN).astype("float32"),
        y_pred=Y_PRED.astype("float32"),
        class_names=FINDINGS,
        reference=known_only(ANSWERS, known, Y_PRED),
    )


def case_every_example_has_weight_zero():
    """If every example of a batch has weight 0, the built-in loss is 0 with gradient 0, not NaN.

    Scenario: P3
    """
    return LossCase(
        loss="binary_crossentropy",
        y_true=ANSWERS,
        y_pred=Y_PRED.astype("float32"),
        sample_weight=np.zeros(3, dtype="float32"),
        class_names=FINDINGS,
        reference={"per_example_loss": np.zeros(3), "loss": np.array(0.0), "gradient/y_pred": np.zeros((3, 3))},
    )


def case_training_on_nothing(rng):
    """A step on a batch with every label masked does not change any weight.

    Scenario: P3
    """
    x, _, _ = findings_of_digits(rng, 8)
    return ModelCase(
        model=findings_model(),
        loss=masked_binary_crossentropy,
        x=x,
        y=np.full((8, 3), UNKNOWN, dtype="float32"),
        class_names=FINDINGS,
        reference={
            "loss": np.array(0.0),
            "gradient/findings/kernel": np.zeros((64, 3)),
            "gradient/findings/bias": np.zeros(3),
        },
    )
