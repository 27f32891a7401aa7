"""Legs on devices and in compiled modes. No accelerator is needed: a stand-in of the backend NumPy says that it has one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from front_door import backendcheck, project

STAND_IN = '''
"""The backend NumPy, which says that it computes on a GPU, and loses it when a case asks for that."""
import os

from backendcheck.record.backends.numpy import *

broken = False


def device_type():
    return "cpu" if os.environ.get("CUDA_VISIBLE_DEVICES") == "-1" else "gpu"


def device_name():
    return "cpu" if device_type() == "cpu" else "gpu: stand-in"


def check_device():
    if broken:
        raise RuntimeError("device-side assert triggered\\nmore lines")
'''
CASES = '''
"""Small cases."""
import keras
import stand_in_gpu
from backendcheck import LossCase


def case_a_fine_loss():
    """Before."""
    return LossCase("mse", [[1.0]], [[0.5]])


def case_b_past_the_end():
    """Nothing can be computed after it."""
    stand_in_gpu.broken = stand_in_gpu.device_type() == "gpu"
    return LossCase("mae", [[1.0]], [[0.5]])


def case_c_fine_loss():
    """After."""
    return LossCase("mae", [[1.0]], [[0.5]])
'''
INFO = "stand_in_gpu-1.0.dist-info"
FILES = {
    "packages/stand_in_gpu.py": STAND_IN,
    f"packages/{INFO}/METADATA": "Metadata-Version: 2.1\nName: stand-in-gpu\nVersion: 1.0\n",
    f"packages/{INFO}/entry_points.txt": "[backendcheck.backends]\nnumpy = stand_in_gpu\n",
    "cases/small.py": CASES,
}
MODEL = '''
"""A small model."""
import keras
import numpy as np
from backendcheck import ModelCase


def case_model(rng):
    """Two layers."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return ModelCase(model, loss, rng.normal(size=(6, 4)).astype("float32"), np.arange(6) % 3)


def case_compiled():
    """What is compiled: the model, or the step."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    return {"call": hasattr(model.call, "_torchdynamo_orig_callable"), "step": model.jit_compile}
'''


def run(folder: Path, *arguments: str) -> tuple[Any, Any]:
    environment = {"PYTHONPATH": str(folder / "packages")}
    ended = backendcheck("run", "cases", "--out", "run", "--overwrite", *arguments, cwd=folder, env=environment)
    path = folder / "run" / "report.json"
    return ended, json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def test_a_device_that_is_lost_is_a_crash_of_one_case(tmp_path: Path) -> None:
    folder = project(tmp_path, FILES)
    ended, report = run(folder, "--legs", "numpy,numpy@gpu", "--oracles", "agreement")
    verdicts = {case["case"]: case["verdict"] for case in report["results"]}
    expected = {"small/a_fine_loss": "PASSED", "small/b_past_the_end": "ERROR", "small/c_fine_loss": "PASSED"}
    assert verdicts == expected, ended.words
    assert "the device computes nothing any more after it: RuntimeError: device-side assert triggered" in ended.words
    assert report["environments"]["numpy@gpu"]["device"] == "gpu: stand-in"
    assert report["environments"]["numpy"]["device"] == "cpu"


def test_a_device_that_is_not_there_ends_the_leg_in_one_line(tmp_path: Path) -> None:
    folder = project(tmp_path, {"cases/small.py": CASES.replace("import stand_in_gpu\n", "").replace("stand_in_gpu.", "# ")})
    for arguments in (["--legs", "numpy@gpu"], ["--legs", "numpy", "--device", "gpu"]):
        ended, _ = run(folder, *arguments)
        assert ended.exit_code == 3, ended.words
        assert "numpy computes on cpu here; expected gpu. Install numpy for gpu on a machine that has one" in ended.words


def test_torch_compile_around_the_model(tmp_path: Path) -> None:
    folder = project(tmp_path, {"cases/model.py": MODEL})
    ended, report = run(folder, "--legs", "torch,torch+compile", "--oracles", "agreement")
    values = {case["case"]: case for case in report["results"]}
    assert values["model/model"]["verdict"] == "PASSED", ended.words
    assert values["model/compiled"]["verdict"] == "FAILED"
    assert "call" in values["model/compiled"]["headline"]
