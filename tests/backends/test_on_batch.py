"""`test_on_batch` and `train_on_batch` report one batch, also after another one. Keras before 3.15 reports all batches so far."""

from __future__ import annotations

import json
from pathlib import Path

from front_door import backendcheck

CASES = '''
"""Batches, one after another."""
import keras
import numpy as np
from backendcheck import ModelCase


class Accumulating(keras.Sequential):
    """As Keras was before 3.15: the steps on one batch keep what the metrics hold."""

    keeps = False

    def reset_metrics(self):
        if not self.keeps:
            super().reset_metrics()

    def test_on_batch(self, *args, **options):
        self.keeps = True
        try:
            return super().test_on_batch(*args, **options)
        finally:
            self.keeps = False

    def train_on_batch(self, *args, **options):
        self.keeps = True
        try:
            return super().train_on_batch(*args, **options)
        finally:
            self.keeps = False


def trained(cls, rng):
    model = cls([keras.Input((2,)), keras.layers.Dense(1)])
    return ModelCase(model, "mse", rng.normal(size=(7, 2)), np.arange(7.0), batch_size=3, metrics=["mae"])


def case_accumulating(rng):
    """Each batch by itself."""
    return trained(Accumulating, rng)


def case_keras(rng):
    """Each batch by itself."""
    return trained(keras.Sequential, rng)
'''


def test_a_batch_that_is_reported_with_those_before_it_is_found(tmp_path: Path) -> None:
    (tmp_path / "on_batch.py").write_text(CASES, encoding="utf-8")
    ended = backendcheck("run", "on_batch.py", "--backends", "torch,jax", "--out", "out", cwd=tmp_path, timeout=300)
    assert ended.exit_code == 1, ended.words
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    results = {result["case"]: result for result in report["results"]}
    assert results["on_batch/keras"]["verdict"] == "PASSED", results["on_batch/keras"]["headline"]
    findings = results["on_batch/accumulating"]["findings"]
    found = {(finding["observation"], finding["right"].partition(":")[2]) for finding in findings}
    assert found == {
        ("loss", "test_on_batch after another batch"), ("metric/mae", "test_on_batch after another batch"),
        ("loss", "train_on_batch after another batch"),
    }  # fmt: skip
