"""Metrics of a multi-label model, and predictions exactly on the threshold.

What goes wrong in practice: a threshold of 0.6 is not the float32 prediction 0.6 (0.60000002), so a comparison in
float64 says "above" and one in float32 says "not above". `accuracy` on multi-hot labels compares the position of the
largest label with that of the largest prediction. A label or a class that never occurs divides zero by zero.
"""

import keras
import numpy as np
import pytest
from keras import ops

from backendcheck import ValueCase

# Four images, three tags. Predictions that are exactly 0.5 are in (0, 0), (1, 1), (2, 2) and (3, 0).
Y_TRUE = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1]], dtype="float32")
Y_PRED = np.array([[0.5, 0.2, 0.7], [0.3, 0.5, 0.9], [0.8, 0.6, 0.5], [0.5, 0.4, 0.3]], dtype="float32")


def measure(metric, y_true=Y_TRUE, y_pred=Y_PRED, sample_weight=None):
    """The result of a fresh metric after one batch."""
    metric.update_state(y_true, y_pred, sample_weight=sample_weight)
    return metric.result()


def case_one_threshold():
    """A prediction above 0.5 is a yes, and exactly 0.5 is a no, for every metric.

    Scenario: M6
    """

    def compute():
        return {
            "hamming_loss": 1 - measure(keras.metrics.BinaryAccuracy(threshold=0.5)),
            "precision": measure(keras.metrics.Precision(thresholds=0.5)),
            "recall": measure(keras.metrics.Recall(thresholds=0.5)),
            "f1_by_tag": measure(keras.metrics.F1Score(average=None, threshold=0.5)),
            "macro_f1": measure(keras.metrics.F1Score(average="macro", threshold=0.5)),
            "micro_f1": measure(keras.metrics.F1Score(average="micro", threshold=0.5)),
        }

    # Predicted yes: (0, 2), (1, 2), (2, 0), (2, 1), all four right. Missed: (0, 0), (1, 1), (3, 2).
    return ValueCase(
        compute,
        reference={
            "value/hamming_loss": np.array(3 / 12),
            "value/precision": np.array(4 / 4),
            "value/recall": np.array(4 / 7),
            "value/f1_by_tag": np.array([2 / 3, 2 / 3, 4 / 5]),
            "value/macro_f1": np.array((2 / 3 + 2 / 3 + 4 / 5) / 3),
            "value/micro_f1": np.array(8 / 11),
        },
    )


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.6, 0.7, 0.9])
def case_exactly_on_the_threshold(threshold):
    """A float32 prediction equal to the threshold is a no, even if the number is not exact in binary.

    Scenario: M6
    """
    yes = np.ones((2, 1), dtype="float32")
    on_and_above = np.array([[threshold], [threshold + 0.05]], dtype="float32")

    def compute():
        return {
            "accuracy": measure(keras.metrics.BinaryAccuracy(threshold=threshold), yes, on_and_above),
            "recall": measure(keras.metrics.Recall(thresholds=threshold), yes, on_and_above),
            "true_positives": measure(keras.metrics.TruePositives(thresholds=threshold), yes, on_and_above),
            "f1": measure(keras.metrics.F1Score(average=None, threshold=threshold), yes, on_and_above),
        }

    return ValueCase(
        compute,
        reference={
            "value/accuracy": np.array(0.5),
            "value/recall": np.array(0.5),
            "value/true_positives": np.array(1.0),
            "value/f1": np.array([2 / 3]),
        },
    )


