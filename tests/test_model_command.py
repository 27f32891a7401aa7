"""`backendcheck model`: from a saved model and data to a report, in one command."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from front_door import Ended, backendcheck, project, variables

SAVE = """
    import sys
    import keras
    import numpy as np
    from PIL import Image

    sys.path.insert(0, ".")
    import own_layers

    rng = np.random.default_rng(0)

    iris = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")], name="iris")
    iris.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = rng.normal(size=(90, 4)).astype("float32"), np.repeat([0, 1, 2], 30)
    iris.fit(x, y, epochs=1, verbose=0)
    iris.save("iris <script>alert(1)<!--'.keras")
    np.savez("iris.npz", x=x, y=y, class_names=["setosa", "versicolor", "virginica"])
    np.savez("one_based.npz", x=x, y=y + 1)
    iris.save_weights("iris.weights.h5")
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    rows = [",".join([*map(str, row), name]) for row, name in zip(x, names)]
    open("iris.csv", "w").write("a,b,c,d,species\\n" + "\\n".join(rows) + "\\n")

    image = keras.Input((8, 8, 1), name="photo")
    flat = keras.layers.Flatten()(own_layers.OnlyTwoBackends()(image))
    photos = keras.Model(image, {"tag": keras.layers.Dense(2, "softmax", name="tag")(flat)})
    photos.compile("sgd", {"tag": "sparse_categorical_crossentropy"})
    photos.save("photos.keras")
    for name in ("cat", "dog"):
        import os
        os.makedirs(f"photos/{name}")
        for number in range(3):
            Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(f"photos/{name}/{number}.png")
"""

OWN_LAYERS = """
    import keras

    @keras.saving.register_keras_serializable("own")
    class OnlyTwoBackends(keras.layers.Layer):
        def call(self, x):
            return x / 255.0

        @classmethod
        def from_config(cls, config):
            if keras.backend.backend() == "jax":
                raise NotImplementedError("not for JAX yet")
            return cls(**config)

    def build():
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = project(tmp_path_factory.mktemp("saved"), {"own_layers.py": OWN_LAYERS})
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SAVE)], cwd=made, env=variables({"KERAS_BACKEND": "jax"}), capture_output=True,
        text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    return made


def report(folder: Path, out: str) -> Any:
    return json.loads((folder / out / "report.json").read_text(encoding="utf-8"))


IRIS = "iris <script>alert(1)<!--'.keras"


