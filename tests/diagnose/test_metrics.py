"""What metrics count: examples, and the batches before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnosing import diagnosed
from diagnosis_examples import EXAMPLES
from make import BACKENDS, everywhere, observation

from backendcheck.recordings.recording import Variant
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import AFTER_ANOTHER

PREDICTIONS = np.float32([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4], [0.1, 0.9]])
LABELS = np.array([0, 1, 0, 1, 1])  # four of five are hits


def accuracies(jax: float) -> dict[str, dict[str, Any]]:
    common = {"losses": {"": {"name": "sparse_categorical_crossentropy", "from_keras": True, "options": {}, "reduction": "sum"}},
              "labels": {"y_true": LABELS}}  # fmt: skip
    return {
        leg: {**common, "observations": {"predictions": PREDICTIONS, "metric/accuracy": np.float64(jax if leg == "jax" else 0.8)}}
        for leg in BACKENDS
    }


@pytest.mark.parametrize(
    ("jax", "words"), [(0.4, "twice their number"), (4 / 6, "their number and one more"), (1.0, "their number without one")]
)
def test_an_accuracy_that_counts_other_examples_says_which(jax: float, words: str) -> None:
    diagnosis = diagnosed(accuracies(jax))["reduction"]
    assert diagnosis.backends == ("jax",)
    assert f"the accuracy divides the hits by {words}" in diagnosis.message


@pytest.mark.parametrize("jax", [0.6, 0.2, 0.77, 0.0])
def test_an_accuracy_with_other_hits_is_not_a_count(jax: float) -> None:
    assert "reduction" not in diagnosed(accuracies(jax))


def after_another(value: float, alone: float = 0.5, path: str = f"test_on_batch {AFTER_ANOTHER}") -> dict[str, dict[str, Any]]:
    variants = (
        Variant(oracle=Oracle.PATHS, path="test_on_batch", observations={"loss": observation(alone)}),
        Variant(oracle=Oracle.PATHS, path=path, observations={"loss": observation(value)}),
    )
    return everywhere(loss=0.5) | {"torch": {"loss": 0.5, "variants": variants}}


def test_numbers_that_depend_on_the_batch_before_are_stale() -> None:
    diagnosis = diagnosed(after_another(0.7))["stale-metrics"]
    assert diagnosis.backends == ("torch",)
    assert "test_on_batch on torch reports other numbers if another batch came before" in diagnosis.message


@pytest.mark.parametrize(
    "by_leg",
    [after_another(0.5), after_another(0.7, alone=0.7), after_another(0.7, path="evaluate"), after_another(0.50001)],
    ids=["the same", "the step itself differs", "another path", "noise"],
)
def test_other_numbers_are_not(by_leg: dict[str, dict[str, Any]]) -> None:
    assert "stale-metrics" not in diagnosed(by_leg)


def batch_means() -> dict[str, dict[str, Any]]:
    """The example of `batch-means`, with observations that a test may change."""
    return {leg: {"observations": dict(of_leg["observations"])} for leg, of_leg in EXAMPLES["batch-means"][1].items()}


def test_the_loss_of_an_output_as_the_mean_over_batches_is_named() -> None:
    diagnosis = diagnosed(batch_means())["batch-means"]
    assert diagnosis.backends == ("tensorflow",)
    assert "tensorflow reports the losses of age and stage as the mean over batches, not over examples" in diagnosis.message
    assert diagnosis.evidence["batch size"] == 2


@pytest.mark.parametrize("name", ["metric/age_loss", "per_example_loss/age"])
def test_a_loss_that_no_size_of_a_batch_explains_is_not(name: str) -> None:
    legs = batch_means()
    legs["tensorflow"]["observations"][name] = legs["tensorflow"]["observations"][name] + np.float32(0.01)
    assert "batch-means" not in diagnosed(legs)


def test_a_loss_without_its_examples_is_not() -> None:
    legs = {
        leg: {"observations": {name: value for name, value in of_leg["observations"].items() if name.startswith("metric")}}
        for leg, of_leg in batch_means().items()
    }
    assert "batch-means" not in diagnosed(legs)


def test_losses_of_outputs_need_one_size_of_batches_for_all() -> None:
    legs = batch_means()
    losses = legs["tensorflow"]["observations"]["per_example_loss/stage"]
    in_threes = np.float32(np.mean([losses[:3].mean(), losses[3:].mean()]))
    legs["tensorflow"]["observations"]["metric/stage_loss"] = in_threes
    assert "batch-means" not in diagnosed(legs)