def case_a_threshold_per_class():
    """With one threshold per tag, by hand and by `class_id`, each tag is judged by its own threshold.

    Scenario: M6
    """
    thresholds = np.array([0.4, 0.5, 0.8], dtype="float32")

    def compute():
        said_yes = ops.cast(ops.greater(Y_PRED, thresholds), "float32")
        by_tag = list(enumerate(thresholds.tolist()))
        return {
            "said_yes": said_yes,
            "hamming_loss": ops.mean(ops.cast(ops.not_equal(said_yes, Y_TRUE), "float32")),
            "macro_f1": measure(keras.metrics.F1Score(average="macro", threshold=0.5), y_pred=said_yes),
            "precision": ops.stack([measure(keras.metrics.Precision(thresholds=at, class_id=tag)) for tag, at in by_tag]),
            "recall": ops.stack([measure(keras.metrics.Recall(thresholds=at, class_id=tag)) for tag, at in by_tag]),
        }

    return ValueCase(
        compute,
        reference={
            "value/said_yes": [[1, 0, 0], [0, 0, 1], [1, 1, 0], [1, 0, 0]],
            "value/hamming_loss": np.array(4 / 12),
            "value/macro_f1": np.array((4 / 5 + 2 / 3 + 1 / 2) / 3),
        },
    )


def case_several_thresholds_at_once():
    """A list of thresholds gives a list of results, one per threshold, in the order of the list.

    Scenario: M6
    """

    def compute():
        return {
            "precision": measure(keras.metrics.Precision(thresholds=[0.25, 0.5, 0.75])),
            "recall": measure(keras.metrics.Recall(thresholds=[0.25, 0.5, 0.75])),
        }

    return ValueCase(
        compute,
        reference={
            "value/precision": np.array([7 / 11, 4 / 4, 2 / 2]),
            "value/recall": np.array([7 / 7, 4 / 7, 2 / 7]),
        },
    )


def case_a_label_that_never_occurs():
    """Precision, recall and F1 are 0, not NaN, for a label that is never true and never predicted.

    Scenario: M6
    """
    never = np.zeros((3, 2), dtype="float32")

    def compute():
        return {
            "precision": measure(keras.metrics.Precision(), never, never),
            "recall": measure(keras.metrics.Recall(), never, never),
            "f1": measure(keras.metrics.F1Score(average=None, threshold=0.5), never, never),
        }

    return ValueCase(
        compute,
        reference={
            "value/precision": np.array(0.0),
            "value/recall": np.array(0.0),
            "value/f1": np.zeros(2),
        },
    )


def case_weights_by_example_and_by_label():
    """A weight per example and a weight per label both apply to each single prediction.

    Scenario: M6
    """
    per_example = np.array([2.0, 0.0, 1.0, 1.0], dtype="float32")
    per_label = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1], [0, 0, 1]], dtype="float32")

    def compute():
        return {
            "recall_by_example": measure(keras.metrics.Recall(), sample_weight=per_example),
            "recall_by_label": measure(keras.metrics.Recall(), sample_weight=per_label),
            "macro_f1_by_example": measure(keras.metrics.F1Score(average="macro", threshold=0.5), sample_weight=per_example),
        }

    return ValueCase(
        compute,
        reference={
            # yes and right: (0, 2) twice, (2, 0), (2, 1); missed: (0, 0) twice, (3, 2)
            "value/recall_by_example": np.array(4 / 7),
            # yes and right: (1, 2), (2, 0), (2, 1); missed: (0, 0), (3, 2)
            "value/recall_by_label": np.array(3 / 5),
            "value/macro_f1_by_example": np.array((1 / 2 + 1 + 4 / 5) / 3),
        },
    )


def case_accuracy_by_its_short_name():
    """As people write it: `metrics=["accuracy"]` on multi-hot labels should be the share of right answers.

    Keras takes a head of width 3 for exclusive classes. It compares the position of the largest label with that of
    the largest prediction.

    Scenario: M6
    """
    biases = np.array([2.0, -1.0, 1.0])  # so every image gets yes, no, yes

    def compute():
        inputs = keras.Input((2,), name="image")
        model = keras.Model(inputs, keras.layers.Dense(3, activation="sigmoid", name="tags")(inputs))
        model.get_layer("tags").set_weights([np.zeros((2, 3)), biases])
        model.compile(loss="binary_crossentropy", metrics=["accuracy"])
        return {"accuracy": model.evaluate(np.zeros((4, 2)), Y_TRUE, verbose=0, return_dict=True)["accuracy"]}

    return ValueCase(compute, reference={"value/accuracy": np.array(np.mean((biases > 0) == Y_TRUE))})
