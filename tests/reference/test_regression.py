"""Regression losses against literals, scikit-learn and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from backendcheck.reference import LossSpec, NoReference, loss, unreduced


def spec(name: str, **options: Any) -> LossSpec:
    return LossSpec(name=name, options=options)


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "expected"),
    [
        ("mean_squared_error", [[0, 3]], [[1, 1]], [2.5]),
        ("mean_absolute_error", [[0, 3]], [[1, 1]], [1.5]),
        ("mean_absolute_percentage_error", [[2, -4]], [[1, 1]], [87.5]),  # 100 (1/2 + 5/4) / 2
        ("mean_squared_logarithmic_error", [[np.e - 1, 1]], [[np.e**3 - 1, 1]], [2.0]),  # (1 - 3)² / 2
        ("cosine_similarity", [[0, 1], [1, 1], [1, 1], [0, 0]], [[1, 0], [1, 1], [-1, -1], [1, 2]], [0, -1, 1, 0]),
        ("huber", [[0, 0]], [[0.5, 3]], [(0.125 + 2.5) / 2]),
        ("log_cosh", [[0, 0]], [[0, 1]], [np.log(np.cosh(1)) / 2]),
        ("poisson", [[2, 0]], [[1, 3]], [2.0]),  # (1 - 2 log 1 + 3) / 2
    ],
)
def test_values_by_hand(name: str, y_true: Any, y_pred: Any, expected: Any) -> None:
    np.testing.assert_allclose(unreduced(spec(name), y_true, y_pred), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "expected"),
    [
        ("mean_squared_error", [1.0, 0.0, 1.0], [0.9, 0.1, 0.8], 0.02),
        ("mean_absolute_error", [1.0, 0.3, 1.0], [1.9, 0.3, 1.8], 0.5666667),
        ("mean_absolute_percentage_error", [100.0, 200.0, 300.0], [90.0, 210.0, 310.0], 6.111111),
        ("huber", [[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]], 0.155),
        ("log_cosh", [[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]], 0.108),
    ],
)
def test_values_in_the_keras_docstrings(name: str, y_true: Any, y_pred: Any, expected: float) -> None:
    assert loss(spec(name), y_true, y_pred) == pytest.approx(expected, abs=6e-4)


def test_scikit_learn_agrees() -> None:
    rng = np.random.default_rng(1)
    y_true, y_pred = rng.uniform(0.5, 3, size=(2, 7, 3))
    for name, scikit in {
        "mean_squared_error": sklearn.metrics.mean_squared_error,
        "mean_absolute_error": sklearn.metrics.mean_absolute_error,
        "mean_squared_logarithmic_error": sklearn.metrics.mean_squared_log_error,
    }.items():
        assert loss(spec(name), y_true, y_pred) == pytest.approx(scikit(y_true, y_pred), rel=1e-12)
    percentage = 100 * sklearn.metrics.mean_absolute_percentage_error(y_true, y_pred)
    assert loss(spec("mean_absolute_percentage_error"), y_true, y_pred) == pytest.approx(percentage, rel=1e-12)
    deviance = sklearn.metrics.mean_poisson_deviance(y_true.ravel(), y_pred.ravel())
    by_poisson = loss(spec("poisson", epsilon=0.0), y_true, y_pred)
    best = loss(spec("poisson", epsilon=0.0), y_true, y_true)
    assert 2 * (by_poisson - best) == pytest.approx(deviance, rel=1e-12)
    cosine = sklearn.metrics.pairwise.paired_cosine_distances(y_true, y_pred)
    np.testing.assert_allclose(unreduced(spec("cosine_similarity"), y_true, y_pred), cosine - 1, rtol=1e-12)


def test_scipy_agrees_on_huber() -> None:
    rng = np.random.default_rng(2)
    y_true, y_pred = rng.normal(size=(2, 7, 3))
    expected = scipy.special.huber(0.4, y_pred - y_true).mean(axis=-1)
    np.testing.assert_allclose(unreduced(spec("huber", delta=0.4), y_true, y_pred), expected, rtol=1e-12)


@pytest.mark.parametrize(("error", "expected"), [(1e-8, 5e-17), (-1e-3, 4.999999166666889e-7), (800.0, 799.3068528194401)])
def test_log_cosh_is_exact_for_small_and_large_errors(error: float, expected: float) -> None:
    assert unreduced(spec("log_cosh"), [[0.0]], [[error]])[0] == pytest.approx(expected, rel=1e-12)


def test_log_cosh_forms_meet() -> None:
    for error in (1 - 1e-9, 1.0, 1 + 1e-9):
        assert unreduced(spec("log_cosh"), [[0.0]], [[error]])[0] == pytest.approx(np.log(np.cosh(error)), rel=1e-14)


def test_zero_labels_are_held_off_by_epsilon() -> None:
    assert loss(spec("mean_absolute_percentage_error", epsilon=1e-3), [[0.0]], [[1.0]]) == pytest.approx(1e5)
    assert loss(spec("mean_squared_logarithmic_error"), [[-5.0]], [[-1.0]]) == 0


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "message"),
    [
        ("mean_squared_error", [[1.0, 2.0]], [[1.0], [2.0]], "do not fit"),
        ("mean_squared_error", [[np.nan]], [[1.0]], "not finite"),
        ("mean_squared_error", [["fox"]], [[1.0]], "not an array of numbers"),
        ("mean_squared_error", [[1.0], [1.0, 2.0]], [[1.0], [2.0]], "not an array of numbers"),
        ("poisson", [[-1.0]], [[1.0]], "label out of range"),
        ("poisson", [[1.0]], [[-1.0]], "predicted rate out of range"),
        ("mean_squared_error", np.zeros((0, 1)), np.zeros((0, 1)), "do not fit"),
    ],
)
def test_no_reference(name: str, y_true: Any, y_pred: Any, message: str) -> None:
    with pytest.raises(NoReference, match=message):
        loss(spec(name), y_true, y_pred)


_NUMBERS = hnp.arrays(np.float64, (5, 3), elements=st.floats(0.01, 100.0))
_NAMES = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "cosine_similarity",
    "huber",
    "log_cosh",
    "poisson",
)


@given(y_true=_NUMBERS, y_pred=_NUMBERS, order=st.permutations(range(5)))
def test_permuting_examples_permutes_losses(y_true: Any, y_pred: Any, order: list[int]) -> None:
    for name in _NAMES:
        straight = unreduced(spec(name), y_true, y_pred)
        np.testing.assert_array_equal(unreduced(spec(name), y_true[order], y_pred[order]), straight[order])


@given(y_true=_NUMBERS, y_pred=_NUMBERS)
def test_no_prediction_beats_the_label(y_true: Any, y_pred: Any) -> None:
    for name in _NAMES:
        best = unreduced(spec(name, epsilon=1e-12), y_true, y_true)
        assert (unreduced(spec(name, epsilon=1e-12), y_true, y_pred) >= best - 1e-9 * (1 + np.abs(best))).all()
