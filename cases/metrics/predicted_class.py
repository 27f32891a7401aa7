"""From probabilities to a class: ties, and predictions that are NaN.

What goes wrong in practice: a model that has diverged still reports an accuracy. An untrained model, whose classes
are all equally likely, is right or wrong depending on which of the tied classes is chosen.
"""

import keras
import numpy as np

from backendcheck import ValueCase


def case_a_tie_goes_to_the_first_class():
    """Of equally probable classes the first one is predicted, in `argmax` and in the accuracy.

    Scenario: E1
    """
    probabilities = np.array([[0.5, 0.5, 0.0], [0.2, 0.4, 0.4], [0.3, 0.3, 0.3]], dtype="float32")

    def compute():
        accuracy = keras.metrics.SparseCategoricalAccuracy()
        accuracy.update_state(np.array([0, 2, 0]), probabilities)
        return {"argmax": keras.ops.argmax(probabilities, axis=-1), "accuracy": accuracy.result()}

    # Example 1 is wrong: its true class 2 ties with class 1, which comes first.
    return ValueCase(compute, reference={"value/argmax": np.array([0, 1, 0]), "value/accuracy": np.array(2 / 3)})


def case_nan_is_never_the_right_answer():
    """A NaN prediction does not count as correct, for any true class.

    Scenario: E1
    """
    diverged = np.full((3, 3), np.nan, dtype="float32")

    def compute():
        accuracy = keras.metrics.SparseCategoricalAccuracy()
        accuracy.update_state(np.array([0, 1, 2]), diverged)
        return {"accuracy": accuracy.result()}

    return ValueCase(compute, reference={"value/accuracy": np.array(0.0)})


def case_nan_among_the_probabilities():
    """One NaN among the probabilities of an example leads to the same class on every backend.

    NumPy, JAX and PyTorch treat the NaN as the largest.

    Scenario: E1
    """
    probabilities = np.array([[0.3, np.nan, 0.6], [0.3, 0.1, 0.6]], dtype="float32")
    return {"argmax": keras.ops.argmax(probabilities, axis=-1)}
