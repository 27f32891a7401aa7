"""`backendcheck model`: from a saved model and data to a report, in one command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from front_door import backendcheck
from iris_model import folder

__all__ = ["folder"]


def report(folder: Path, out: str) -> Any:
    return json.loads((folder / out / "report.json").read_text(encoding="utf-8"))


IRIS = "iris <script>alert(1)<!--'.keras"


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


def test_labels_that_start_at_one_are_found(folder: Path) -> None:
    ended = backendcheck("model", IRIS, "--data", "one_based.npz", "--out", "one", cwd=folder)
    assert ended.exit_code == 1, ended.words
    (result,) = report(folder, "one")["results"]
    assert result["diagnoses"][0]["code"] == "silent-acceptance"
    assert result["diagnoses"][0]["backends"] == ["jax"]
    # The contract for labels says so first, and what each backend does with such labels.
    first, today = [line for line in ended.err.splitlines() if line.startswith(("error", "warning", " "))][:2]
    assert first.startswith("error   L104 starts-at-one  labels: start at 1, not at 0; expected 0 … 2 for a head of 3 units")
    assert "jax trains on it" in today


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


def test_a_file_that_cannot_be_loaded_on_one_backend_is_a_finding(folder: Path) -> None:
    ended = backendcheck("model", "photos.keras", "--data", "photos", "--import", "own_layers", "--out", "images", cwd=folder)
    assert ended.exit_code == 1, ended.words
    (result,) = report(folder, "images")["results"]
    assert (result["verdict"], result["odd_one_out"]) == ("FAILED", "jax")
    assert result["raised"]["jax"][0]["stage"] == "case"
    assert "not for JAX yet" in result["raised"]["jax"][0]["message"]
    assert "class_names=['cat', 'dog']" in (folder / "images" / "cases" / "photos.py").read_text()


def test_without_labels_predictions_alone_are_compared_with_a_note(folder: Path) -> None:
    np.save(folder / "x.npy", np.load(folder / "iris.npz")["x"])
    ended = backendcheck("model", IRIS, "--data", "x.npy", "--out", "unlabeled", "--examples", "20", cwd=folder)
    assert ended.exit_code == 0, ended.words
    assert "20 of 90 examples, evenly spread, without labels: predictions only" in ended.err
    (result,) = report(folder, "unlabeled")["results"]
    assert result["verdict"] == "PASSED"
    shown = backendcheck("show", result["case"], "--out", "unlabeled", cwd=folder)
    assert "predictions only: the case has no labels and no loss" in shown.out
