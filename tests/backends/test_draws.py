"""What draws random numbers is named and not compared; the rest of its case is. What only remembers is compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from front_door import backendcheck

from backendcheck.recordings.files import read_recording
from backendcheck.recordings.paths import recording_path

CASES = Path(__file__).parent / "draws.py"

# Case, who draws: nothing is left to compare.
NOTHING_LEFT = [
    ("dropout_in_a_function", "the function"),
    ("fixed_seed", "the function"),
    ("numpy_in_a_function", "the function"),
    ("numpy_without_a_seed", "the function"),
    ("kept_generator", "the function from_a_kept_generator"),
    ("loss", "the loss noisy"),
]

# Case, who draws, an observation that is not compared, one that is.
IN_PART = [
    ("one_of_two_results", "the function", "value/noisy", "value/plain"),
    ("values", "the value noise", "value/noise", "value/numpy"),
    ("what_a_layer_starts_from", "the value out", "value/out", "value/shape"),
    ("loss_of_a_model", "the loss noisy_with_numpy", "train/loss", "predictions"),
    ("metric", "the metric shuffled", "metric/shuffled", "metric/accuracy"),
    ("inference", "inference (layer doubtful)", "predictions", "per_example_loss"),  # the loss of what the model gave it
    ("numpy_in_a_layer", "inference", "predictions", "per_example_loss"),
    ("training", "training (layer noise, dropout)", "train/loss", "gradient/sequential/dense/kernel"),
]

REMEMBER = ["statistics", "mean_that_goes_on", "dropout_that_drops_nothing"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("draws")
    shutil.copy(CASES, folder)
    ended = backendcheck("run", CASES.name, "--out", "out", cwd=folder, timeout=600)
    assert ended.exit_code == 3, ended.words
    return folder / "out"


@pytest.fixture(scope="module")
def results(run: Path) -> dict[str, Any]:
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    return {result["case"].removeprefix("draws/"): result for result in report["results"]}


@pytest.mark.parametrize(("case", "who"), NOTHING_LEFT)
def test_a_case_that_is_random_as_a_whole_is_an_error_that_says_so(results: dict[str, Any], case: str, who: str) -> None:
    result = results[case]
    assert (result["verdict"], result["findings"], result["odd_one_out"]) == ("ERROR", [], None)
    assert f"{who} draws random numbers" in result["headline"]


@pytest.mark.parametrize(("case", "who", "random", "compared"), IN_PART)
def test_the_rest_of_a_case_is_compared_and_the_headline_says_what_is_not(
    results: dict[str, Any], case: str, who: str, random: str, compared: str
) -> None:
    result = results[case]
    assert (result["verdict"], result["headline"].partition(" draws random numbers")[0]) == ("PASSED", f"NOT COMPARED: {who}")
    names = {comparison["observation"] for comparison in result["comparisons"]}
    assert compared in names
    assert random not in names


@pytest.mark.parametrize("case", REMEMBER)
def test_what_only_remembers_is_not_random(results: dict[str, Any], case: str) -> None:
    assert (results[case]["verdict"], results[case]["headline"]) == ("PASSED", "")


def test_what_numpy_draws_from_the_seed_of_the_case_is_compared_and_noted(run: Path) -> None:
    for backend in ("tensorflow", "jax", "torch"):
        notes = read_recording(recording_path(run / backend, "draws/values")).notes
        assert any("numpy: random numbers of NumPy or Python" in note for note in notes)


# --- random="fixed" --------------------------------------------------------------------------------------------


def test_with_fixed_numbers_training_is_compared_and_agrees(results: dict[str, Any]) -> None:
    for case in ("fixed_ops", "fixed_in_inference"):
        result = results[case]
        assert (result["verdict"], result["headline"]) == ("PASSED", "")
        names = {comparison["observation"] for comparison in result["comparisons"]}
        assert {"train/loss", "predictions", "loss"} <= names


def test_fixed_numbers_are_not_constant_and_not_left_out(run: Path) -> None:
    losses = read_recording(recording_path(run / "jax", "draws/fixed_ops")).observations["train/loss"].value
    assert len(set(losses.tolist())) == 3
    predictions = read_recording(recording_path(run / "jax", "draws/fixed_in_inference")).observations["predictions"].value
    assert len({tuple(row) for row in predictions.tolist()}) == 6


def test_other_numbers_stay_random(results: dict[str, Any]) -> None:
    assert "inference draws random numbers" in results["fixed_beside_numpy"]["headline"]


@pytest.mark.parametrize(
    ("case", "words"),
    [("fixed_gamma", "keras.random.gamma cannot be drawn alike"), ("fixed_without_a_seed", "was called without a seed")],
)
def test_what_cannot_be_fixed_is_refused_by_name(results: dict[str, Any], case: str, words: str) -> None:
    result = results[case]
    assert result["verdict"] == "ERROR"
    assert len(result["problems"]) == 3
    assert all(words in problem and "Leave random='fixed' out." in problem for problem in result["problems"])
