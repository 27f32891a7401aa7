"""What all backends compute alike, and gradients of rows of labels that do not sum to 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnosing import diagnosed, softmax
from make import BACKENDS, everywhere

# --- the same on all backends ------------------------------------------------------------------------------------


def test_a_value_that_all_backends_share_and_the_reference_contradicts_is_of_their_common_code() -> None:
    diagnosis = diagnosed(everywhere(score=0.5, reference={"score": 0.25}))["wrong-everywhere"]
    assert diagnosis.backends == BACKENDS
    assert "not in one of them" in diagnosis.message


@pytest.mark.parametrize(
    "by_leg",
    [
        everywhere(score=0.5, reference={"score": 0.25}) | {"jax": {"score": 0.25, "reference": {"score": 0.25}}},
        everywhere(score=0.5, reference={"score": 0.25}) | {"jax": {"score": 0.7, "reference": {"score": 0.25}}},
        {"jax": {"score": 0.5, "reference": {"score": 0.25}}},
        everywhere(score=0.5, reference={"score": 0.5 + 1e-5}),
    ],
    ids=["one is right", "they differ", "a single backend", "just outside the tolerance"],
)
def test_what_is_not_the_same_everywhere_is_not(by_leg: dict[str, dict[str, Any]]) -> None:
    assert "wrong-everywhere" not in diagnosed(by_leg)


def test_nan_on_all_backends_at_the_same_places_is_no_difference() -> None:
    found = diagnosed(everywhere(per_example_loss=[0.5, np.nan]))
    assert [*found] == ["nan-everywhere"]
    assert "It is not a difference between backends" in found["nan-everywhere"].message


def test_nan_at_other_places_is_not() -> None:
    by_leg = everywhere(per_example_loss=[0.5, np.nan]) | {"jax": {"per_example_loss": [np.nan, 0.5]}}
    assert "nan-everywhere" not in diagnosed(by_leg)


# --- labels that do not sum to 1 ---------------------------------------------------------------------------------

Z = np.array([[0.5, 1.0, -1.0], [2.0, 0.1, 0.3], [0.0, -1.0, 0.4]], np.float32)
P = softmax(Z)
Y = {
    "multi-hot": np.array([[1, 1, 0], [0, 1, 0], [1, 0, 1]], np.float32),
    "nothing": np.array([[0, 0, 0], [0, 1, 0], [1, 0, 0]], np.float32),
    "weighted": np.array([[0, 3, 0], [0, 0.5, 0], [1, 0, 0]], np.float32),
}
ONE_HOT = np.eye(3, dtype=np.float32)


def row_legs(y: np.ndarray, jax: np.ndarray | None = None, name: str = "gradient/y_pred") -> dict[str, dict[str, Any]]:
    """JAX has the gradient of rows that sum to 1, or the one that is given."""
    right = (y.sum(axis=-1, keepdims=True) * P - y) / len(y)
    left = (P - y) / len(y) if jax is None else jax
    if name != "gradient/y_pred":
        right, left = right.sum(axis=0), left.sum(axis=0)
    declared = {"name": "categorical_crossentropy", "from_keras": True, "options": {"from_logits": True}, "alone": True,
                "reduction": "sum_over_batch_size"}  # fmt: skip
    common = {"losses": {"": declared}, "labels": {"y_true": y, "y_pred": Z}}
    return {leg: {**common, "observations": {"loss": 1.0, name: np.float32(left if leg == "jax" else right)}} for leg in BACKENDS}


@pytest.mark.parametrize("y", Y.values(), ids=Y.keys())
@pytest.mark.parametrize("name", ["gradient/y_pred", "gradient/dense/bias"])
def test_a_gradient_that_takes_rows_to_sum_to_one_is_named(y: np.ndarray, name: str) -> None:
    diagnosis = diagnosed(row_legs(y, name=name))["label-mass"]
    assert diagnosis.backends == ("jax",)
    assert diagnosis.evidence["rows"] == int((y.sum(axis=-1) != 1).sum())


@pytest.mark.parametrize(
    ("y", "jax"),
    [
        (ONE_HOT, (P - 0.5 * ONE_HOT) / 3),
        (Y["multi-hot"], 0.5 * (P - Y["multi-hot"]) / 3),
        (Y["multi-hot"], -(P - Y["multi-hot"]) / 3),
    ],
    ids=["rows that sum to 1", "another factor", "another sign"],
)
def test_another_gradient_is_not(y: np.ndarray, jax: np.ndarray) -> None:
    assert "label-mass" not in diagnosed(row_legs(y, jax))
