"""Pseudo-labels: where the true label is unknown, the probabilities of a teacher replace it.

What goes wrong in practice: the mask that mixes both is inverted or has the wrong rank. The classes of the teacher
have another order than those of the student. Or the teacher is not certain, and the loss needs integers.
"""

import keras
import numpy as np
from _data import digits
from keras import ops
from sklearn.semi_supervised import LabelSpreading

from backendcheck import LossCase, ModelCase, ValueCase

DIGITS = ["zero", "one", "two", "three"]


def labels_from_a_teacher(images, digit, known):
    """Soft labels (N, 4), which scikit-learn's label spreading derives from the few known labels.

    Rounded to three decimals, so that they are the same on every machine.
    """
    teacher = LabelSpreading(kernel="knn", n_neighbors=5)
    teacher.fit(images.reshape(len(images), -1), np.where(known, digit, -1))
    soft = teacher.label_distributions_.round(3)
    return np.where(known[:, None], np.eye(4)[digit], soft).astype("float32")


def case_a_student_learns_from_soft_labels(rng):
    """A student trained on true labels and on pseudo-labels of half weight computes and learns the same on every backend.

    Scenario: P10
    """
    x, digit = digits(rng, 48, classes=4)
    known = np.arange(48) < 16
    images = keras.Input((8, 8), name="image")
    flat = keras.layers.Flatten(name="flat")(images)
    return ModelCase(
        model=keras.Model(images, keras.layers.Dense(4, activation="softmax", name="digit")(flat)),
        loss="categorical_crossentropy",
        x=x,
        y=labels_from_a_teacher(x, digit, known),
        sample_weight=np.where(known, 1.0, 0.5).astype("float32"),
        epochs=2,
        class_names=DIGITS,
    )


def case_soft_labels_have_the_gradient_of_their_mixture():
    """With soft labels q the gradient by the logits is (softmax - q) / N, for true and for pseudo-labels alike.

    Scenario: P10
    """
    logits = np.array([[2.0, 0.0, -1.0, 0.5], [0.0, 1.0, 1.0, 0.0], [0.3, 0.2, 0.1, 0.0]])
    soft = np.array([[1.0, 0, 0, 0], [0.1, 0.6, 0.25, 0.05], [0.25, 0.25, 0.25, 0.25]])
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    per_example = -(soft * np.log(probabilities)).sum(axis=-1)
    return LossCase(
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        y_true=soft.astype("float32"),
        y_pred=logits.astype("float32"),
        class_names=DIGITS,
        reference={
            "per_example_loss": per_example,
            "loss": per_example.mean(),
            "gradient/y_pred": (probabilities - soft) / 3,
        },
    )


def case_a_mask_chooses_between_truth_and_teacher():
    """Where the mask (N,) says "known" the label is the true one-hot row, elsewhere the whole row of the teacher.

    Scenario: P10
    """
    truth = np.array([2, 0, 1, 0])  # the labels of examples 1 and 3 must not be used
    known = np.array([True, False, True, False])
    teacher = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.4, 0.3, 0.3], [0.05, 0.05, 0.9]], dtype="float32")

    def compute():
        mixed = ops.where(known[:, None], ops.one_hot(truth, 3), teacher)
        return {"labels": mixed, "hard_labels": ops.argmax(mixed, axis=-1)}

    return ValueCase(
        compute,
        reference={
            "value/labels": np.array([[0, 0, 1], [0.1, 0.8, 0.1], [0, 1, 0], [0.05, 0.05, 0.9]]),
            "value/hard_labels": np.array([2, 1, 1, 2]),
        },
    )