@pytest.mark.backends
def test_one_command_leads_from_a_file_to_the_whole_verdict(folder: Path) -> None:
    ended = backendcheck("model", IRIS, "--data", "iris.npz", "--examples", "60", "--out", "out", cwd=folder)
    assert ended.exit_code == 0, ended.words
    assert "(60 of 90 examples, evenly spread)" in ended.err
    (result,) = report(folder, "out")["results"]
    assert result["verdict"] == "PASSED"
    assert {one["oracle"] for one in result["comparisons"]} == {"agreement", "paths", "order", "reference"}
    seen = {one["observation"] for one in result["comparisons"]}
    assert {"predictions", "loss", "metric/accuracy", "train/loss"} <= seen
    case = folder / "out" / "cases" / "iris_script_alert_1.py"
    assert "loss='as compiled'" in case.read_text()
    page = (folder / "out" / "index.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    # It is a case file like any other.
    again = backendcheck("run", case, "--out", "again", "--backends", "jax,torch", cwd=folder)
    assert again.exit_code == 0, again.words


@pytest.mark.backends
def test_labels_that_start_at_one_are_found(folder: Path) -> None:
    ended = backendcheck("model", IRIS, "--data", "one_based.npz", "--out", "one", cwd=folder)
    assert ended.exit_code == 1, ended.words
    (result,) = report(folder, "one")["results"]
    assert result["diagnoses"][0]["code"] == "silent-acceptance"
    assert result["diagnoses"][0]["backends"] == ["jax"]
    # The contract for labels says so first, and what each backend does with such labels.
    first, today = [line for line in ended.err.splitlines() if line.startswith(("error", "warning", " "))][:2]
    assert first.startswith("error   L104 starts-at-one  labels: are 1 … 3; expected 0 … 2 for a head of 3 units")
    assert "jax trains on it" in today


@pytest.mark.backends
def test_a_function_with_weights_and_a_table(folder: Path) -> None:
    ended = backendcheck(
        "model", "own_layers:build", "--weights", "iris.weights.h5", "--data", "iris.csv", "--label-column", "species",
        "--class-names", "setosa,versicolor,virginica", "--loss", "sparse_categorical_crossentropy", "--metrics", "accuracy",
        "--optimizer", "rmsprop", "--examples", "30", "--epochs", "2", "--batch-size", "16", "--out", "table", cwd=folder,
    )  # fmt: skip
    assert ended.exit_code == 0, ended.words
    (result,) = report(folder, "table")["results"]
    assert result["case"] == "build/saved_model"
    text = (folder / "table" / "cases" / "build.py").read_text()
    assert "model.load_weights(HERE / '../../iris.weights.h5')" in text
    assert "batch_size=16" in text


@pytest.mark.backends
def test_a_file_that_cannot_be_loaded_on_one_backend_is_a_finding(folder: Path) -> None:
    ended = backendcheck("model", "photos.keras", "--data", "photos", "--import", "own_layers", "--out", "images", cwd=folder)
    assert ended.exit_code == 1, ended.words
    (result,) = report(folder, "images")["results"]
    assert (result["verdict"], result["odd_one_out"]) == ("FAILED", "jax")
    assert result["raised"]["jax"][0]["stage"] == "case"
    assert "not for JAX yet" in result["raised"]["jax"][0]["message"]
    assert "class_names=['cat', 'dog']" in (folder / "images" / "cases" / "photos.py").read_text()


@pytest.mark.backends
def test_without_labels_predictions_alone_are_compared_and_it_is_said(folder: Path) -> None:
    np.save(folder / "x.npy", np.load(folder / "iris.npz")["x"])
    ended = backendcheck("model", IRIS, "--data", "x.npy", "--out", "unlabelled", "--examples", "20", cwd=folder)
    assert ended.exit_code == 0, ended.words
    assert "20 of 90 examples, evenly spread, without labels: predictions only" in ended.err
    (result,) = report(folder, "unlabelled")["results"]
    assert result["verdict"] == "PASSED"
    shown = backendcheck("show", result["case"], "--out", "unlabelled", cwd=folder)
    assert "predictions only: no labels were given, and no loss" in shown.out


# --- what is refused, before anything starts -------------------------------------------------------------------


def refused(folder: Path, *arguments: object) -> str:
    ended: Ended = backendcheck("model", *arguments, cwd=folder)
    assert ended.exit_code == 2, ended.words
    assert ended.out == ""
    return ended.err


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    project(tmp_path, {"m.keras": "no zip", "d.csv": "a,label\n1,fox\n", "names.json": "{", "own.py": "def build(): pass"})
    np.savez(tmp_path / "d.npz", x=np.ones((2, 2)), y=[0, 1])
    np.savez(tmp_path / "unlabelled.npz", x=np.ones((2, 2)))
    assert "m.keras: is damaged, or no .keras file" in refused(tmp_path, "m.keras", "--data", "d.npz")
    assert "n.keras: no such file" in refused(tmp_path, "n.keras", "--data", "d.npz")
    assert "Missing option '--data'" in refused(tmp_path, "m.keras")
    build = ("own:build", "--data")
    assert "nothing.npz: no such file or directory" in refused(tmp_path, *build, "nothing.npz")
    assert "loss: is given without labels; expected y beside x" in refused(tmp_path, *build, "unlabelled.npz", "--loss", "mse")
    assert "d.npz: --label-column is for a table" in refused(tmp_path, *build, "d.npz", "--label-column", "y")
    assert "loss='foo': Keras has no such loss" in refused(tmp_path, *build, "d.npz", "--loss", "foo")
    assert "options are for a case file" in refused(tmp_path, *build, "d.npz", "--loss", "huber(delta=2)")
    assert "'foo'" in refused(tmp_path, *build, "d.npz", "--backends", "jax,foo")
    text = refused(tmp_path, *build, "d.csv", "--label-column", "label")
    assert "the labels are text, such as 'fox'" in text
    assert "Give --class-names" in text
    named = (*build, "d.csv", "--label-column", "label", "--class-names")
    assert "labels 'fox' are no class; expected one of 'cat', 'dog'" in refused(tmp_path, *named, "cat,dog")
    assert "names.json: is no JSON" in refused(tmp_path, *named, "names.json")
    assert "names.txt: cannot be read" in refused(tmp_path, *named, "names.txt")
    assert "'few' is neither a number" in refused(tmp_path, *build, "d.npz", "--examples", "few")
    assert "there is no module 'no_module_of_this_name' here" in refused(tmp_path, "no_module_of_this_name:f", "--data", "d.npz")
    assert "no such file; expected the weights" in refused(tmp_path, *build, "d.npz", "--weights", "w.weights.h5")
