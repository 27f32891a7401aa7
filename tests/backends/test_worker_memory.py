"""A worker that keeps too much memory is replaced, nothing is lost, and every number stays the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from front_door import backendcheck, project, variables

from backendcheck.recordings.files import read_environment, read_recording
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.states import ExitState, Status

CASES = '''
"""Cases that keep memory, and cases that only need it."""
import sys
import keras, numpy as np
from backendcheck import LossCase, ModelCase

KEPT = []

def loss(rng):
    return LossCase("mean_squared_error", rng.normal(size=(4, 2)), rng.normal(size=(4, 2)))

def case_keeps(rng):
    """It keeps 320 MB."""
    KEPT.append(np.ones(40_000_000))
    return loss(rng)

def case_needs(rng):
    """It needs 480 MB while it runs."""
    assert np.ones(60_000_000).sum() == 60_000_000
    return loss(rng)

def case_model(rng):
    """A model is built, trained and saved."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    return ModelCase(model, keras.losses.MeanSquaredError(), rng.normal(size=(4, 2)), rng.normal(size=(4, 2)))

def case_no_tensorflow():
    """Nothing of that has imported TensorFlow, which would take half a gigabyte."""
    keras.saving.serialize_keras_object(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]))
    assert "tensorflow" not in sys.modules
    return {"value": 1.0}
'''
N_CASES = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = project(tmp_path_factory.mktemp("memory"), {
        "cases/memory.py": CASES,
        "pyproject.toml": '[tool.backendcheck]\nworker_memory = "100M"\n',  # less than a worker needs for itself
    })  # fmt: skip
    for out, options in (("bound", []), ("free", ["--worker-memory", "0"])):
        ended = backendcheck("record", "cases", "--backend", "torch", "--out", out, *options, cwd=folder)
        assert ended.exit_code == 0, ended.words
    return folder


def contents(recording: Recording) -> dict[str, tuple[str, object]]:
    values = {name: observation.value for name, observation in recording.observations.items()}
    return {
        name: (value.dtype.str, value.tolist() if value.dtype.kind == "O" else value.tobytes()) for name, value in values.items()
    }


def recordings(folder: Path, out: str) -> dict[str, Recording]:
    of_run = [read_recording(path) for path in (folder / out).rglob("*.safetensors")]
    return {recording.case: recording for recording in of_run}


def test_a_worker_that_keeps_too_much_is_replaced_and_nothing_is_lost(folder: Path) -> None:
    environment = read_environment(folder / "bound" / "torch")
    assert environment.exit_state is ExitState.COMPLETE
    assert environment.n_replaced_for_memory == 1  # after the case that keeps memory, not after the one that only needs it
    assert read_environment(folder / "free" / "torch").n_replaced_for_memory == 0


def test_the_recordings_are_those_of_one_worker(folder: Path) -> None:
    bound, free = recordings(folder, "bound"), recordings(folder, "free")
    assert len(bound) == N_CASES
    assert bound.keys() == free.keys()
    for case, recording in bound.items():
        assert recording.status is free[case].status is Status.RECORDED
        assert recording.notes == free[case].notes
        assert contents(recording)
        assert contents(recording) == contents(free[case])


def test_the_replacements_are_told_once(folder: Path) -> None:
    ended = backendcheck("compare", "bound", "--out", "report", "-v", cwd=folder)
    assert ended.words.count("1 worker replaced for memory") == 1


GRADIENTS = """
import tensorflow as tf
from tensorflow.python.framework import ops
from backendcheck.record.backends import tensorflow as backend

def traced():
    @tf.custom_gradient
    def square(x):
        return x * x, lambda dy: dy * 7.0 * x
    function = tf.function(square)
    function(tf.constant(3.0))
    return function

def n_registered():
    return sum(name.startswith("CustomGradient-") for name in ops.gradient_registry._registry)

kept = traced()
traced()
print(n_registered())
backend.forget_programs()
print(n_registered())
with tf.GradientTape() as tape:
    x = tf.constant(3.0)
    tape.watch(x)
    y = kept(x)
print(tape.gradient(y, x).numpy())
"""


def test_tensorflow_forgets_the_gradients_of_functions_that_are_gone_and_keeps_the_others() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GRADIENTS], env=variables({"KERAS_BACKEND": "tensorflow"}), capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["2", "1", "21.0"], done.stderr
