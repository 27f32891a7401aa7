"""Metrics in models: what has a reference, what may be compared between batch sizes, and metrics of several values."""

from __future__ import annotations

import json
from pathlib import Path

from front_door import backendcheck

from backendcheck.recordings.legs import read_legs

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


class Distance(keras.metrics.Metric):
    """A mean over examples, with their weights."""

    def __init__(self):
        super().__init__(name="distance")
        self.total = self.add_weight(initializer="zeros", name="total")
        self.count = self.add_weight(initializer="zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = keras.ops.mean(keras.ops.abs(keras.ops.subtract(y_true, y_pred)), axis=-1)
        weight = keras.ops.ones_like(values) if sample_weight is None else keras.ops.cast(sample_weight, values.dtype)
        self.total.assign_add(keras.ops.sum(values * weight))
        self.count.assign_add(keras.ops.sum(weight))

    def result(self):
        return self.total / self.count


@pytest.mark.parametrize("how", ["by_name", "weighted", "exchanged", "exchanged_labels"])
def case_own_metric_of_two_heads(how, rng, monkeypatch):
    """A metric of the user, which Keras computes on the right head, or on the other one."""
    x = keras.Input((4,))
    heads = {name: keras.layers.Dense(3, activation="sigmoid", name=name)(x) for name in "ab"}
    labels = {name: rng.random((7, 3)).astype("float32") for name in "ab"}
    if how.startswith("exchanged"):
        from keras.src.trainers import compile_utils

        update = compile_utils.CompileMetrics.update_state

        def update_of_other(self, y_true, y_pred, sample_weight=None):
            exchanged = {"a": y_pred["b"], "b": y_pred["a"]}
            if how == "exchanged":
                return update(self, {"a": y_true["b"], "b": y_true["a"]}, exchanged, sample_weight)
            return update(self, {"a": y_true["b"], "b": y_true["a"]}, y_pred, sample_weight)

        monkeypatch.setattr(compile_utils.CompileMetrics, "update_state", update_of_other)
    kind = "weighted_metrics" if how == "weighted" else "metrics"
    weight = {name: rng.random(7).astype("float32") for name in "ab"} if how == "weighted" else None
    declared = {kind: {"a": [Distance()], "b": [Distance(), "accuracy"]}}
    model = keras.Model(x, heads)
    return ModelCase(model, {"a": "mse", "b": "mse"}, rng.normal(size=(7, 4)).astype("float32"), labels, sample_weight=weight,
                     batch_size=3, **declared)


@pytest.mark.parametrize("labels", ["flat", "column", "one_hot", "yes_or_no"])
def case_chosen_by_shape(labels, rng):
    """Keras chooses the functions of two strings by the shapes of the labels."""
    n_columns = 1 if labels == "yes_or_no" else 3
    activation = "sigmoid" if labels == "yes_or_no" else "softmax"
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(n_columns, activation=activation)])
    classes = rng.integers(2 if labels == "yes_or_no" else 3, size=7)
    y = {"flat": classes, "column": classes[:, None], "one_hot": np.eye(3, dtype="float32")[classes % 3],
         "yes_or_no": classes[:, None].astype("float32")}[labels]
    return ModelCase(model, "crossentropy", rng.normal(size=(7, 4)).astype("float32"), y, metrics=["acc"])


def case_chosen_for_each_head(rng):
    """Keras chooses for each head by the labels of its name."""
    x = keras.Input((4,))
    dense = keras.layers.Dense
    heads = {"z": dense(3, activation="softmax", name="z")(x), "a": dense(1, activation="sigmoid", name="a")(x)}
    labels = {"z": rng.integers(3, size=7), "a": rng.integers(2, size=(7, 1)).astype("float32")}
    model = keras.Model(x, heads)
    return ModelCase(model, {"z": "ce", "a": "ce"}, rng.normal(size=(7, 4)).astype("float32"), labels,
                     metrics={"z": ["accuracy"], "a": ["accuracy"]})


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
    exchanged = {f"own_metric_of_two_heads[{how}]" for how in ("exchanged", "exchanged_labels")}
    assert wrong == dict.fromkeys(("model[adjusted-7]", "model[adjusted-3]", *sorted(exchanged)), "FAILED"), ended.words
    for name, part in (("exchanged", "output"), ("exchanged_labels", "labels")):
        diagnosis = results[f"own_metric_of_two_heads[{name}]"]["diagnoses"][0]
        assert (diagnosis["code"], diagnosis["evidence"]["supposed"]) == ("output-swap", f"the {part} of b"), diagnosis
    for name in ("model[wrong-7]", "own_metric_of_two_heads[weighted]"):
        paths = {comparison["right"].partition(":")[2] for comparison in results[name]["comparisons"]}
        assert "metrics by name" in paths, name
    found = {(finding["oracle"], finding["observation"]) for finding in results["model[adjusted-7]"]["findings"]}
    assert {("reference", "metric/r2_score"), ("reference", "train/metric/r2_score")} <= found
    check_choices(tmp_path / "out")
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


CHOSEN = {
    "chosen_by_shape[flat]": {"acc": ("SparseCategoricalAccuracy", "sparse_categorical_crossentropy")},
    "chosen_by_shape[column]": {"acc": ("SparseCategoricalAccuracy", "sparse_categorical_crossentropy")},
    "chosen_by_shape[one_hot]": {"acc": ("CategoricalAccuracy", "categorical_crossentropy")},
    "chosen_by_shape[yes_or_no]": {"acc": ("BinaryAccuracy", "binary_crossentropy")},
    "chosen_for_each_head": {
        "z_accuracy": ("SparseCategoricalAccuracy", "sparse_categorical_crossentropy"),
        "a_accuracy": ("BinaryAccuracy", "binary_crossentropy"),
    },
}  # fmt: skip


def check_choices(out: Path) -> None:
    for leg in read_legs([out / name for name in ("torch", "jax")]):
        for case, chosen in CHOSEN.items():
            recording = leg.recordings[f"metrics/{case}"]
            assert {name: recording.metrics[name]["class"] for name in chosen} == {name: c for name, (c, _) in chosen.items()}
            functions = {description["name"] for description in recording.losses.values()}
            assert functions == {function for _, function in chosen.values()}
            assert sum("Keras chose it by shapes" in note for note in recording.notes) == 2 * len(chosen)
