"""Is the true class among the k most probable ones?

What goes wrong in practice: the count itself is simple, so it is rarely checked. Yet backends disagree about excluded
classes, NaN, labels that name no class, and heads with fewer than k classes. On all of them a tie is a hit for every
tied class.
"""

import keras
import numpy as np
import pytest

from backendcheck import ValueCase


def share_in_top(k, labels, scores):
    """The sparse top-k accuracy of scores (N, C) for integer labels (N,), as the value of a case."""

    def compute():
        metric = keras.metrics.SparseTopKCategoricalAccuracy(k=k)
        metric.update_state(np.array(labels), np.array(scores, dtype="float32"))
        return {"share": metric.result()}

    return compute


def case_ruled_out_classes():
    """A logit of minus infinity, for an excluded class, does not affect the hits of the other classes."""
    inf = np.inf
    scores = [[1.0, -inf, -inf], [-inf, 2.0, 1.0], [-inf, 0.0, 1.0]]
    return ValueCase(share_in_top(1, [0, 1, 2], scores), reference={"value/share": np.array(1.0)})


def case_a_diverged_model_hits_nothing():
    """If every prediction is NaN, no example is a hit."""
    return ValueCase(share_in_top(1, [0, 1, 2], np.full((3, 3), np.nan)), reference={"value/share": np.array(0.0)})


@pytest.mark.parametrize("label", [pytest.param(-1, id="minus_one"), pytest.param(3, id="one_past_the_last")])
def case_a_label_that_names_no_class_is_no_hit(label):
    """A label outside 0 ... C-1 is refused, or at least does not count as a hit."""
    scores = [[2.0, 1.0, 3.0], [3.0, 1.0, 2.0], [1.0, 3.0, 2.0]]  # the first and the last class are in the first top 2
    return ValueCase(share_in_top(2, [label, 0, 1], scores), reference={"value/share": np.array(2 / 3)})


def case_fewer_classes_than_k():
    """Of three classes the true one is always among the five most probable; five is the default of Keras."""
    return ValueCase(
        share_in_top(5, [0, 1, 2], [[0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]),
        reference={"value/share": np.array(1.0)},
    )


def case_top_one_is_the_accuracy():
    """With k = 1 this is the accuracy: a model that gives all classes the same score is not always right."""
    labels, undecided = np.array([0, 1, 2]), np.full((3, 3), 1 / 3, dtype="float32")

    def compute():
        accuracy = keras.metrics.SparseCategoricalAccuracy()
        accuracy.update_state(labels, undecided)
        return {"accuracy": accuracy.result(), **share_in_top(1, labels, undecided)()}

    third = np.array(1 / 3)
    return ValueCase(compute, reference={"value/accuracy": third, "value/share": third})


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def case_predictions_in_half_precision(dtype):
    """Predictions of a model in mixed precision are ranked like any others."""

    def compute():
        scores = keras.ops.cast(np.array([[0.25, 0.5, 0.125], [0.5, 0.25, 0.125]], dtype="float32"), dtype)
        metric = keras.metrics.SparseTopKCategoricalAccuracy(k=2)
        metric.update_state(np.array([0, 2]), scores)
        return {"share": metric.result()}

    return ValueCase(compute, reference={"value/share": np.array(0.5)})


def case_precision_at_one_with_a_tie():
    """Of tied labels the first one counts as the prediction, in `Precision(top_k=1)` as in `argmax`."""

    def compute():
        precision = keras.metrics.Precision(top_k=1)
        precision.update_state(
            np.array([[1, 0, 0, 0], [0, 0, 1, 0]], dtype="float32"),
            np.array([[0.7, 0.7, 0.7, 0.1], [0.1, 0.2, 0.8, 0.8]], dtype="float32"),
        )
        return {"precision": precision.result()}

    return ValueCase(compute, reference={"value/precision": np.array(1.0)})
