"""`backendcheck migrate`: a model that moves from TensorFlow to JAX, and one that does not."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from front_door import backendcheck, line_of, project, variables

OWN_LAYERS = '''
    """A layer that moves, and a loss that does not."""
    import keras
    import numpy as np
    import tensorflow as tf


    @keras.saving.register_keras_serializable("own")
    def own_loss(y_true, y_pred):
        y_true = tf.cast(y_true, tf.float32)
        return keras.ops.mean(tf.square(y_true - y_pred), axis=-1)


    @keras.saving.register_keras_serializable("own")
    class Scale(keras.layers.Layer):
        def call(self, inputs):
            n = np.prod(inputs.shape[1:])
            return inputs / float(n)
'''
SAVE = """
    import keras
    import numpy as np
    import own_layers

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 4)).astype("float32"), np.repeat([0, 1, 2], 30)
    layers = [keras.Input((4,)), own_layers.Scale(), keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")]
    iris = keras.Sequential(layers)
    iris.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    iris.save("iris.keras")
    np.savez("iris.npz", x=x, y=y)
    own = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
    own.compile("sgd", own_layers.own_loss)
    own.save("own.keras")
    np.savez("own.npz", x=x, y=(y > 0).astype("float32")[:, None])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = project(tmp_path_factory.mktemp("moving"), {"own_layers.py": OWN_LAYERS})
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SAVE)], cwd=made, env=variables({"KERAS_BACKEND": "tensorflow"}),
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    return made


LEGS = ("--import", "own_layers", "--from", "tensorflow", "--to", "jax")


def test_a_model_that_moves(folder: Path) -> None:
    ended = backendcheck("migrate", "iris.keras", "--data", "iris.npz", *LEGS, "--out", "go", cwd=folder)
    assert ended.exit_code == 0, ended.words
    decision = json.loads((folder / "go" / "migrate.json").read_text(encoding="utf-8"))
    assert (decision["answer"], [check["state"] for check in decision["checks"]]) == ("go", ["yes"] * 4)
    assert [(one["n"], one["n_same"]) for one in decision["decisions"]] == [(90, 90)]
    assert [len(curve) for curve in decision["train_loss"].values()] == [5, 5]
    assert {line["code"] for line in decision["in_source"]} == {"tensorflow-on-tensor"}  # of the loss that is not used
    page = (folder / "go" / "migrate.html").read_text(encoding="utf-8")
    assert page.count('class="curve c0"') == 2  # the curve and its key
    assert page.count("<script") == 0


def test_a_loss_with_operations_of_tensorflow_does_not_move(folder: Path) -> None:
    ended = backendcheck("migrate", "own.keras", "--data", "own.npz", *LEGS, "--out", "no_go", cwd=folder)
    assert ended.exit_code == 1, ended.words
    decision = json.loads((folder / "no_go" / "migrate.json").read_text(encoding="utf-8"))
    assert decision["answer"] == "no go"
    lines = [line["line"] for line in decision["in_source"] if line["raised_here"]]
    assert lines, decision
    assert set(lines) <= {line_of(OWN_LAYERS, "    y_true = tf.cast"), line_of(OWN_LAYERS, "    return keras.ops.mean(tf.sq")}
    assert "own_layers.py:" in decision["remedies"][0]


def test_wrong_usage(folder: Path) -> None:
    ended = backendcheck("migrate", "iris.keras", "--data", "iris.npz", "--from", "jax", "--to", "jax", cwd=folder)
    assert ended.exit_code == 2
    assert "the same leg twice" in ended.err
