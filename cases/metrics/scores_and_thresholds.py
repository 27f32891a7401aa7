"""From scores to yes or no: logits, ties, scores of 0, and scores on a threshold.

What goes wrong in practice: a metric expects probabilities and gets logits, or it decides at the edge otherwise than the
metric next to it. The model is fine, and the number says that it is not.
"""

import keras
import numpy as np
import pytest

from backendcheck import Raises, ValueCase


def result_of(metric, y_true, y_pred, sample_weight=None):
    """The value of a case: the metric after one update, in float32."""

    def compute():
        counted = metric()
        arrays = [np.array(each, dtype="float32") for each in (y_true, y_pred)]
        counted.update_state(*arrays, sample_weight=sample_weight)
        return {"result": counted.result()}

    return compute


def case_area_under_the_curve_of_logits():
    """The area under the curve is refused for logits without `from_logits`; they are not cut off at 0 and 1."""
    return ValueCase(result_of(keras.metrics.AUC, [0, 0, 1, 1], [1.5, 2.0, 3.0, 4.0]), expect=Raises())


def case_accuracy_of_logits():
    """As people write it: beside a loss with `from_logits=True`, "accuracy" takes logits above 0 for a yes."""
    logits = np.array([[0.3], [-1.0], [0.2], [2.0]], dtype="float32")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Activation("linear")])

    def compute():
        model.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
        y_true = np.array([[1], [0], [1], [1]], dtype="float32")
        return {"accuracy": np.float32(model.evaluate(logits, y_true, verbose=0, return_dict=True)["accuracy"])}

    return ValueCase(compute, reference={"value/accuracy": np.array(1.0)})


def case_accuracy_by_its_class():
    """As people write it: `keras.metrics.Accuracy` of probabilities counts one above 0.5 for a yes, as "accuracy" does."""
    return ValueCase(
        result_of(keras.metrics.Accuracy, [[1], [0], [1], [0]], [[0.9], [0.2], [0.8], [0.1]]),
        reference={"value/result": np.array(1.0)},
    )


def case_f1_of_a_best_score_of_zero():
    """The class with the largest logit is predicted, also if that logit is 0."""
    return ValueCase(
        result_of(lambda: keras.metrics.F1Score(average="micro"), [[1, 0], [0, 1]], [[0.0, -3.0], [-2.0, 0.0]]),
        reference={"value/result": np.array(1.0)},
    )


def case_f1_of_tied_classes():
    """Without a threshold one class of each example is predicted, so micro-averaged F1 is the accuracy, also at a tie."""
    return ValueCase(
        result_of(lambda: keras.metrics.F1Score(average="micro"), [[1, 0], [0, 1]], [[0.5, 0.5], [0.5, 0.5]]),
        reference={"value/result": np.array(0.5)},
    )


def case_f1_of_a_head_with_one_unit():
    """F1 without a threshold refuses a head with one unit, whose score is always the best; it does not predict yes for all."""
    return ValueCase(result_of(keras.metrics.F1Score, [[1], [0], [1]], [[0.9], [0.1], [0.2]]), expect=Raises())


def case_a_score_on_the_threshold():
    """A score of exactly 0.5 is a yes for all metrics of yes or no, or for none."""
    label, score = [1.0], [0.5]

    def compute():
        metrics = {
            "accuracy": keras.metrics.BinaryAccuracy, "recall": keras.metrics.Recall,
            "overlap": lambda: keras.metrics.BinaryIoU(target_class_ids=[1]),
        }  # fmt: skip
        return {"is_yes": keras.ops.stack([result_of(metric, label, score)()["result"] > 0.5 for metric in metrics.values()])}

    return ValueCase(compute, reference={"value/is_yes": np.array([False, False, False])})


def case_every_positive_is_found():
    """A model that says yes to everything finds every positive, also one with a score of 0: a recall of 1 can be reached."""
    # Two of the four are positive, so the precision is one half.
    return ValueCase(
        result_of(lambda: keras.metrics.PrecisionAtRecall(recall=1.0), [1, 1, 0, 0], [0.0, 0.9, 0.2, 0.0]),
        reference={"value/result": np.array(0.5)},
    )


def case_concordance_of_small_units():
    """The concordance of predictions that are exact is 1, in kilometers as in millimeters."""
    millimeters = [[100.0, 200.0, 300.0]]
    kilometers = [[1e-4, 2e-4, 3e-4]]
    exact = {name: result_of(keras.metrics.ConcordanceCorrelation, values, values) for name, values in
             (("in_millimeters", millimeters), ("in_kilometers", kilometers))}  # fmt: skip
    return ValueCase(
        lambda: {name: result()["result"] for name, result in exact.items()},
        reference={"value/in_millimeters": np.array(1.0), "value/in_kilometers": np.array(1.0)},
    )


def case_overlap_with_small_weights():
    """The overlap of an exact mask is 1, also with weights of a share of all pixels, such as 1e-8."""
    share = np.full(2, 1e-8, dtype="float32")
    return ValueCase(
        result_of(lambda: keras.metrics.MeanIoU(num_classes=2, dtype="float32"), [0, 1], [0, 1], share),
        reference={"value/result": np.array(1.0)},
    )


@pytest.mark.parametrize("metric", ["F1Score", "FBetaScore", "CategoricalHinge"])
def case_a_batch_without_examples(metric):
    """A batch without examples changes no metric."""
    counted, expected = {
        "F1Score": (lambda: keras.metrics.F1Score(average="micro"), 0.5),
        "FBetaScore": (lambda: keras.metrics.FBetaScore(average="micro"), 0.5),
        "CategoricalHinge": (keras.metrics.CategoricalHinge, (0.2 + 1.2) / 2),
    }[metric]

    def compute():
        metric = counted()
        metric.update_state(np.array([[1, 0], [0, 1]], dtype="float32"), np.array([[0.9, 0.1], [0.6, 0.4]], dtype="float32"))
        metric.update_state(np.zeros((0, 2), dtype="float32"), np.zeros((0, 2), dtype="float32"))
        return {"result": metric.result()}

    return ValueCase(compute, reference={"value/result": np.array(expected)})
