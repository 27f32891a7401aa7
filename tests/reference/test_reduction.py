"""Weights, masks and reductions, by hand; and what a spec may hold."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendcheck.reference import LossSpec, NoReference, canonical_name, covered, gradient, loss, unreduced, weighted

ZEROS, ROOTS = np.zeros((3, 1)), np.sqrt([[1.0], [2.0], [6.0]])  # squared errors 1, 2, 6
STEPS, STEP_ROOTS = np.zeros((2, 3, 1)), np.sqrt([[[1.0], [2.0], [6.0]], [[3.0], [4.0], [5.0]]])


def squares(reduction: str | None = "sum_over_batch_size") -> LossSpec:
    return LossSpec(name="mean_squared_error", reduction=reduction)


@pytest.mark.parametrize(
    ("reduction", "weights", "mask", "expected"),
    [
        ("sum_over_batch_size", None, None, 3),
        ("mean", None, None, 3),
        ("sum", None, None, 9),
        ("mean_with_sample_weight", None, None, 3),
        ("sum_over_batch_size", [2, 1, 0], None, 4 / 3),
        ("mean", [[2], [1], [0]], None, 4 / 3),
        ("sum", [2, 1, 0], None, 4),
        ("mean_with_sample_weight", [2, 1, 0], None, 4 / 3),
        ("mean_with_sample_weight", [4, 1, 0], None, 6 / 5),
        ("sum_over_batch_size", None, [True, True, False], 1.5),
        ("sum", None, [True, True, False], 3),
        ("mean_with_sample_weight", None, [True, True, False], 1.5),
        ("sum_over_batch_size", [4, 1, 1], [True, True, False], 3),
        ("mean_with_sample_weight", [4, 1, 1], [True, True, False], 6 / 5),
        ("mean", 2.0, None, 6),
        ("mean", None, [False, False, False], 0),
        ("mean_with_sample_weight", [0, 0, 0], None, 0),
    ],
)
def test_losses_by_hand(reduction: str, weights: Any, mask: Any, expected: float) -> None:
    assert loss(squares(reduction), ZEROS, ROOTS, weights, mask) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weights", "mask", "expected"),
    [
        (None, None, 3.5),
        ([1, 0], None, 9 / 6),
        ([[1, 0, 0], [0, 1, 0]], None, 5 / 6),
        ([[[1], [0], [0]], [[0], [1], [0]]], None, 5 / 6),
        (None, [[True, False, True], [False, False, False]], 3.5),
        ([2, 1], [[True, False, True], [False, True, False]], 6),
    ],
)
def test_steps_by_hand(weights: Any, mask: Any, expected: float) -> None:
    """A flat weight is one for each example, whatever the number of steps (`Model.fit`)."""
    assert loss(squares(), STEPS, STEP_ROOTS, weights, mask) == pytest.approx(expected)


def test_flat_weights_are_for_examples_on_a_square_too() -> None:
    assert loss(squares(), np.zeros((2, 2, 1)), np.sqrt([[[1.0], [1.0]], [[4.0], [4.0]]]), [1, 0]) == pytest.approx(0.5)


def test_weighted_is_what_the_reduction_adds_up() -> None:
    np.testing.assert_allclose(weighted(squares(None), ZEROS, ROOTS, [2, 1, 0]), [2, 2, 0])
    np.testing.assert_allclose(weighted(squares(None), ZEROS, ROOTS, [[2], [1], [0]]), [[2], [2], [0]])
    np.testing.assert_allclose(weighted(squares(), ZEROS, ROOTS, None, [True, True, False]), [1.5, 3, 0])
    np.testing.assert_allclose(weighted(squares("sum"), ZEROS, ROOTS, None, [True, True, False]), [1, 2, 0])


def test_ignored_class_is_a_mask() -> None:
    spec = LossSpec(name="sparse_categorical_crossentropy", options={"ignore_class": -1})
    probabilities = [[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]]
    assert loss(spec, [0, 0, -1], probabilities) == pytest.approx(np.log(8) / 2)
    assert loss(spec, [0, 0, -1], probabilities, mask=[True, False, True]) == pytest.approx(np.log(2))
    assert loss(spec, [-1, -1, -1], probabilities) == 0
    np.testing.assert_array_equal(gradient(spec, [-1, -1, -1], probabilities).value, 0)


def test_masked_entries_count_nothing_whatever_they_are() -> None:
    predictions = [[np.nan], [3.0]]
    assert loss(squares(), [[1.0], [2.0]], predictions, mask=[False, True]) == 1
    slope = gradient(squares(), [[1.0], [2.0]], predictions, mask=[False, True])
    np.testing.assert_allclose(slope.value, [[0], [2]], rtol=1e-9)
    assert slope.smooth.all()


@pytest.mark.parametrize(
    ("y_true", "y_pred", "shape"),
    [
        ((3,), (3, 1), (3,)),
        ((3, 1), (3,), (3,)),
        ((2, 3, 1), (2, 3), (2,)),
        ((2, 3), (2, 3, 1), (2,)),
        ((3,), (3,), ()),
    ],
)
def test_ranks_that_differ_by_one(y_true: Any, y_pred: Any, shape: Any) -> None:
    assert unreduced(squares(), np.zeros(y_true), np.ones(y_pred)).shape == shape
    assert gradient(squares(), np.zeros(y_true), np.ones(y_pred)).value.shape == y_pred


@pytest.mark.parametrize(
    ("reduction", "y_true", "y_pred", "weights", "message"),
    [
        ("mean", ZEROS, ROOTS, [1, 1], "does not fit"),
        ("mean", STEPS, STEP_ROOTS, [1, 1, 1], "does not fit"),
        ("mean", ZEROS, ROOTS, [1, np.nan, 1], "not finite"),
        ("mean", ZEROS[:, 0], ROOTS[:, 0], [1, 0, 0], "does not fit"),  # one loss for three examples
        ("mean_with_sample_weight", STEPS, STEP_ROOTS, [1, 0], "spread over several"),
        (None, ZEROS, ROOTS, None, "leaves no single loss"),
    ],
)
def test_no_reference(reduction: str | None, y_true: Any, y_pred: Any, weights: Any, message: str) -> None:
    with pytest.raises(NoReference, match=message):
        loss(squares(reduction), y_true, y_pred, weights)


@given(
    values=st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 9)), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
    reduction=st.sampled_from(["mean", "sum", "mean_with_sample_weight"]),
)
def test_order_of_examples_does_not_matter(values: list[tuple[float, float]], order: Any, reduction: str) -> None:
    shuffled = list(values)
    order.shuffle(shuffled)
    straight, mixed = (
        loss(squares(reduction), np.zeros(len(rows)), [[value] for value, _ in rows], [weight for _, weight in rows])
        for rows in (values, shuffled)
    )
    assert mixed == pytest.approx(straight, rel=1e-9, abs=1e-12)


def test_spec_survives_json() -> None:
    spec = LossSpec(name="dice", options={"axis": (1, 2)}, reduction="none")
    assert spec.reduction is None
    back = LossSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert back == LossSpec(name="dice", options={"axis": [1, 2]}, reduction=None)
    np.testing.assert_array_equal(
        unreduced(back, np.ones((1, 2, 2)), np.ones((1, 2, 2))), unreduced(spec, np.ones((1, 2, 2)), np.ones((1, 2, 2)))
    )


@pytest.mark.parametrize(
    "data",
    [
        {"name": "dice", "options": {}},
        {"name": "dice", "options": {}, "reduction": None, "more": 1},
        {"name": 1, "options": {}, "reduction": None},
        {"name": "dice", "options": {}, "reduction": "median"},
    ],
)
def test_damaged_spec_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        LossSpec.from_json(data)


def test_what_is_not_known_has_no_reference() -> None:
    with pytest.raises(NoReference, match="no reference for this loss"):
        loss(LossSpec(name="my_loss"), ZEROS, ROOTS)
    with pytest.raises(NoReference, match="unknown option"):
        loss(LossSpec(name="huber", options={"delta": 1.0, "theta": 2.0}), ZEROS, ROOTS)
    config = {"name": "renamed", "reduction": "sum", "dtype": "float32", "delta": 1.0}
    assert loss(LossSpec(name="huber", options=config), ZEROS, ZEROS) == 0


def test_names() -> None:
    assert len(covered()) == 22
    for given_name, expected in {"MSE": "mean_squared_error", "KLDivergence": "kl_divergence", "CTC": "ctc"}.items():
        assert canonical_name(given_name) == expected
    assert {canonical_name(name) for name in covered()} == set(covered())
    assert canonical_name("mine") == "mine"


def test_no_backend_is_imported() -> None:
    code = (
        "import sys, backendcheck.reference\n"
        "print(sorted({'keras', 'tensorflow', 'jax', 'torch', 'scipy', 'sklearn'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
