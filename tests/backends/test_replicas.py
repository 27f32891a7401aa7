"""Two replicas of data parallel: compared where they promise the same numbers, and a note where they do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from front_door import backendcheck, project

from backendcheck.recordings.files import read_recording
from backendcheck.recordings.paths import recording_path
from backendcheck.vocabulary.findings import Oracle

CASES = '''
"""Models on two replicas."""
import keras
import numpy as np
from backendcheck import ModelCase


def data(n=8):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 4)).astype("float32"), np.arange(n) % 3


def model(*layers):
    return keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3, activation="softmax", name="stage")])


def case_two_outputs():
    """Two outputs by name, weights of examples, a metric object, several batches and epochs."""
    x, stage = data()
    inputs = keras.Input((4,))
    outputs = {name: keras.layers.Dense(n, name=name)(inputs) for name, n in (("age", 1), ("stage", 3))}
    stage_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return ModelCase(
        keras.Model(inputs, outputs), {"stage": stage_loss, "age": "mse"}, x, {"stage": stage, "age": x[:, :1]},
        sample_weight={"stage": np.arange(8.0) + 1, "age": np.ones(8)},
        metrics={"stage": [keras.metrics.SparseCategoricalAccuracy()]},
        optimizer=keras.optimizers.Adam(0.1), batch_size=4, epochs=2,
    )


def case_batch_statistics():
    """A layer that looks at the batch as a whole."""
    return ModelCase(model(keras.layers.BatchNormalization()), "sparse_categorical_crossentropy", *data())


def case_odd_batch():
    """A last batch of three examples."""
    return ModelCase(model(), "sparse_categorical_crossentropy", *data(7), batch_size=4)


def n_replicas():
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf
        return tf.distribute.get_strategy().num_replicas_in_sync
    return 1 if keras.distribution.distribution() is None else 2


def twice_on_replicas(y_true, y_pred):
    return n_replicas() * keras.losses.sparse_categorical_crossentropy(y_true, y_pred)


def case_clipped():
    """An optimizer that clips gradients, on which TensorFlow clips those of each replica before it adds them up."""
    loss = keras.losses.SparseCategoricalCrossentropy()
    return ModelCase(model(), loss, *data(), optimizer=keras.optimizers.SGD(0.5, clipvalue=0.01))


def case_planted():
    """A loss that counts twice on replicas."""
    return ModelCase(model(), twice_on_replicas, *data())
'''
PATHS = {f"{call} on 2 replicas" for call in ("predict", "evaluate", "fit")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = project(tmp_path_factory.mktemp("replicas"), {"cases.py": CASES})
    ended = backendcheck("run", "cases.py", "--legs", "tensorflow+replicas,jax+replicas", "--out", "run", cwd=folder)
    assert ended.exit_code == 1, ended.words
    return folder


def recorded(folder: Path, leg: str, case: str) -> tuple[set[str], list[str]]:
    """The paths on replicas that were recorded, and the notes on those that were not."""
    recording = read_recording(recording_path(folder / "run" / leg, f"cases/{case}"))
    paths = {variant.path for variant in recording.variants if variant.oracle is Oracle.PATHS}
    return paths & PATHS, [note for note in recording.notes if "replicas" in note]


@pytest.mark.parametrize("leg", ["tensorflow+replicas", "jax+replicas"])
def test_what_replicas_promise_is_compared_and_the_rest_is_told(folder: Path, leg: str) -> None:
    assert recorded(folder, leg, "two_outputs") == (PATHS, [])
    odd = "two replicas are not compared: they cannot share a batch of 3 evenly"
    assert recorded(folder, leg, "odd_batch") == (set(), [odd])


def test_batch_statistics_are_those_of_the_whole_batch_on_jax_alone(folder: Path) -> None:
    assert recorded(folder, "jax+replicas", "batch_statistics") == (PATHS, [])
    (note,) = recorded(folder, "tensorflow+replicas", "batch_statistics")[1]
    assert note.endswith("compared: the losses of a batch are not those of its halves, and each replica has one half")


def test_only_what_differs_on_replicas_is_found(folder: Path) -> None:
    report = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))
    results = {result["case"]: result for result in report["results"]}
    assert {case for case, result in results.items() if result["verdict"] != "PASSED"} == {"cases/planted", "cases/clipped"}
    findings = {(finding["oracle"], finding["left"], finding["right"]) for finding in results["cases/planted"]["findings"]}
    legs = ("tensorflow+replicas", "jax+replicas")
    assert findings == {("paths", leg, f"{leg}:{call} on 2 replicas") for leg in legs for call in ("evaluate", "fit")}
    clipped = {(finding["left"], finding["right"]) for finding in results["cases/clipped"]["findings"]}
    assert clipped == {("tensorflow+replicas", "tensorflow+replicas:fit on 2 replicas")}


def test_torch_has_no_replicas(tmp_path: Path) -> None:
    ended = backendcheck("run", "--legs", "jax,torch+replicas", cwd=tmp_path)
    assert ended.exit_code == 2
    assert "leg 'torch+replicas': torch has no replicas in one process; expected tensorflow or jax." in ended.err
