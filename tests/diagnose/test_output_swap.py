"""Values, labels, losses or weights of two outputs exchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnosing import diagnosed, first, softmax
from make import BACKENDS, everywhere, observation

from backendcheck.recordings.recording import Variant
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import METRICS_BY_NAME, ReferenceValue

RNG = np.random.default_rng(0)
Z = {"stage": RNG.standard_normal((8, 3)), "tumor": RNG.standard_normal((8, 3))}
Y = {"stage": np.eye(3)[np.arange(8) % 3], "tumor": np.eye(3)[(np.arange(8) * 2 + 1) % 3]}


def leg(
    z: dict[str, np.ndarray] = Z, used: tuple[str, str] = ("stage", "tumor"), weights: tuple[float, float] = (1.0, 1.0)
) -> dict[str, Any]:
    """Two cross-entropies; `used` are the outputs whose labels the losses took, `weights` those that were applied."""
    observations: dict[str, Any] = {}
    for output, labels in zip(("stage", "tumor"), used, strict=True):
        each = -(Y[labels] * np.log(softmax(z[output]))).sum(axis=-1)
        observations |= {f"predictions/{output}": z[output], f"per_example_loss/{output}": each, f"loss/{output}": each.mean()}
    observations["loss"] = sum(w * observations[f"loss/{output}"] for w, output in zip(weights, ("stage", "tumor"), strict=True))
    description = {"name": "categorical_crossentropy", "from_keras": True, "options": {"from_logits": True}}
    return {
        "observations": {name: np.asarray(value, np.float32) for name, value in observations.items()},
        "labels": {f"y_true/{output}": labels.astype(np.float32) for output, labels in Y.items()},
        "losses": {
            output: description | {"reduction": "sum_over_batch_size", "alone": False, "weight": weight}
            for output, weight in (("stage", 1.0), ("tumor", 3.0 if weights != (1.0, 1.0) else 1.0))
        },
    }


@pytest.mark.parametrize("broken", BACKENDS)
def test_predictions_exchanged_are_named_with_both_outputs(broken: str) -> None:
    found = first(everywhere(**leg()) | {broken: leg(z={"stage": Z["tumor"], "tumor": Z["stage"]})})
    assert (found.code, found.backends, found.evidence["exchanged"]) == ("output-swap", (broken,), ["stage", "tumor"])
    assert "the predictions of stage and tumor are exchanged" in found.headline


def test_labels_exchanged_are_found_by_replaying_each_loss() -> None:
    found = first(everywhere(**leg()) | {"jax": leg(used=("tumor", "stage"))})
    assert (found.code, found.backends) == ("output-swap", ("jax",))
    assert "label" in found.message


def test_the_labels_of_one_output_given_to_both_are_found_as_well() -> None:
    found = first(everywhere(**leg()) | {"torch": leg(used=("stage", "stage"))})
    assert (found.code, found.backends) == ("output-swap", ("torch",))
    assert found.evidence["supposed"] == "tumor has the labels of stage"


def test_weights_exchanged_are_found_in_the_total() -> None:
    found = first(everywhere(**leg(weights=(1.0, 3.0))) | {"jax": leg(weights=(3.0, 1.0))})
    assert (found.code, found.backends) == ("output-swap", ("jax",))
    assert "stage has the loss weight of tumor" in found.message


def test_two_outputs_that_both_differ_are_no_swap() -> None:
    other = {output: z + RNG.standard_normal(z.shape) for output, z in Z.items()}
    assert "output-swap" not in diagnosed(everywhere(**leg()) | {"jax": leg(z=other)})


def test_outputs_so_alike_that_noise_exchanges_them_are_no_swap() -> None:
    near = {"stage": Z["stage"], "tumor": Z["stage"] * (1 + 3e-5)}
    found = diagnosed(everywhere(**leg(z=near)) | {"jax": leg(z={"stage": near["tumor"], "tumor": near["stage"]})})
    assert "output-swap" not in found


# --- metrics ---------------------------------------------------------------------------------------------------

ACCURACY = {"class": "CategoricalAccuracy", "options": {}, "output": "tumor", "weighted": False, "batch_size": 64}
MANY = np.random.default_rng(3)
SCORES = {name: softmax(MANY.standard_normal((64, 3))).astype(np.float32) for name in Z}
CLASSES = {name: np.eye(3, dtype=np.float32)[MANY.integers(3, size=64)] for name in Z}


def accuracy(labels: str, predictions: str) -> np.float32:
    return np.float32((SCORES[predictions].argmax(-1) == CLASSES[labels].argmax(-1)).mean())


@pytest.mark.parametrize(
    ("labels", "predictions", "part"),
    [("stage", "stage", "output"), ("tumor", "stage", "predictions"), ("stage", "tumor", "labels")],
)
def test_a_metric_of_another_head_is_named(labels: str, predictions: str, part: str) -> None:
    """The reference tells which head a metric was computed on, on every backend."""
    assert len({accuracy(a, b) for a in Z for b in Z}) == 4
    leg = {
        "observations": {f"predictions/{name}": scores for name, scores in SCORES.items()}
        | {"metric/tumor_accuracy": accuracy(labels, predictions)},
        "labels": {f"y_true/{name}": classes for name, classes in CLASSES.items()}, "metrics": {"tumor_accuracy": ACCURACY},
        "reference_values": {"metric/tumor_accuracy": ReferenceValue(value=np.asarray(accuracy("tumor", "tumor"), np.float64))},
    }  # fmt: skip
    diagnosis = first(everywhere(**leg))
    assert diagnosis.code == "output-swap"
    assert diagnosis.evidence["supposed"] == f"the {part} of stage"


@pytest.mark.parametrize("shown", [True, False])
def test_a_metric_of_the_user_is_named_if_a_call_by_hand_shows_it(shown: bool) -> None:
    name, reported = "metric/tumor_distance", np.float32(0.75)
    by_hand = Variant(oracle=Oracle.PATHS, path=METRICS_BY_NAME, observations={name: observation(np.float32(0.25))})
    other = Variant(
        oracle=Oracle.PATHS, path=f"{METRICS_BY_NAME}, tumor_distance with the output of stage",
        observations={name: observation(reported)},
    )  # fmt: skip
    leg = {"observations": {name: reported}, "variants": (by_hand, other) if shown else (by_hand,)}
    diagnosis = first(everywhere(**leg))
    assert (diagnosis.code == "output-swap") is shown
    if shown:
        supposed = "metric/tumor_distance on tensorflow, jax and torch is what it would be with the output of stage"
        assert diagnosis.headline == f"OUTPUT SWAP: {supposed}"
