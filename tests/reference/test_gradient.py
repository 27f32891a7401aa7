"""Finite-difference gradients against analytic ones, and where none is defined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from backendcheck.reference import Gradient, LossSpec, NoReference, covered, directional, gradient, loss


def spec(name: str, reduction: str = "mean", **options: Any) -> LossSpec:
    return LossSpec(name=name, options=options, reduction=reduction)


def assert_gradient(actual: Gradient, expected: Any, rtol: float = 1e-8) -> None:
    assert actual.smooth.all()
    np.testing.assert_allclose(actual.value, expected, rtol=0, atol=rtol * np.abs(expected).max())


@settings(deadline=None)
@given(logits=hnp.arrays(np.float64, (4, 3), elements=st.floats(-20, 20)))
def test_crossentropy_of_logits_is_softmax_minus_one_hot(logits: Any) -> None:
    labels, weights = [2, 0, 1, 1], np.array([1.0, 2.0, 0.0, 0.5])
    expected = (scipy.special.softmax(logits, axis=-1) - np.eye(3)[labels]) * weights[:, None] / 4
    for name, y_true in {
        "sparse_categorical_crossentropy": labels,
        "categorical_crossentropy": np.eye(3)[labels],
    }.items():
        actual = gradient(spec(name, from_logits=True), y_true, logits, weights)
        assert actual.smooth.all()
        np.testing.assert_allclose(actual.value, expected, rtol=0, atol=1e-9)


def test_analytic_gradients() -> None:
    rng = np.random.default_rng(10)
    y_true, y_pred = rng.normal(size=(2, 4, 3))
    error = y_pred - y_true
    bits, chances = rng.integers(0, 2, size=(4, 3)), rng.uniform(0.001, 0.999, size=(4, 3))
    counts, rates = rng.integers(0, 5, size=(4, 3)), rng.uniform(0.1, 9, size=(4, 3))
    masks = np.array([[1, 1, 0]] * 4)
    total = chances.sum() + masks.sum() + 1e-7
    for name, labels, predictions, expected in (
        ("mean_squared_error", y_true, y_pred, 2 * error / 12),
        ("mean_absolute_error", y_true, y_pred, np.sign(error) / 12),
        ("huber", y_true, y_pred, np.clip(error, -1, 1) / 12),
        ("log_cosh", y_true, y_pred, np.tanh(error) / 12),
        ("binary_crossentropy", bits, chances, (chances - bits) / (chances * (1 - chances)) / 12),
        ("poisson", counts, rates, (1 - counts / (rates + 1e-7)) / 12),
        ("hinge", 2 * bits - 1, y_pred, -(2 * bits - 1) * ((2 * bits - 1) * y_pred < 1) / 12),
        ("dice", masks, chances, -2 * masks / total + 2 * (masks * chances).sum() / total**2),
    ):
        assert_gradient(gradient(spec(name), labels, predictions), expected)


def test_class_axis_in_the_middle() -> None:
    rng = np.random.default_rng(11)
    logits, labels = rng.normal(size=(2, 3, 5)), rng.integers(0, 3, size=(2, 5))
    actual = gradient(spec("sparse_categorical_crossentropy", from_logits=True, axis=1), labels, logits)
    expected = (scipy.special.softmax(logits, axis=1) - np.eye(3)[labels].transpose(0, 2, 1)) / 10
    assert_gradient(actual, expected)


@pytest.mark.parametrize("probability", [1e-6, 1e-4, 0.3, 1 - 1e-4])
def test_small_probabilities_need_no_tuning(probability: float) -> None:
    actual = gradient(spec("binary_crossentropy"), [[1.0]], [[probability]])
    assert_gradient(actual, np.array([[-1 / probability]]), rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_size_of_the_predictions_does_not_matter(factor: float) -> None:
    y_true, y_pred = factor * np.random.default_rng(12).normal(size=(2, 3, 2))
    assert_gradient(gradient(spec("mean_squared_error"), y_true, y_pred), 2 * (y_pred - y_true) / 6, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "y_true", "y_pred", "smooth"),
    [
        ("mean_absolute_error", {}, [[1.0, 1.0]], [[1.0, 2.0]], [[False, True]]),
        ("hinge", {}, [[1.0, -1.0]], [[1.0, 0.5]], [[False, True]]),
        ("squared_hinge", {}, [[1.0]], [[1.0]], [[True]]),
        ("huber", {}, [[0.0]], [[1.0]], [[True]]),
        ("binary_crossentropy", {}, [[1.0, 1.0]], [[np.float32(1 - 1e-7), 0.0]], [[False, True]]),
        ("binary_crossentropy", {}, [[1.0]], [[1e-7]], [[False]]),
        ("categorical_hinge", {}, [[1, 0, 0]], [[0.0, 2.0, 2.0]], [[True, False, False]]),
        ("categorical_generalized_cross_entropy", {}, [1], [[1.0, 0.0]], [[True, False]]),
        ("mean_squared_error", {}, [[1.0, 1.0]], [[np.nan, 2.0]], [[False, False]]),
        ("categorical_crossentropy", {"from_logits": True}, [[1, 0]], [[0.0, -np.inf]], [[True, False]]),
    ],
)
def test_kinks_are_marked(name: str, options: dict[str, Any], y_true: Any, y_pred: Any, smooth: Any) -> None:
    np.testing.assert_array_equal(gradient(spec(name, **options), y_true, y_pred).smooth, smooth)


def test_clipped_probability_has_gradient_zero() -> None:
    np.testing.assert_array_equal(gradient(spec("binary_crossentropy"), [[1.0]], [[0.0]]).value, [[0.0]])


def valid_inputs(name: str) -> tuple[Any, Any]:
    """Labels and predictions away from kinks that a loss accepts."""
    rng = np.random.default_rng(13)
    one_hot, probabilities = np.eye(3)[[2, 0, 1, 1]], rng.dirichlet(np.ones(3), size=4)
    embeddings = rng.normal(size=(4, 3))
    return {
        "categorical_generalized_cross_entropy": ([2, 0, 1, 1], probabilities),
        "sparse_categorical_crossentropy": ([2, 0, 1, 1], probabilities),
        "circle": ([0, 0, 1, 1], embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)),
        "ctc": ([[1, 2], [2, 0], [1, 1], [0, 0]], rng.normal(size=(4, 4, 3))),
    }.get(name, (one_hot, probabilities))


@pytest.mark.parametrize("name", covered())
def test_gradient_is_the_slope_of_the_loss_in_any_direction(name: str) -> None:
    y_true, y_pred = valid_inputs(name)
    asked, weights = spec(name, "sum" if name in {"dice", "tversky"} else "mean"), np.array([1.0, 2.0, 0.5, 0.0])
    given_weights = None if name in {"dice", "tversky"} else weights
    slope = gradient(asked, y_true, y_pred, given_weights)
    assert slope.value.shape == slope.smooth.shape == y_pred.shape
    assert slope.smooth.all()
    # along directions that keep embeddings and probabilities valid to first order
    ways = np.random.default_rng(14).normal(size=(3, *y_pred.shape))
    ways -= ways.mean(axis=-1, keepdims=True)
    if name == "circle":
        ways -= (ways * y_pred).sum(axis=-1, keepdims=True) * y_pred
    expected = directional(lambda x: loss(asked, y_true, x, given_weights), y_pred, ways, step=1e-6)
    assert expected.smooth.all()
    actual = (slope.value * ways).reshape(3, -1).sum(axis=1)
    np.testing.assert_allclose(actual, expected.value, rtol=1e-5, atol=1e-6 * np.abs(slope.value).max())


def test_a_gradient_that_would_take_minutes_is_refused() -> None:
    masks = np.ones((4, 64, 64, 1))
    with pytest.raises(NoReference, match="too large for a gradient"):
        gradient(spec("dice"), masks, masks)


def test_directional_slopes_of_a_bowl() -> None:
    x = np.array([1.0, -2.0])
    slopes = directional(lambda at: float(at @ at), x, np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    np.testing.assert_allclose(slopes.value, [2, -4, -2], rtol=1e-9)
    assert slopes.smooth.all()
    with pytest.raises(ValueError, match="directions do not fit"):
        directional(lambda at: float(at.sum()), x, np.ones((1, 3)))
    with pytest.raises(ValueError, match="step is not positive"):
        directional(lambda at: float(at.sum()), x, np.ones((1, 2)), step=0)


def test_there_is_no_slope_at_a_kink_or_across_one() -> None:
    """In the middle central differences agree with each other, and with no backend."""
    ways = np.array([[1.0, 0.0], [0.0, 1.0]])
    for at in (0.0, 1e-6, 3e-6, -3e-6):
        found = directional(lambda x: max(x[0], 0.0) + 2.0 * x[1], np.array([at, 1.0]), ways)
        assert found.smooth.tolist() == [False, True], at
        assert found.value[1] == pytest.approx(2.0)
    assert directional(lambda x: max(x[0], 0.0), np.array([1e-3, 1.0]), ways).smooth.tolist() == [True, False]  # does not move


@pytest.mark.parametrize("seed", range(20))
def test_there_is_no_slope_of_what_is_computed_in_float32(seed: int) -> None:
    x, *ways = np.random.default_rng(seed).normal(size=(21, 40))
    assert directional(lambda at: float(np.tanh(at).sum()), x, np.array(ways) / 6.0).smooth.all()
    assert not directional(lambda at: float(np.tanh(at.astype(np.float32)).sum()), x, np.array(ways) / 6.0).smooth.any()


def test_a_large_loss_leaves_no_slope_unless_the_part_that_moves_is_separate() -> None:
    x, ways = np.array([0.3, 0.4]), np.array([[1.0, 0.0]])
    assert not directional(lambda at: 1e6 + float(at @ at), x, ways).smooth.any()
    found = directional(lambda at: np.array([1e6, at @ at]), x, ways)
    assert found.smooth.all()
    np.testing.assert_allclose(found.value, [0.6], rtol=1e-8)


def test_a_loss_that_is_not_finite_has_no_slope() -> None:
    assert not directional(lambda at: float("nan") * at[0], np.ones(1), np.ones((1, 1))).smooth.any()


@pytest.mark.parametrize(("label", "is_determined"), [(1e9, False), (1e5, True), (3.0, True)])
def test_a_slope_that_rounding_of_float64_hides_is_not_taken_for_one(label: float, is_determined: bool) -> None:
    found = gradient(LossSpec(name="mean_squared_error"), np.array([[label]]), np.array([[0.0]]))
    assert found.smooth.tolist() == [[is_determined]]
    if is_determined:
        np.testing.assert_allclose(found.value, [[-2.0 * label]], rtol=1e-5)
