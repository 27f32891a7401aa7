"""A run on jax, numpy and numpy in another mode: what numpy can do is compared, and what it cannot is declared."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from front_door import backendcheck, project

from backendcheck.recordings.files import read_recording
from backendcheck.recordings.legs import read_leg
from backendcheck.recordings.paths import recording_path
from backendcheck.vocabulary.states import Status

CASES = '''
"""Small cases of each type."""
import keras
import numpy as np
from backendcheck import LossCase, ModelCase


def case_two_outputs(rng):
    """A model with two outputs by name."""
    x = keras.Input((4,), name="x")
    outputs = {"age": keras.layers.Dense(1, name="age")(x), "stage": keras.layers.Dense(3, activation="softmax", name="stage")(x)}
    return ModelCase(
        keras.Model(x, outputs), {"stage": "sparse_categorical_crossentropy", "age": "mse"},
        rng.normal(size=(6, 4)).astype("float32"), {"stage": np.arange(6) % 3, "age": rng.normal(size=(6, 1)).astype("float32")},
        metrics={"stage": ["accuracy"], "age": ["mae"]},
    )


def case_loss():
    """A loss by itself."""
    return LossCase("binary_crossentropy", [[1.0], [0.0]], [[0.3], [0.9]])


def case_not_there():
    """A recurrent kernel that numpy does not have, called by itself."""
    from keras.src import backend
    if backend.backend() == "numpy":
        backend.lstm()
    return {"one": np.ones(1)}


def case_mode():
    """The mode of a model that the case compiles itself."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse", run_eagerly=False)
    return {"eager": model.run_eagerly}
'''
LACKS = {"gradient": "numpy takes no gradients", "train": "numpy does not train"}


def test_numpy_beside_jax(tmp_path: Path) -> None:
    folder = project(tmp_path, {"small.py": CASES})
    ended = backendcheck("run", "small.py", "--legs", "jax,numpy,numpy+eager", "--out", "run", cwd=folder)
    report = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))
    results = {result["case"]: result for result in report["results"]}
    assert results["small/two_outputs"]["verdict"] == results["small/loss"]["verdict"] == "PASSED", ended.words
    headline = "NOT SUPPORTED: numpy and numpy+eager do not support lstm"
    assert (results["small/not_there"]["verdict"], results["small/not_there"]["headline"]) == ("PASSED", headline)
    assert report["not_supported"] == {leg: {"case": 1, "gradient": 2, "train": 1} for leg in ("numpy", "numpy+eager")}
    model = read_recording(recording_path(folder / "run" / "numpy", "small/two_outputs"))
    assert model.not_supported == LACKS
    assert {"predictions/stage", "loss/age", "loss", "metric/stage_accuracy", "metric/age_mae"} <= set(model.observations)
    assert not any(name.startswith(("gradient/", "train/")) for name in model.observations)
    pairs = [(c["left"], c["right"], c["observation"]) for c in results["small/two_outputs"]["comparisons"]]
    compared = {observation for left, right, observation in pairs if (left, right) == ("jax", "numpy")}
    assert {"predictions/stage", "loss", "metric/age_mae"} <= compared
    refused = read_recording(recording_path(folder / "run" / "numpy", "small/not_there"))
    assert (refused.status, refused.problem) == (Status.NOT_SUPPORTED, "numpy does not support lstm")
    assert results["small/mode"]["odd_one_out"] == "numpy+eager"
    plain: dict[str, object] = {"backend": "numpy", "device": None, "mode": None, "packages": {}}
    assert report["legs"] == {"jax": plain | {"backend": "jax"}, "numpy": plain, "numpy+eager": plain | {"mode": "eager"}}


def test_what_a_backend_can_do_is_found_out_where_nothing_says_it() -> None:
    program = (
        "from backendcheck.record.backends.generic import tried_abilities as tried\n"
        "print(*sorted(tried(takes_gradients=False)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "KERAS_BACKEND": "numpy"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["forward", "loss", "metrics"]


NOISY = '''
"""What the harness itself has to do alike on every backend."""
import keras
import numpy as np
from backendcheck import ModelCase


def case_dropout(rng):
    """Fixed draws are made of whole numbers, with operations that every backend has for them."""
    x = rng.normal(size=(6, 4)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    return ModelCase(model, "mse", x, x[:, :1], random="fixed")


def case_a_table_of_two_rows():
    """Shapes are found with inputs that every layer takes."""
    x = keras.Input((None,), dtype="int32")
    model = keras.Model(x, keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(2, 3)(x)))
    return ModelCase(model, "mse", np.array([[0, 1], [1, 1]], "int32"), np.ones((2, 3), "float32"))
'''


def test_what_the_harness_needs_works_on_backends_for_inference(tmp_path: Path) -> None:
    legs = ["jax", "numpy", *(["openvino"] if importlib.util.find_spec("openvino") else [])]
    folder = project(tmp_path, {"noisy.py": NOISY})
    ended = backendcheck("run", "noisy.py", "--legs", ",".join(legs), "--out", "run", cwd=folder)
    report = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))
    stale = {"numpy"}  # test_on_batch keeps what came before
    found = {finding["left"] for result in report["results"] for finding in result["findings"]}
    assert found <= stale, ended.words
    recordings = [recording for leg in legs for recording in read_leg(folder / "run" / leg).recordings.values()]
    assert all(recording.status is Status.RECORDED for recording in recordings)
