"""Labels in another form than a metric takes, and heads of one unit.

What goes wrong in practice: integer labels meet the accuracy of one-hot rows, or a head has one unit where the metric
looks for the largest of several. Nothing is refused, and the number looks like an accuracy.
"""

import keras
import numpy as np
import pytest

from backendcheck import Raises, ValueCase

SCORES = np.array([[0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.2, 0.2, 0.6], [0.9, 0.05, 0.05]], dtype="float32")
CLASSES = np.array([1, 0, 2, 0])  # all of them are predicted right


def result_of(metric, y_true, y_pred):
    """The value of a case: the metric after one update."""

    def compute():
        counted = metric()
        counted.update_state(y_true, y_pred)
        return {"result": counted.result()}

    return compute


@pytest.mark.parametrize("shape", [(4,), (4, 1)], ids=["n", "n_by_one"])
@pytest.mark.parametrize("metric", ["CategoricalAccuracy", "OneHotMeanIoU"])
def case_integer_labels_for_a_metric_of_one_hot_rows(metric, shape):
    """A metric of one-hot rows refuses integer labels; it does not take the position of the largest label for a class."""
    of_rows = {
        "CategoricalAccuracy": keras.metrics.CategoricalAccuracy,
        "OneHotMeanIoU": lambda: keras.metrics.OneHotMeanIoU(num_classes=3),
    }[metric]
    return ValueCase(result_of(of_rows, CLASSES.reshape(shape), SCORES), expect=Raises())


def case_one_hot_rows_for_the_accuracy_of_integers():
    """The accuracy of integer labels refuses one-hot rows, also in a batch with as many examples as classes."""
    rows = np.eye(3, dtype="float32")[CLASSES[:3]]
    return ValueCase(result_of(keras.metrics.SparseCategoricalAccuracy, rows, SCORES[:3]), expect=Raises())


@pytest.mark.parametrize("labels", ["column", "integers"])
def case_accuracy_of_a_head_with_one_unit(labels):
    """An accuracy that looks for the most probable class refuses a head with one unit, which has no other class."""
    accuracy = {"column": keras.metrics.CategoricalAccuracy, "integers": keras.metrics.SparseCategoricalAccuracy}[labels]
    y_true = np.array([1, 0, 1])
    wrong = np.array([[0.2], [0.9], [0.3]], dtype="float32")
    return ValueCase(result_of(accuracy, y_true[:, None] if labels == "column" else y_true, wrong), expect=Raises())


@pytest.mark.parametrize("metric", ["Hinge", "SquaredHinge", "Poisson"])
def case_flat_labels_for_a_column_of_predictions(metric):
    """Labels (N,) for predictions (N, 1) are paired by example, in a metric as in the loss of the same name."""
    y_true, y_pred = np.array([1.0, 0.0, 1.0]), np.array([2.0, 0.5, 0.25])
    margin = np.maximum(1 - np.where(y_true == 1, 1, -1) * y_pred, 0)
    by_metric = {
        "Hinge": (keras.metrics.Hinge, margin), "SquaredHinge": (keras.metrics.SquaredHinge, margin**2),
        "Poisson": (keras.metrics.Poisson, y_pred - y_true * np.log(y_pred)),
    }  # fmt: skip
    counted, each = by_metric[metric]
    return ValueCase(
        result_of(counted, y_true.astype("float32"), y_pred[:, None].astype("float32")), reference={"value/result": each.mean()}
    )


@pytest.mark.parametrize("labels", ["of_one_unit", "all_equal"])
def case_correlation_of_labels_that_do_not_vary(labels):
    """Labels that do not vary have no correlation. They are refused, or the correlation is that of the other examples."""
    if labels == "of_one_unit":
        y_true, y_pred = np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [3.5]])
    else:
        y_true, y_pred = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]]), np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    return ValueCase(result_of(keras.metrics.PearsonCorrelation, y_true.astype("float32"), y_pred.astype("float32")))


def case_overlap_with_the_classes_in_front():
    """With `axis=1` the classes of a mask are the axis after the examples; the mean overlap stays the same."""
    truth, predicted = np.eye(3)[[[0, 1], [2, 1]]], np.eye(3)[[[0, 1], [2, 2]]]  # (N, W, C)
    in_front = [np.moveaxis(mask, -1, 1).astype("float32") for mask in (truth, predicted)]
    return ValueCase(
        result_of(lambda: keras.metrics.OneHotMeanIoU(num_classes=3, axis=1), *in_front),
        reference={"value/result": np.array((1 + 1 / 2 + 1 / 2) / 3)},
    )


@pytest.mark.parametrize("class_id", [3, -1])
def case_recall_of_a_class_that_is_not_there(class_id):
    """`class_id` is 0 ... C-1; another one is refused."""
    y_true = np.eye(3, dtype="float32")[CLASSES]
    return ValueCase(result_of(lambda: keras.metrics.Recall(class_id=class_id), y_true, SCORES), expect=Raises())


def case_yes_or_no_labels_for_a_head_of_two_classes():
    """The area under the curve refuses labels (N,) for the two columns of a softmax."""
    two = np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.9, 0.1]], dtype="float32")
    return ValueCase(result_of(keras.metrics.AUC, np.array([0, 1, 1, 0]), two), expect=Raises())


def case_overlap_without_the_ignored_class():
    """A class that `ignore_class` leaves out does not enter the mean overlap."""
    y_true, y_pred = np.array([0, 0, 1, 2]), np.array([0, 0, 1, 0])
    # class 1: 1 of 1; class 2: 0 of 1
    return ValueCase(
        result_of(lambda: keras.metrics.MeanIoU(num_classes=3, ignore_class=0), y_true, y_pred),
        reference={"value/result": np.array(1 / 2)},
    )


def case_a_predicted_class_that_is_not_there():
    """A pixel whose predicted class does not exist is predicted wrong; it is not left out."""
    # class 0: 1 of 1; class 1: 1 of 1; class 2: 1 of 2
    return ValueCase(
        result_of(lambda: keras.metrics.MeanIoU(num_classes=3), np.array([0, 1, 2, 2]), np.array([0, 1, 2, 3])),
        reference={"value/result": np.array((1 + 1 + 1 / 2) / 3)},
    )


def case_a_label_past_the_last_class_in_the_overlap():
    """MeanIoU refuses label 3 of three classes; it does not leave the pixel out."""
    return ValueCase(
        result_of(lambda: keras.metrics.MeanIoU(num_classes=3), np.array([0, 1, 2, 3]), np.array([0, 1, 2, 2])), expect=Raises()
    )
