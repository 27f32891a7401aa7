"""Metrics in models: what has a reference, what may be compared between batch sizes, and metrics of several values."""

from __future__ import annotations

import json
from pathlib import Path

from front_door import backendcheck

CASES = '''
"""Metrics."""
import keras
import numpy as np
import pytest
from backendcheck import ModelCase

WEIGHTS = np.array([0.5, 1.0, 1.5, 2.0, 0.5, 1.0, 1.5], dtype="float32")


def overlap(y_true, y_pred):
    """One number for a batch, so that the mean over batches depends on them."""
    return 2 * keras.ops.sum(keras.ops.multiply(y_true, y_pred)) / keras.ops.sum(keras.ops.add(y_true, y_pred))


class WrongAccuracy(keras.metrics.Metric):
    """Adds up one number for a batch."""

    def __init__(self):
        super().__init__(name="wrong")
        self.total = self.add_weight(initializer="zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(keras.ops.max(y_pred))

    def result(self):
        return self.total + 0.0


METRICS = {
    "f1_of_each_class": {"metrics": [keras.metrics.F1Score]},
    "counts_at_thresholds": {"metrics": [lambda: keras.metrics.TruePositives(thresholds=[0.2, 0.4])]},
    "weighted": {"weighted_metrics": [keras.metrics.Precision, "accuracy"]},
    "overlap": {"metrics": [lambda: overlap]},
    "wrong": {"metrics": [WrongAccuracy]},
    "adjusted": {"metrics": [lambda: keras.metrics.R2Score(num_regressors=2)]},
}


@pytest.mark.parametrize("batch_size", [7, 3])
@pytest.mark.parametrize("metric", METRICS)
def case_model(metric, batch_size, rng):
    """The metric of a model."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="sigmoid")])
    declared = {name: [m if isinstance(m, str) else m() for m in given] for name, given in METRICS[metric].items()}
    y = np.eye(3, dtype="float32")[rng.integers(3, size=7)]
    x = rng.normal(size=(7, 4)).astype("float32")
    return ModelCase(model, "binary_crossentropy", x, y, sample_weight=WEIGHTS, batch_size=batch_size, **declared)


@pytest.mark.parametrize("swapped", [False, True])
def case_two_heads(swapped, rng):
    """Each head has the accuracy of its own labels, also where the model hands them over in another order."""
    inputs = keras.Input((4,))
    heads = {name: keras.layers.Dense(3, activation="softmax", name=name)(inputs) for name in ("a", "b")}

    class Swapping(keras.Model):
        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            if swapped:
                y_pred = {"a": y_pred["b"], "b": y_pred["a"]}
            return super().compute_metrics(x, y, y_pred, sample_weight)

    labels = {name: rng.integers(3, size=7) for name in heads}
    losses = {name: "sparse_categorical_crossentropy" for name in heads}
    model = (Swapping if swapped else keras.Model)(inputs, heads)
    x = rng.normal(size=(7, 4)).astype("float32")
    return ModelCase(model, losses, x, labels, metrics={name: ["accuracy"] for name in heads})
'''


def test_metrics(tmp_path: Path) -> None:
    (tmp_path / "metrics.py").write_text(CASES, encoding="utf-8")
    ended = backendcheck("run", "metrics.py", "--backends", "torch,jax", "--out", "out", cwd=tmp_path, timeout=400)
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    results = {result["case"].removeprefix("metrics/"): result for result in report["results"]}
    verdicts = {name: result["verdict"] for name, result in results.items()}
    # Keras 3.15 adjusts for the number of labels in place of the number of examples, and cannot be traced by JAX there.
    wrong = {name: verdict for name, verdict in verdicts.items() if verdict != "PASSED"}
    assert wrong == {"model[adjusted-7]": "FAILED", "model[adjusted-3]": "FAILED"}, ended.words
    found = {(finding["oracle"], finding["observation"]) for finding in results["model[adjusted-7]"]["findings"]}
    assert {("reference", "metric/r2_score"), ("reference", "train/metric/r2_score")} <= found
    compared = {name: compared_with_reference(result) for name, result in results.items()}
    for batch_size in (7, 3):
        in_fit = {"train/metric"} if batch_size == 7 else set()
        assert compared[f"model[f1_of_each_class-{batch_size}]"] >= {"metric/f1_score"}
        assert compared[f"model[counts_at_thresholds-{batch_size}]"] >= {"metric/true_positives"}
        assert compared[f"model[weighted-{batch_size}]"] >= {"metric/precision", "metric/accuracy"}
        assert {name.rpartition("/")[0] for name in compared[f"model[weighted-{batch_size}]"]} >= in_fit
    assert compared["two_heads[False]"] >= {"metric/a_accuracy", "metric/b_accuracy"}
    assert not compared["two_heads[True]"] & {"metric/a_accuracy", "metric/b_accuracy"}  # its own compute_metrics decides


def compared_with_reference(result: dict) -> set[str]:
    """The observations that a case compared with a reference."""
    return {comparison["observation"] for comparison in result["comparisons"] if comparison["oracle"] == "reference"}
