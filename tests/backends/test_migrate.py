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
    np.savez("no_labels.npz", x=x)
    own = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
    own.compile("sgd", own_layers.own_loss)
    own.save("own.keras")
    np.savez("own.npz", x=x, y=(y > 0).astype("float32")[:, None])
    inputs = keras.Input((4,))
    outputs = {name: keras.layers.Dense(3, "softmax", name=name)(inputs) for name in ("stage", "grade")}
    heads = keras.Model(inputs, outputs)
    heads.compile("sgd", {name: "sparse_categorical_crossentropy" for name in outputs})
    heads.save("heads.keras")
    np.savez("heads.npz", x=x, stage=y, grade=2 - y)
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


def test_another_order_of_outputs_counts_where_they_are_taken_by_position(folder: Path) -> None:
    heads = ("migrate", "heads.keras", "--data", "heads.npz", *LEGS[2:])
    ended = backendcheck(*heads, "--out", "heads", cwd=folder)
    assert ended.exit_code == 0, ended.words
    assert "predict returns the outputs in another order, so take them by name" in ended.out
    assert "grade: 90 of 90 (100 %) decisions agree; stage: 90 of 90" in ended.out
    (folder / "serve.py").write_text("stage, grade = model.predict(x).values()\n", encoding="utf-8")
    ended = backendcheck(*heads, "--out", "heads", "--source", "serve.py", cwd=folder)
    assert ended.exit_code == 1, ended.words
    assert "another order  serve.py:1" in ended.out


def test_what_was_not_compared_is_not_known(folder: Path) -> None:
    ended = backendcheck("migrate", "iris.keras", "--data", "no_labels.npz", *LEGS, "--out", "bare", cwd=folder)
    assert ended.exit_code == 0, ended.words
    decision = json.loads((folder / "bare" / "migrate.json").read_text(encoding="utf-8"))
    assert [check["state"] for check in decision["checks"]] == ["yes", "yes", "not known", "not known"]


def test_the_decision_in_python(folder: Path) -> None:
    code = """
        import numpy as np
        from backendcheck import check_model
        with np.load("iris.npz") as data:
            x, y = data["x"], data["y"]
        report = check_model(
            "iris.keras", x, y, imports=["own_layers"], source="tensorflow", target="jax", out="python", progress=False
        )
        print(report.migration.answer, report.migration.reasons, report.exit_code, len(report.migration.to_look_at))
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=folder, env=variables({}), capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert ended.stdout == "go () 0 2\n", ended.stderr[-3000:]


def test_wrong_usage(folder: Path) -> None:
    ended = backendcheck("migrate", "iris.keras", "--data", "iris.npz", "--from", "jax", "--to", "jax", cwd=folder)
    assert ended.exit_code == 2
    assert "the same leg twice" in ended.err
