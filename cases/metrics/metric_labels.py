"""What metrics do with labels such as -1 or NaN, rows without a class, and -1 and 1 instead of 0 and 1.

What goes wrong in practice: a loss refuses or masks such a label, and the metric beside it counts it, as a positive
or as an example of the first class. The number that decides between two models then describes other data.
"""

import keras
import numpy as np
import pytest

from backendcheck import LossCase, Raises, ValueCase

PROBABILITIES = np.array([0.9, 0.8, 0.2, 0.1], dtype="float32")
OF_YES_OR_NO = {
    "Precision": keras.metrics.Precision,
    "Recall": keras.metrics.Recall,
    "TruePositives": keras.metrics.TruePositives,
    "AUC": keras.metrics.AUC,
}


def result_of(metric, y_true, y_pred, sample_weight=None):
    """The value of a case: the metric that `metric()` returns, after one update."""

    def compute():
        counted = metric()
        counted.update_state(y_true, y_pred, sample_weight=sample_weight)
        return {"result": counted.result()}

    return compute


@pytest.mark.parametrize("metric", OF_YES_OR_NO)
@pytest.mark.parametrize("missing", [pytest.param(-1.0, id="minus_one"), pytest.param(np.nan, id="nan")])
def case_a_missing_label_is_no_positive(metric, missing):
    """The metrics of a yes-or-no question refuse a missing label, -1 or NaN; they do not count it as a yes."""
    y_true = np.array([1, missing, missing, 0], dtype="float32")
    return ValueCase(result_of(OF_YES_OR_NO[metric], y_true, PROBABILITIES), expect=Raises())


def case_f1_is_at_most_one():
    """No label gives an F1 score above 1, not even a -1 for "missing"."""
    y_true = np.array([[1, 0], [1, 1], [-1, 0], [0, 1]], dtype="float32")
    y_pred = np.array([[0.9, 0.1], [0.8, 0.7], [0.2, 0.4], [0.1, 0.6]], dtype="float32")
    score = result_of(lambda: keras.metrics.F1Score(threshold=0.5), y_true, y_pred)
    return ValueCase(lambda: {"above_one": score()["result"] > 1 + 1e-6}, reference={"value/above_one": np.array([False, False])})


def case_accuracy_of_minus_one_and_one():
    """As people write it: labels -1 and 1, as hinge losses take them, are right if the score has the same sign."""
    y_true = np.array([[1.0], [-1.0], [-1.0], [1.0]], dtype="float32")
    scores = np.array([[2.0], [-1.0], [-3.0], [1.5]], dtype="float32")
    return ValueCase(
        result_of(lambda: keras.metrics.BinaryAccuracy(threshold=0.0), y_true, scores),
        reference={"value/result": np.array(1.0)},
    )


@pytest.mark.parametrize("metric", ["CategoricalAccuracy", "TopKCategoricalAccuracy"])
def case_a_row_without_a_class(metric):
    """A row of zeros, for an example without a label, does not count as a hit of the first class."""
    accuracy = {
        "CategoricalAccuracy": keras.metrics.CategoricalAccuracy,
        "TopKCategoricalAccuracy": lambda: keras.metrics.TopKCategoricalAccuracy(k=1),
    }[metric]
    y_true = np.array([[0, 0, 0], [0, 1, 0]], dtype="float32")
    y_pred = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1]], dtype="float32")  # the one example that has a class is missed
    return ValueCase(result_of(accuracy, y_true, y_pred), reference={"value/result": np.array(0.0)})


def case_ranking_with_predictions_that_are_no_numbers():
    """If some predictions are NaN, the area under the curve is the same on every backend."""
    y_true = np.array([0, 1, 1, 0, 1, 0], dtype="float32")
    y_pred = np.array([np.nan, 0.9, 0.7, np.nan, 0.6, 0.2], dtype="float32")
    return ValueCase(result_of(keras.metrics.AUC, y_true, y_pred))


def case_overlap_with_labels_that_are_no_numbers():
    """A NaN among the labels of a segmentation is refused; it is not taken for a class or silently left out."""
    y_true = np.array([0, 1, np.nan, 2], dtype="float32")
    return ValueCase(result_of(lambda: keras.metrics.MeanIoU(num_classes=3), y_true, np.array([0, 1, 0, 2])), expect=Raises())


def case_overlap_weighted_by_confidence():
    """Weights below 1 are not rounded: halving all of them does not change the mean overlap."""
    y_true, y_pred = np.array([0, 1, 2, 1]), np.array([0, 1, 1, 1])
    half = np.full(4, 0.5, dtype="float32")
    # class 0: 1 of 1, class 1: 2 of 3, class 2: 0 of 1
    return ValueCase(
        result_of(lambda: keras.metrics.MeanIoU(num_classes=3), y_true, y_pred, half),
        reference={"value/result": np.array((1 + 2 / 3 + 0) / 3)},
    )


@pytest.mark.parametrize("loss", ["mean_squared_error", "binary_crossentropy"])
def case_weight_zero_leaves_a_missing_label_out(loss):
    """An example of weight 0 does not count, even if its label is missing and NaN."""
    p = np.array([0.25, 0.5])
    each = np.array([0.75**2, 0.5**2]) if loss == "mean_squared_error" else -np.log([0.25, 0.5])
    return LossCase(
        loss=loss,
        y_true=np.array([[1.0], [np.nan], [1.0]], dtype="float32"),
        y_pred=np.array([[p[0]], [0.7], [p[1]]], dtype="float32"),
        sample_weight=np.array([1.0, 0.0, 1.0], dtype="float32"),
        reference={"loss": each.sum() / 3},
    )


def case_all_labels_equal_and_all_right():
    """R2 is 1 if all labels are equal and all are predicted exactly, as in scikit-learn; it is not NaN."""
    y = np.full((4, 1), 3.0, dtype="float32")
    return ValueCase(result_of(keras.metrics.R2Score, y, y), reference={"value/result": np.array(1.0)})


def case_labels_far_from_zero():
    """R2 of years equals R2 of the same numbers counted from 2020: an offset does not matter."""
    counted = np.array([[1.0, 2.0], [3.0, 1.0], [2.0, 2.0], [5.0, 4.0]])
    predicted = np.array([[1.5, 2.0], [2.5, 1.0], [2.0, 3.0], [4.0, 4.0]])
    unexplained = np.sum((counted - predicted) ** 2, axis=0) / np.sum((counted - counted.mean(axis=0)) ** 2, axis=0)
    return ValueCase(
        result_of(keras.metrics.R2Score, (2020 + counted).astype("float32"), (2020 + predicted).astype("float32")),
        reference={"value/result": np.mean(1 - unexplained)},
    )
