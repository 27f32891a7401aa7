"""Scripts of `repro` on the paths oracle: for a model without a fault, each path prints what the recorded path prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backendcheck.repro.printed_paths import value_by_path
from backendcheck.repro.printed_values import PrintedValue, printed_value
from backendcheck.repro.program import Program, write_program
from backendcheck.repro.run_script import run_script
from backendcheck.repro.script import script_source
from backendcheck.vocabulary.leg_names import parse_leg
from backendcheck.vocabulary.observations import ObservationName

MODEL = """
def make():
    x = keras.Input((4,), name="features")
    hidden = keras.layers.Dense(5, activation="tanh", name="hidden")(x)
    model = keras.Model(x, keras.layers.Dense(3, activation="softmax", name="species")(hidden))
    rng = np.random.default_rng(3)
    return dict(
        model=model, loss="sparse_categorical_crossentropy", x=rng.normal(size=(6, 4)).astype("float32"),
        y=rng.integers(0, 3, 6), sample_weight=np.linspace(0.5, 1.5, 6).astype("float32"), weighted_metrics=["accuracy"],
    )
"""
KERNEL = "train/weight/hidden/kernel"
# Which values each path has. The loss and one step are those of a single batch.
PATHS = {
    "saved and loaded": ("predictions", "loss", "metric/accuracy", KERNEL),
    "weights saved and loaded": ("predictions", KERNEL),
    "saved as HDF5 and loaded": ("predictions",),
    "made from its config": ("predictions",),
    "as a functional model": ("predictions",),
    "as a Sequential model": ("predictions",),
    "saved after training and loaded": (KERNEL,),
    "train_on_batch for each batch": (KERNEL,),
    "fit twice": (KERNEL,),
    "fit twice, a layer frozen and released between": (KERNEL,),
    **{f"fit({kind})": ("train/loss", KERNEL) for kind in ("PyDataset", "DataLoader", "generator, steps_per_epoch")},
    **{f"evaluate({kind})": ("metric/accuracy",) for kind in ("PyDataset", "DataLoader")},
    "model(x)": ("predictions",),
    "predict_on_batch": ("predictions",),
    "predict(batch_size=1)": ("predictions",),
    "run_eagerly: train_on_batch": ("metric/accuracy",),
}


@pytest.mark.parametrize("batches", [{"batch_size": 4, "epochs": 2}, {}])
def test_each_path_prints_what_the_recorded_path_prints(tmp_path: Path, batches: dict[str, int]) -> None:
    program = Program(case_type="model", form="source", body=MODEL.strip(), seeded=True, **batches)
    values = {name: printed_value(program, name) for names in PATHS.values() for name in names}
    by_path = {}
    for path, names in PATHS.items():
        for name in names:
            if code := value_by_path(program, ObservationName.parse(name), path):
                by_path[path, name] = PrintedValue(name=f"{name} by {path}", code=code)
    n_left_out = 0 if batches else 2  # one epoch is not trained by two calls
    assert len(by_path) == sum(map(len, PATHS.values())) - n_left_out
    script = tmp_path / "script.py"
    printed_values = [*values.values(), *by_path.values()]
    script.write_text(script_source(
        program, write_program(program), printed_values, heading="Paths", backends=["torch"], name="script.py"
    ))  # fmt: skip
    output = run_script(script, [parse_leg("torch")])["torch"]
    assert not output.error
    lines = dict(line.rsplit(": ", 1) for line in output.printed.splitlines()[1:])
    assert len(lines) == len(printed_values)
    for (path, name), value in by_path.items():
        if name in ("loss", "metric/accuracy") and batches and path != "saved and loaded":
            continue  # of one batch
        np.testing.assert_allclose(json.loads(lines[value.name]), json.loads(lines[name]), rtol=1e-5, atol=1e-6, err_msg=path)


def test_an_optimizer_of_one_backend_is_written_by_its_public_name() -> None:
    code = (
        "import keras; from backendcheck.record.source.expressions import expression; "
        "print(expression(keras.optimizers.Adam(0.1, beta_1=0.5), None))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "KERAS_BACKEND": "torch"}, capture_output=True, text=True, check=False
    )
    assert ended.stdout.splitlines()[-1:] == ["keras.optimizers.Adam(learning_rate=0.1, beta_1=0.5)"], ended.stderr
