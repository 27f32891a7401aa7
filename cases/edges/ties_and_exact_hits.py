"""Equal scores, and predictions that equal their label exactly.

What goes wrong in practice: only the order of evaluation decides between two equal scores. At an exact hit the
absolute error has no slope of its own. Backends may choose differently in both situations, and tests on round numbers
reach both.
"""

import keras
import numpy as np

from backendcheck import LossCase, ValueCase


def case_the_first_of_equal_scores():
    """Of equal scores the first class is predicted; a class with the highest score wins at any position.

    Scenario: E1
    """
    scores = np.array([[0.4, 0.4, 0.2], [0.1, 0.2, 0.7], [0.2, 0.4, 0.4], [0.6, 0.3, 0.1]], dtype="float32")
    return ValueCase(
        lambda: {"scores": scores, "class": keras.ops.argmax(scores, axis=-1)},
        reference={"value/class": np.array([0, 2, 1, 0])},
    )


def case_an_exact_hit_under_absolute_error():
    """A prediction that equals its label has no loss and no gradient under the absolute error.

    Scenario: M5
    """
    y_true = np.array([[1.0, 2.0], [0.5, 3.0], [4.0, 1.0]], dtype="float32")
    y_pred = np.array([[1.0, 2.5], [0.25, 3.0], [3.0, 2.0]], dtype="float32")
    return LossCase(
        loss="mean_absolute_error",
        y_true=y_true,
        y_pred=y_pred,
        reference={
            "per_example_loss": np.abs(y_pred - y_true).mean(axis=-1),
            "gradient/y_pred": np.sign(y_pred - y_true) / y_true.size,
        },
    )
