"""Optimizers: the reference against Keras in several steps with many options, and what a recording has of an update."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from front_door import backendcheck

from backendcheck.recordings.legs import read_legs

SUPPORT = Path(__file__).parents[1] / "support"
# Where Keras 3.15 does not follow its documentation. The case file optimizers.py has each of them.
DISAGREEMENTS = {
    "Ftrl l2": {"W"},  # adds the strength twice
    "Adafactor fixed_rate": {"W"},  # lowers the rate with the step, also with relative_step=False
}

CASES = '''
"""Optimizers."""
import keras
import numpy as np
import pytest
from backendcheck import ModelCase


class OfTheUser(keras.optimizers.SGD):
    """An optimizer that Keras does not define."""


OPTIMIZERS = {
    "halved": lambda: keras.optimizers.SGD(0.1),
    "of_the_user": lambda: OfTheUser(0.1),
    "averaged": lambda: keras.optimizers.SGD(0.1, use_ema=True),
    "accumulated": lambda: keras.optimizers.Adam(0.1, gradient_accumulation_steps=2),
    "constrained": lambda: keras.optimizers.SGD(0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def case_step(name, rng, monkeypatch):
    """One step of a small model."""
    if name == "halved":
        of_torch = type(keras.optimizers.SGD(0.1))
        step = of_torch._parallel_update_step
        monkeypatch.setattr(of_torch, "_parallel_update_step", lambda self, g, v, rate: step(self, g, v, rate / 2))
    constraint = keras.constraints.NonNeg() if name == "constrained" else None
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_constraint=constraint)])
    x, y = rng.normal(size=(6, 4)).astype("float32"), rng.normal(size=(6, 3)).astype("float32")
    return ModelCase(model, "mse", x, y, optimizer=OPTIMIZERS[name]())
'''


def test_keras_takes_the_steps_of_the_reference() -> None:
    environment = {**os.environ, "KERAS_BACKEND": "numpy", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(SUPPORT / "optimizer_steps.py")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    disagreements = {name: set(kinds) for name, kinds in json.loads(ended.stdout.splitlines()[-1])["differ"].items()}
    assert disagreements == DISAGREEMENTS
    covered = json.loads(ended.stdout.splitlines()[-1])["covered"]
    assert min(covered.values()) > 0.7, covered


def test_the_update_of_a_recording(tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text(CASES, encoding="utf-8")
    ended = backendcheck("run", "steps.py", "--backends", "torch", "--out", "out", cwd=tmp_path, timeout=200)
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    results = {result["case"]: result for result in report["results"]}
    assert {case for case, result in results.items() if result["verdict"] == "FAILED"} == {"steps/step[halved]"}, ended.words
    diagnosis = results["steps/step[halved]"]["diagnoses"][0]
    assert (diagnosis["code"], diagnosis["evidence"]["optimizer"]) == ("wrong-update", "SGD")
    recordings = read_legs([tmp_path / "out" / "torch"])[0].recordings

    def updates(case: str) -> tuple[set[str], str]:
        recording = recordings[f"steps/step[{case}]"]
        names = {name for name in recording.reference_values if name.startswith("train/")}
        return names, " ".join(note for note in recording.notes if "for the update" in note)

    state = {"train/optimizer/iteration", "train/optimizer/learning_rate"}
    kernel, bias = "train/weight/sequential/dense/kernel", "train/weight/sequential/dense/bias"
    assert updates("halved") == ({kernel, bias, *state}, "")
    assert updates("of_the_user") == (set(), "no reference for the update: OfTheUser is not an optimizer of Keras")
    assert updates("averaged")[0] == state
    assert "what these start from is not documented" in updates("averaged")[1]
    assert updates("constrained") == (
        {bias, *state}, "the reference for the update is not complete: constraints change sequential/dense/kernel"
    )
    assert updates("accumulated")[0] >= {kernel, bias, "train/optimizer/sequential/dense/kernel/gradient_accumulator"}
