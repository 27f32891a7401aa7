"""Crossentropies and divergences against literals, scikit-learn and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from backendcheck.reference import LossSpec, NoReference, loss, unreduced

LN2, LN3 = np.log(2.0), np.log(3.0)


def spec(name: str, **options: Any) -> LossSpec:
    return LossSpec(name=name, options=options)


@pytest.mark.parametrize(
    ("name", "options", "y_true", "y_pred", "expected"),
    [
        ("binary_crossentropy", {}, [[1, 0]], [[0.5, 0.25]], [(LN2 + np.log(4 / 3)) / 2]),
        ("binary_crossentropy", {"from_logits": True}, [[1, 0]], [[0, LN3]], [(LN2 + np.log(4)) / 2]),
        ("binary_crossentropy", {"label_smoothing": 0.5}, [[1]], [[0.25]], [0.75 * np.log(4) + 0.25 * np.log(4 / 3)]),
        ("binary_crossentropy", {"from_logits": True}, [[1]], [[-800]], [800]),
        ("binary_crossentropy", {}, [[1]], [[0]], [-np.log(1e-7)]),
        ("binary_crossentropy", {"epsilon": 1e-3}, [[1]], [[0]], [-np.log(1e-3)]),
        ("binary_focal_crossentropy", {"gamma": 1}, [[1]], [[0.25]], [0.75 * np.log(4)]),
        ("binary_focal_crossentropy", {"gamma": 2, "from_logits": True}, [[0]], [[LN3]], [0.75**2 * np.log(4)]),
        ("binary_focal_crossentropy", {"gamma": 0, "from_logits": True}, [[1]], [[-30]], [30]),
        ("categorical_crossentropy", {}, [[0, 1, 0]], [[0.25, 0.5, 0.25]], [LN2]),
        ("categorical_crossentropy", {}, [[0, 1]], [[0.2, 0.6]], [np.log(4 / 3)]),
        ("categorical_crossentropy", {}, [[0, 1]], [[1, 0]], [-np.log(1e-7)]),
        ("categorical_crossentropy", {"from_logits": True}, [[0, 1]], [[0, LN3]], [np.log(4 / 3)]),
        ("categorical_crossentropy", {"from_logits": True}, [[1, 0]], [[-1e4, 1e4]], [2e4]),
        ("categorical_crossentropy", {"from_logits": True}, [[0, 1, 0]], [[0, 0, -np.inf]], [LN2]),
        (
            "categorical_crossentropy",
            {"label_smoothing": 0.5},
            [[0, 1]],
            [[0.75, 0.25]],
            [0.25 * np.log(4 / 3) + 0.75 * np.log(4)],
        ),
        ("categorical_crossentropy", {"from_logits": True}, [[0, 0, 0]], [[1, 2, 3]], [0]),
        ("categorical_focal_crossentropy", {"gamma": 1, "alpha": 0.5}, [[0, 1]], [[0.75, 0.25]], [0.375 * np.log(4)]),
        ("categorical_focal_crossentropy", {"gamma": 0, "alpha": [5, 2]}, [[0, 1]], [[0.5, 0.5]], [2 * LN2]),
        ("sparse_categorical_crossentropy", {}, [2, 0], [[0.25, 0.25, 0.5], [0.25, 0.5, 0.25]], [LN2, 2 * LN2]),
        ("sparse_categorical_crossentropy", {"from_logits": True}, [[1]], [[0, LN3]], [np.log(4 / 3)]),
        ("sparse_categorical_crossentropy", {"ignore_class": 255}, [255, 1], [[0.5, 0.5], [0.5, 0.5]], [0, LN2]),
        ("sparse_categorical_crossentropy", {"ignore_class": -1}, [-1, 1], [[np.nan, 1], [0.5, 0.5]], [0, LN2]),
        ("categorical_generalized_cross_entropy", {}, [1, 0], [[0.75, 0.25], [0, 1]], [1, 2]),
        ("categorical_generalized_cross_entropy", {"q": 0.25}, [1], [[0.9375, 0.0625]], [2]),
        ("kl_divergence", {}, [[0.5, 0.5]], [[0.25, 0.75]], [0.5 * LN2 + 0.5 * np.log(2 / 3)]),
        ("kl_divergence", {}, [[0.5, 0.5]], [[0.0, 1.0]], [0.5 * np.log(0.5e7) + 0.5 * np.log(0.5)]),
    ],
)
def test_values_by_hand(name: str, options: dict[str, Any], y_true: Any, y_pred: Any, expected: Any) -> None:
    """In nats; 1e-6 leaves room for the clipping of the exact cases."""
    np.testing.assert_allclose(unreduced(spec(name, **options), y_true, y_pred), expected, rtol=1e-6, atol=1e-9)


_LABELS, _SCORES = [[0, 1], [0, 0]], [[-18.6, 0.51], [2.94, -12.8]]
_ONE_HOT, _THREE = [[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]


@pytest.mark.parametrize(
    ("name", "options", "reduction", "y_true", "y_pred", "weights", "expected"),
    [
        ("binary_crossentropy", {"from_logits": True}, "mean", [0, 1, 0, 0], [-18.6, 0.51, 2.94, -12.8], None, 0.8654),
        ("binary_crossentropy", {"from_logits": True}, "mean", _LABELS, _SCORES, [0.8, 0.2], 0.243),
        ("binary_crossentropy", {"from_logits": True}, "sum", _LABELS, _SCORES, None, 1.730),
        ("binary_focal_crossentropy", {"from_logits": True, "gamma": 2}, "mean", _LABELS, _SCORES, None, 0.691),
        (
            "binary_focal_crossentropy",
            {"from_logits": True, "gamma": 2, "apply_class_balancing": True},
            "mean",
            _LABELS,
            _SCORES,
            None,
            0.51,
        ),
        ("binary_focal_crossentropy", {"from_logits": True, "gamma": 3}, "mean", _LABELS, _SCORES, [0.8, 0.2], 0.133),
        ("binary_focal_crossentropy", {"from_logits": True, "gamma": 4}, "sum", _LABELS, _SCORES, None, 1.222),
        ("categorical_crossentropy", {}, "mean", _ONE_HOT, _THREE, None, 1.177),
        ("categorical_crossentropy", {}, "mean", _ONE_HOT, _THREE, [0.3, 0.7], 0.814),
        ("categorical_crossentropy", {}, "sum", _ONE_HOT, _THREE, None, 2.354),
        ("sparse_categorical_crossentropy", {}, "mean", [1, 2], _THREE, [0.3, 0.7], 0.814),
        ("categorical_focal_crossentropy", {}, "mean", _ONE_HOT, _THREE, None, 0.23315276),
        ("categorical_focal_crossentropy", {}, "sum", _ONE_HOT, _THREE, None, 0.46631),
        ("categorical_focal_crossentropy", {}, "mean", _ONE_HOT, _THREE, [0.3, 0.7], 0.1632),
    ],
)
def test_values_in_the_keras_docstrings(  # one row of the table
    name: str, options: dict[str, Any], reduction: str, y_true: Any, y_pred: Any, weights: Any, expected: float
) -> None:
    asked = LossSpec(name=name, options=options, reduction=reduction)
    assert loss(asked, y_true, y_pred, weights) == pytest.approx(expected, abs=1.01e-3)


def test_scikit_learn_agrees_on_log_loss() -> None:
    from sklearn import metrics  # takes a second, which processes without this test spare

    rng = np.random.default_rng(3)
    probabilities, labels, weights = rng.dirichlet(np.ones(4), size=9), rng.integers(0, 4, size=9), rng.uniform(size=9)
    by_weight = LossSpec(name="sparse_categorical_crossentropy", reduction="mean_with_sample_weight")
    expected = metrics.log_loss(labels, probabilities, sample_weight=weights, labels=range(4))
    assert loss(by_weight, labels, probabilities, weights) == pytest.approx(expected, rel=1e-12)
    chances, bits = rng.uniform(0.01, 0.99, size=(9, 1)), rng.integers(0, 2, size=9)
    expected = metrics.log_loss(bits, chances[:, 0], labels=[0, 1])
    assert loss(spec("binary_crossentropy"), bits, chances) == pytest.approx(expected, rel=1e-12)


def test_scipy_agrees_on_logits_and_divergence() -> None:
    rng = np.random.default_rng(4)
    logits, labels = 30 * rng.normal(size=(9, 4)), rng.dirichlet(np.ones(4), size=9)
    expected = -(labels * scipy.special.log_softmax(logits, axis=-1)).sum(axis=-1)
    actual = unreduced(spec("categorical_crossentropy", from_logits=True), labels, logits)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    expected = -scipy.special.xlogy(labels, scipy.special.softmax(logits / 30, axis=-1)).sum(axis=-1)
    actual = unreduced(spec("categorical_crossentropy", from_logits=True), labels, logits / 30)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    predicted = rng.dirichlet(np.ones(4), size=9)
    expected = scipy.special.rel_entr(labels, predicted).sum(axis=-1)
    np.testing.assert_allclose(unreduced(spec("kl_divergence", epsilon=1e-30), labels, predicted), expected, rtol=1e-10)


def test_class_axis_may_be_anywhere() -> None:
    rng = np.random.default_rng(5)
    logits, labels = rng.normal(size=(2, 5, 3)), rng.integers(0, 3, size=(2, 5))
    one_hot = np.eye(3)[labels]
    turned = {"from_logits": True, "axis": 1}
    expected = unreduced(spec("sparse_categorical_crossentropy", from_logits=True), labels, logits)
    assert expected.shape == (2, 5)
    for name, y_true in {
        "sparse_categorical_crossentropy": labels,
        "categorical_crossentropy": one_hot.transpose(0, 2, 1),
    }.items():
        actual = unreduced(spec(name, **turned), y_true, logits.transpose(0, 2, 1))
        np.testing.assert_allclose(actual, expected, rtol=1e-12)
    for name in ("categorical_crossentropy", "categorical_focal_crossentropy"):
        np.testing.assert_allclose(
            unreduced(spec(name, label_smoothing=0.3, **turned), one_hot.transpose(0, 2, 1), logits.transpose(0, 2, 1)),
            unreduced(spec(name, label_smoothing=0.3, from_logits=True), one_hot, logits),
            rtol=1e-12,
        )


@pytest.mark.parametrize(
    ("name", "options", "y_true", "y_pred", "message"),
    [
        ("sparse_categorical_crossentropy", {}, [3], [[0.2, 0.3, 0.5]], "is not a class; expected 0 to 2, got 3"),
        ("sparse_categorical_crossentropy", {}, [-1], [[0.2, 0.3, 0.5]], "is not a class"),
        ("sparse_categorical_crossentropy", {"ignore_class": -1}, [-1, -2], [[0.5, 0.5]] * 2, "is not a class"),
        ("sparse_categorical_crossentropy", {}, [1.9], [[0.2, 0.3, 0.5]], "not a whole number"),
        ("sparse_categorical_crossentropy", {}, [np.nan], [[0.2, 0.3, 0.5]], "not finite"),
        ("sparse_categorical_crossentropy", {}, [[0, 1]], [[0.5, 0.5]], "do not fit"),
        ("sparse_categorical_crossentropy", {}, [0], [[0.0, 0.0]], "sum to 0"),
        ("sparse_categorical_crossentropy", {}, [0], [[-2.0, 3.0]], "probability out of range"),
        ("sparse_categorical_crossentropy", {"axis": 2}, [0], [[0.5, 0.5]], "axis does not exist"),
        ("sparse_categorical_crossentropy", {"axis": [0, 1]}, [0], [[0.5, 0.5]], "takes one axis"),
        ("categorical_crossentropy", {}, [[0, 2]], [[0.5, 0.5]], "label out of range"),
        ("categorical_crossentropy", {}, [1], [[0.5, 0.5]], "do not fit"),
        ("binary_crossentropy", {}, [[-1]], [[0.5]], "label out of range"),
        ("binary_focal_crossentropy", {}, [[1]], [[1.2]], "probability out of range"),
        ("categorical_focal_crossentropy", {"alpha": [1, 2, 3]}, [[0, 1]], [[0.5, 0.5]], "alpha does not fit"),
        ("categorical_generalized_cross_entropy", {}, [2], [[0.5, 0.5]], "is not a class"),
    ],
)
def test_no_reference(name: str, options: dict[str, Any], y_true: Any, y_pred: Any, message: str) -> None:
    with pytest.raises(NoReference, match=message):
        loss(spec(name, **options), y_true, y_pred)


_LOGITS = hnp.arrays(np.float64, (4, 3), elements=st.floats(-50.0, 50.0))


@given(logits=_LOGITS, labels=st.lists(st.integers(0, 2), min_size=4, max_size=4), order=st.permutations(range(3)))
def test_integer_and_one_hot_labels_agree_in_any_class_order(logits: Any, labels: list[int], order: list[int]) -> None:
    by_index = unreduced(spec("sparse_categorical_crossentropy", from_logits=True), labels, logits)
    one_hot = np.eye(3)[labels]
    by_row = unreduced(spec("categorical_crossentropy", from_logits=True), one_hot[:, order], logits[:, order])
    np.testing.assert_allclose(by_row, by_index, rtol=1e-10, atol=1e-12)


@given(logits=_LOGITS, shift=st.floats(-1e3, 1e3))
def test_a_shift_of_all_logits_changes_nothing(logits: Any, shift: float) -> None:
    asked = spec("sparse_categorical_crossentropy", from_logits=True)
    shifted = unreduced(asked, [0, 1, 2, 0], logits + shift)
    np.testing.assert_allclose(shifted, unreduced(asked, [0, 1, 2, 0], logits), rtol=1e-9, atol=1e-9)


@given(logits=_LOGITS, labels=hnp.arrays(np.int64, (4, 3), elements=st.integers(0, 1)))
def test_focal_losses_without_focus_are_crossentropies(logits: Any, labels: Any) -> None:
    for focal, plain, extra, y_true in (
        ("binary_focal_crossentropy", "binary_crossentropy", {}, labels),
        ("categorical_focal_crossentropy", "categorical_crossentropy", {"alpha": 1.0}, np.eye(3)[labels[:, 0]]),
    ):
        unfocused = unreduced(spec(focal, from_logits=True, gamma=0.0, **extra), y_true, logits)
        expected = unreduced(spec(plain, from_logits=True), y_true, logits)
        np.testing.assert_allclose(unfocused, expected, rtol=1e-10, atol=1e-12)
