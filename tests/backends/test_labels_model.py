"""Labels against real models of Keras: read from their files without keras, and from the process that has them."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from front_door import variables

from backendcheck.labels import check_labels

SAVE = """
    import json
    import keras
    import numpy as np
    from backendcheck import check_labels
    from backendcheck.model_file import declared_loss

    class Own(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return y_true - y_pred

    def mine(y_true, y_pred):
        return y_true - y_pred

    def sequential(head, loss, shape=(4,)):
        made = keras.Sequential([keras.Input(shape), head])
        made.compile("sgd", loss)
        return made

    x = keras.Input((4,))
    outputs = {"tumor": keras.layers.Dense(1, "sigmoid")(x), "stage": keras.layers.Dense(3)(x)}
    several = keras.Model(x, outputs)
    several.compile("sgd", {
        "tumor": "binary_crossentropy", "stage": keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
    })
    pixels = sequential(keras.layers.Conv2D(2, 1, activation="softmax"), "sparse_categorical_crossentropy", (8, 8, 1))
    models = {
        "softmax": sequential(keras.layers.Dense(3, "softmax"), "sparse_categorical_crossentropy"),
        "several": several, "pixels": pixels, "own": sequential(keras.layers.Dense(1), Own()),
        "function": sequential(keras.layers.Dense(1), mine),
    }
    for name, model in models.items():
        model.save(f"{name}.keras")

    found = {
        "softmax": check_labels([1, 2, 3], model=models["softmax"]),
        "several": check_labels({"tumor": [0, 1, 1, 0], "stage": [0, 1, 2, -1]}, model=several),
        "unnamed": check_labels([[0, 1, 1], [0, 1, 2]], model=several),
        "pixels": check_labels(np.full((2, 8, 8), 255), model=pixels),
        "own": check_labels([0.0, 1.0], model=models["own"]),
        "function": check_labels([0.0, 1.0], model=models["function"]),
        "logits": check_labels([0, 1], loss=keras.losses.BinaryCrossentropy(from_logits=True), head=(1, "sigmoid")),
    }
    print(json.dumps({name: [[one.code, one.severity, one.output] for one in several] for name, several in found.items()}))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("models")
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SAVE)], cwd=folder, env=variables({"KERAS_BACKEND": "jax"}), capture_output=True,
        text=True, check=False, timeout=200,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return folder, json.loads(ended.stdout.splitlines()[-1])


def test_a_model_of_this_process_says_what_its_labels_are_for(saved: Any) -> None:
    _, found = saved
    assert found == {
        "softmax": [["L104", "error", ""]],
        "several": [["L102", "info", "stage"]],
        "unnamed": [],
        "pixels": [["L103", "error", ""], ["L102", "warning", ""], ["L111", "warning", ""]],
        "own": [["L203", "error", ""]],
        "function": [],
        "logits": [["L403", "error", ""]],
    }


def test_the_file_of_a_model_says_the_same(saved: Any) -> None:
    folder, found = saved

    def of(name: str, labels: Any) -> list[list[str]]:
        return [[one.code, one.severity, one.output] for one in check_labels(labels, model=folder / f"{name}.keras")]

    assert of("softmax", [1, 2, 3]) == found["softmax"]
    assert of("several", {"tumor": [0, 1, 1, 0], "stage": [0, 1, 2, -1]}) == found["several"]
    assert of("pixels", np.full((2, 8, 8), 255)) == found["pixels"]
    assert of("own", [0.0, 1.0]) == found["own"]
    (own,) = check_labels([0.0, 1.0], model=folder / "own.keras")
    assert own.today is not None
    assert "in a class of one's own derived from Loss" in own.today.says
    assert of("function", [0.0, 1.0]) == found["function"]
    missing = check_labels({"tumor": [0, 1]}, model=folder / "several.keras")
    assert [(one.code, one.output) for one in missing] == [("L407", "stage")]
    assert [one.code for one in check_labels([0, 1], model=folder / "several.keras", select=["L4"])] == ["L407"]
    steps = np.eye(2)[np.zeros((2, 8, 8), int)]
    assert [one.code for one in check_labels(steps, model=folder / "pixels.keras", select=["L2"])] == ["L206"]
