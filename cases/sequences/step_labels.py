"""A label for each step of a sequence, with padding after the shorter ones.

What goes wrong in practice: padding has a label too, -1 or -100 or NaN or 0, and a mask says that it does not count.
The label still reaches the loss before the mask does, and some metrics do not use the mask. A weight for each
sequence or each class meets labels for each step.
"""

import keras
import numpy as np
import pytest

from backendcheck import LossCase, ModelCase, Raises, ValueCase

TAGS = ["noun", "verb", "other"]
WORDS = np.array([[1, 2, 3, 4], [4, 3, 0, 0], [2, 1, 4, 0]])


def tagger(units=3, activation="softmax"):
    """Words (N, 4), 0 being padding, to one prediction (N, 4, units) per word."""
    words = keras.Input((4,), dtype="int32", name="words")
    embedded = keras.layers.Embedding(5, 4, mask_zero=True, name="embedding")(words)
    return keras.Model(words, keras.layers.Dense(units, activation=activation, name="tag")(embedded))


@pytest.mark.parametrize("label", [pytest.param(-1, id="minus_one"), pytest.param(-100, id="minus_hundred")])
def case_masked_padding_with_a_label_of_its_own(label):
    """The label of a masked step does not count, so it may be -1 or -100, as other libraries write it."""
    return ModelCase(
        model=tagger(),
        loss="sparse_categorical_crossentropy",
        x=WORDS,
        y=np.where(WORDS == 0, label, WORDS % 3),
        class_names=TAGS,
    )


def case_masked_padding_without_a_number():
    """The label of a masked step does not count, so it may be NaN: the loss is that of the words, and finite."""
    grades = np.where(WORDS == 0, np.nan, WORDS / 4)
    return ModelCase(
        model=tagger(units=1, activation=None), loss="mean_squared_error", x=WORDS, y=grades[..., None].astype("float32")
    )


@pytest.mark.parametrize("metric", ["BinaryAccuracy", "Recall", "AUC", "MeanIoU"])
def case_padding_counts_in_no_metric(metric):
    """A metric in `evaluate` counts the words alone, whatever label the padding has."""
    metric_of_words = {
        "BinaryAccuracy": lambda: keras.metrics.BinaryAccuracy(name="metric"),
        "Recall": lambda: keras.metrics.Recall(name="metric"),
        "AUC": lambda: keras.metrics.AUC(name="metric"),
        "MeanIoU": lambda: keras.metrics.MeanIoU(num_classes=2, name="metric"),
    }[metric]

    def measured(padding):
        model = keras.Sequential(
            [keras.Input((4, 1)), keras.layers.Masking(mask_value=0.0), keras.layers.Activation("sigmoid", name="is_verb")]
        )
        model.compile(loss="mean_squared_error", metrics=[metric_of_words()])
        scores = np.where(WORDS == 0, 0.0, WORDS - 2.25)[..., None]
        y = np.where(WORDS == 0, padding, WORDS % 2)[..., None].astype("float32")
        return model.evaluate(scores.astype("float32"), y, verbose=0, return_dict=True)["metric"]

    def compute():
        return {"difference": np.array(measured(1) - measured(0))}

    return ValueCase(compute, reference={"value/difference": np.array(0.0)})


@pytest.mark.parametrize("n", [3, 4])
def case_a_weight_for_each_sequence(n):
    """A weight (N,) for sequences (N, 4) of labels weights each sequence, as documented, for any N."""
    steps = np.arange(n * 4).reshape(n, 4) % 3
    p = np.array([0.5, 0.25, 0.25])
    weight = np.arange(n, dtype="float32")
    return LossCase(
        loss="sparse_categorical_crossentropy",
        y_true=steps,
        y_pred=np.broadcast_to(p, (n, 4, 3)).astype("float32"),
        sample_weight=weight,
        reference={"loss": np.mean(weight[:, None] * -np.log(p[steps]))},
    )


def case_a_weight_for_each_class_of_each_step(rng):
    """As people write it: `class_weight` for one label per step is refused, or weights each step by its class.

    Keras takes the labels (N, T) for one-hot rows, and the position of the largest label of a sequence for its class.
    """
    inputs = keras.Input((4, 2), name="words")
    return ModelCase(
        model=keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="tag")(inputs)),
        loss="sparse_categorical_crossentropy",
        x=rng.normal(size=(4, 4, 2)).astype("float32"),
        y=rng.integers(0, 3, (4, 4)),
        class_weight={0: 1.0, 1: 5.0, 2: 25.0},
        class_names=TAGS,
        expect=Raises(),
    )


