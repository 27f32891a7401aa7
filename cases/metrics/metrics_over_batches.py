"""A metric over several batches, beside masks and ignored labels, for two outputs, and after loading.

What goes wrong in practice: the number depends on the batch size, counts what the loss leaves out, or is another one after the
model was saved.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest

from backendcheck import Raises, ValueCase

Y_TRUE = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1], [0, 0, 1]], dtype="float32")
Y_PRED = np.array([[0.9, 0.2, 0.4], [0.3, 0.8, 0.1], [0.6, 0.5, 0.7], [0.2, 0.1, 0.9]], dtype="float32")


def identity_with(metric, shape, loss="mean_squared_error"):
    """A model that predicts what it gets, compiled with a metric."""
    model = keras.Sequential([keras.Input(shape), keras.layers.Activation("linear")])
    model.compile(loss=loss, metrics=[metric])
    return model


def evaluated(model, y_pred, y_true, **options):
    return np.float32(model.evaluate(y_pred, y_true, verbose=0, return_dict=True, **options)["metric"])


@pytest.mark.parametrize("metric", ["PearsonCorrelation", "ConcordanceCorrelation"])
def case_correlation_over_all_examples(metric):
    """The correlation of a regression over its examples (`axis=0`) does not depend on the batch size."""
    of_examples = {
        "PearsonCorrelation": keras.metrics.PearsonCorrelation, "ConcordanceCorrelation": keras.metrics.ConcordanceCorrelation,
    }[metric]  # fmt: skip
    y = np.array([[1.0], [2.0], [3.0], [4.0], [8.0], [9.0], [10.0], [11.0]])
    p = np.array([[1.0], [2.0], [3.0], [4.0], [10.0], [9.0], [8.5], [8.0]])

    def compute():
        model = identity_with(of_examples(axis=0, name="metric"), (1,))
        return {"in_batches_of_4": evaluated(model, p.astype("float32"), y.astype("float32"), batch_size=4)}

    covariance = ((y - y.mean()) * (p - p.mean())).mean()
    spread = {
        "PearsonCorrelation": y.std() * p.std(), "ConcordanceCorrelation": (y.var() + p.var() + (y.mean() - p.mean()) ** 2) / 2,
    }[metric]  # fmt: skip
    return ValueCase(compute, reference={"value/in_batches_of_4": covariance / spread})


@pytest.mark.parametrize("metric", ["MeanAbsoluteError", "BinaryCrossentropy"])
def case_flat_labels_in_batches(metric):
    """Each example counts alike, whatever its batch, also if labels and predictions are flat, (N,)."""
    error = {"MeanAbsoluteError": keras.metrics.MeanAbsoluteError, "BinaryCrossentropy": keras.metrics.BinaryCrossentropy}[metric]
    y, p = np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.9, 0.2, 0.8, 0.1])

    def compute():
        counted = error()
        for first, end in ((0, 3), (3, 4)):
            counted.update_state(y[first:end].astype("float32"), p[first:end].astype("float32"))
        return {"error": counted.result()}

    each = {"MeanAbsoluteError": np.abs(y - p), "BinaryCrossentropy": -np.log(np.where(y == 1, p, 1 - p))}[metric]
    return ValueCase(compute, reference={"value/error": each.mean()})


def case_one_weight_for_a_whole_batch():
    """A weight of 1 for the whole batch changes nothing."""
    y, p = np.array([[1.0], [2.0], [3.0], [10.0]], dtype="float32"), np.zeros((4, 1), dtype="float32")

    def compute():
        counted = keras.metrics.MeanAbsoluteError()
        for first, end in ((0, 3), (3, 4)):
            counted.update_state(y[first:end], p[first:end], sample_weight=1.0)
        return {"error": counted.result()}

    return ValueCase(compute, reference={"value/error": np.array(4.0)})


def case_ignored_labels_in_a_metric():
    """Cross-entropy as a metric leaves the ignored labels out, as the loss of the same name does."""
    labels = np.array([0, 1, 2, 2])
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.3, 0.3, 0.4]], dtype="float32")

    def compute():
        loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=2)
        metric = keras.metrics.SparseCategoricalCrossentropy(ignore_class=2, name="metric")
        return {"loss": loss(labels, p), "metric": evaluated(identity_with(metric, (3,), loss), p, labels)}

    mean = -np.log([0.5, 0.8]).mean()
    return ValueCase(compute, reference={"value/loss": mean, "value/metric": mean})


@pytest.mark.parametrize("metric", ["MeanSquaredError", "RootMeanSquaredError"])
def case_error_of_masked_steps(metric):
    """The error of a model with a mask is that of the steps that count, whether its root is taken or not."""
    of_steps = {"MeanSquaredError": keras.metrics.MeanSquaredError, "RootMeanSquaredError": keras.metrics.RootMeanSquaredError}
    steps = np.array([[[1.0], [2.0], [0.0]], [[3.0], [1.0], [2.0]]], dtype="float32")  # 0.0 is padding
    truth = np.array([[[1.5], [2.0], [9.0]], [[2.0], [1.0], [3.0]]], dtype="float32")

    def compute():
        model = keras.Sequential([keras.Input((3, 1)), keras.layers.Masking(), keras.layers.Activation("linear")])
        model.compile(loss="mean_squared_error", metrics=[of_steps[metric](name="metric")])
        return {"error": evaluated(model, steps, truth)}

    mean = (0.5**2 + 1.0**2 + 1.0**2) / 5
    return ValueCase(compute, reference={"value/error": mean if metric == "MeanSquaredError" else np.sqrt(mean)})


def case_one_metric_for_two_outputs():
    """A metric object that two outputs share measures each of them by itself, or is refused."""

    def compute():
        inputs = keras.Input((3,))
        outputs = {name: keras.layers.Activation("linear", name=name)(inputs) for name in ("age", "weight")}
        model = keras.Model(inputs, outputs)
        shared = keras.metrics.MeanAbsoluteError(name="error")
        model.compile(loss=dict.fromkeys(outputs, "mean_squared_error"), metrics=dict.fromkeys(outputs, shared))
        result = model.evaluate(Y_PRED, {"age": Y_PRED + 1, "weight": Y_PRED + 3}, verbose=0, return_dict=True)
        return {name: np.float32(result[f"{name}_error"]) for name in outputs}

    return ValueCase(compute, reference={"value/age": np.array(1.0), "value/weight": np.array(3.0)})


def case_two_metrics_of_one_name():
    """`evaluate` lists the loss and then each metric once, in the order of `metrics`, also if two of them have one name."""
    scores = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3]], dtype="float32")
    labels = np.array([[0, 1, 0], [0, 1, 0]], dtype="float32")  # the second-best class, then the best one

    def compute():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Activation("linear")])
        top = [keras.metrics.TopKCategoricalAccuracy(k=k) for k in (1, 2)]
        model.compile(loss="mean_squared_error", metrics=top)
        return {"listed": np.float32(model.evaluate(scores, labels, verbose=0)[1:])}

    return ValueCase(compute, reference={"value/listed": np.array([0.5, 1.0])})


def case_a_metric_named_loss():
    """A metric with the name "loss" is refused; it does not take the place of the loss in what `evaluate` returns."""

    def compute():
        model = identity_with(keras.metrics.MeanAbsoluteError(name="loss"), (3,))
        return {"loss": np.float32(model.evaluate(Y_PRED, Y_TRUE, verbose=0, return_dict=True)["loss"])}

    return ValueCase(compute, expect=Raises())


@pytest.mark.parametrize("metric", ["CosineSimilarity", "AUC"])
def case_a_metric_of_a_loaded_model(metric):
    """A model that is saved and loaded measures the same as before."""

    def metric_with_options():
        if metric == "CosineSimilarity":
            return keras.metrics.CosineSimilarity(axis=1, name="metric")
        return keras.metrics.AUC(multi_label=True, num_labels=3, label_weights=[1.0, 2.0, 0.0], name="metric")

    y_true, y_pred = (Y_TRUE.reshape(2, 2, 3), Y_PRED.reshape(2, 2, 3)) if metric == "CosineSimilarity" else (Y_TRUE, Y_PRED)

    def compute():
        model = identity_with(metric_with_options(), y_pred.shape[1:])
        before = evaluated(model, y_pred, y_true)
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / "model.keras")
            return {"change": evaluated(keras.models.load_model(Path(folder) / "model.keras"), y_pred, y_true) - before}

    return ValueCase(compute, reference={"value/change": np.array(0.0)})


@pytest.mark.parametrize("where", ["by_hand", "evaluate", "test_on_batch"])
def case_area_by_label_at_given_thresholds(where):
    """The area under the curve by label, at thresholds of one's own, is the same by hand and beside a loss."""

    def compute():
        metric = keras.metrics.AUC(multi_label=True, num_labels=3, thresholds=[0.15, 0.5, 0.9], name="metric")
        if where == "by_hand":
            metric.update_state(Y_TRUE, Y_PRED)
            return {"area": metric.result()}
        model = identity_with(metric, (3,))
        if where == "evaluate":
            return {"area": evaluated(model, Y_PRED, Y_TRUE)}
        return {"area": np.float32(model.test_on_batch(Y_PRED, Y_TRUE, return_dict=True)["metric"])}

    # Label 0: 0.9 and 0.6 before 0.3 and 0.2; label 1: 0.8 before the others; label 2: 0.4, 0.7 and 0.9 before 0.1.
    return ValueCase(compute, reference={"value/area": np.array(1.0)})