def case_a_masked_loss_whatever_the_batch_size():
    """`evaluate` reports the same loss in batches of 1 and in one batch: the mean over the words."""

    def compute():
        model = keras.Sequential([keras.Input((4, 1)), keras.layers.Masking(mask_value=0.0), keras.layers.Activation("linear")])
        model.compile(loss="mean_squared_error")
        x = np.where(WORDS == 0, 0, WORDS)[..., None].astype("float32")
        whole, single = (model.evaluate(x, 0 * x, batch_size=size, verbose=0) for size in (3, 1))
        return {"in_one_batch": np.array(whole), "in_batches_of_one": np.array(single)}

    exact = np.mean(np.square(WORDS[WORDS > 0]))
    return ValueCase(compute, reference={"value/in_one_batch": exact, "value/in_batches_of_one": exact})


def case_ignored_steps_whatever_the_batch_size():
    """With `ignore_class`, too, `evaluate` reports the same loss in batches of 1 and in one batch."""

    def compute():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Identity()])
        model.compile(loss=keras.losses.SparseCategoricalCrossentropy(ignore_class=-1))
        x, labels = np.array([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4], [0.1, 0.1, 0.8]]), np.array([0, 2, -1])
        whole, single = (model.evaluate(x, labels, batch_size=size, verbose=0) for size in (3, 1))
        return {"in_one_batch": np.array(whole), "in_batches_of_one": np.array(single)}

    exact = -np.mean(np.log([0.5, 0.4]))
    return ValueCase(compute, reference={"value/in_one_batch": exact, "value/in_batches_of_one": exact})


CTC_LOGITS = np.random.default_rng(7).normal(size=(2, 5, 4)).astype("float32")


@pytest.mark.parametrize(
    "letters",
    [
        pytest.param([[1, 0, 2], [1, 2, 3]], id="a_blank_within"),
        pytest.param([[1, 4, 2], [1, 2, 3]], id="one_past_the_last"),
        pytest.param([[1, -1, 2], [1, 2, 3]], id="minus_one"),
    ],
)
def case_letters_that_ctc_does_not_know(letters):
    """CTC refuses a letter outside 1 ... C-1, and a blank (0) between two letters: a blank is padding, not a letter."""
    return LossCase(loss=keras.losses.CTC(), y_true=np.array(letters), y_pred=CTC_LOGITS, expect=Raises())


def case_more_letters_than_steps():
    """CTC of a word that is longer than its recording has no finite loss: every reading has probability 0."""
    return LossCase(
        loss=keras.losses.CTC(),
        y_true=np.array([[1, 2, 3, 1, 2, 3], [1, 2, 3, 0, 0, 0]]),
        y_pred=CTC_LOGITS,
        reference={"loss": np.inf},
    )


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "categorical_focal_crossentropy"])
def case_smoothed_labels_with_the_classes_in_front(loss):
    """Smoothed labels share the smoothing among the classes, even where `axis` puts the classes first.

    3 classes are in axis 1 of (N, 3, 2). Each class gets 0.3 / 3, so that the labels of a step still sum to 1.
    """
    truth = np.array([[0, 1], [1, 2]])
    one_hot = np.eye(3)[truth].transpose(0, 2, 1)
    p = np.broadcast_to(np.array([0.5, 0.25, 0.25])[None, :, None], (2, 3, 2))
    smooth = one_hot * 0.7 + 0.3 / 3
    factor = 0.25 * (1 - p) ** 2 if "focal" in loss else 1.0
    loss_class = {
        "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
        "categorical_focal_crossentropy": keras.losses.CategoricalFocalCrossentropy,
    }[loss]
    return LossCase(
        loss=loss_class(axis=1, label_smoothing=0.3),
        y_true=one_hot.astype("float32"),
        y_pred=p.astype("float32"),
        reference={"loss": (-factor * smooth * np.log(p)).sum(axis=1).mean()},
    )


def case_a_weight_for_each_class_in_front():
    """`alpha` of a focal loss has a weight for each class, as documented, even where `axis` puts the classes first.

    Of two steps the first is of class 1, which has weight 0.
    """
    y_true = np.array([[[0, 1], [1, 0]]], dtype="float32")
    y_pred = np.array([[[0.9, 0.6], [0.1, 0.4]]], dtype="float32")
    return LossCase(
        loss=keras.losses.CategoricalFocalCrossentropy(alpha=[1.0, 0.0], gamma=0.0, axis=1),
        y_true=y_true,
        y_pred=y_pred,
        reference={"loss": -np.log(0.6) / 2},
    )


def case_integer_labels_with_the_classes_in_front():
    """`SparseCategoricalCrossentropy(axis=1)` takes predictions (N, C, T), as documented."""
    truth = np.array([[0, 1], [1, 2]])
    p = np.broadcast_to(np.array([0.5, 0.25, 0.25])[None, :, None], (2, 3, 2))
    return LossCase(
        loss=keras.losses.SparseCategoricalCrossentropy(axis=1),
        y_true=truth,
        y_pred=p.astype("float32"),
        reference={"loss": np.mean(-np.log(np.array([0.5, 0.25, 0.25])[truth]))},
    )
