"""Hinge, overlap and circle losses against literals, scikit-learn and the papers written out as loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendcheck.reference import LossSpec, NoReference, loss, unreduced


def spec(name: str, **options: Any) -> LossSpec:
    return LossSpec(name=name, options=options)


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "expected"),
    [
        ("hinge", [[-1, 1]], [[0.5, 0.25]], [(1.5 + 0.75) / 2]),
        ("hinge", [[0, 1]], [[0.5, 0.25]], [(1.5 + 0.75) / 2]),
        ("hinge", [[1, 1]], [[0.5, 3]], [0.25]),
        ("hinge", [[0, 0]], [[0.5, -3]], [0.75]),
        ("squared_hinge", [[0, 1]], [[0.5, 0.25]], [(1.5**2 + 0.75**2) / 2]),
        ("categorical_hinge", [[0, 1, 0]], [[0.5, 2, 1.5]], [0.5]),
        ("categorical_hinge", [[0, 1, 0]], [[-3, -1, -2]], [2]),  # neg is 0, not -2: as documented
        ("categorical_hinge", [[-1, 1]], [[0.5, 2]], [0.5]),  # neg = 2 * 0.5, pos = 2 - 0.5
    ],
)
def test_hinge_values_by_hand(name: str, y_true: Any, y_pred: Any, expected: Any) -> None:
    np.testing.assert_allclose(unreduced(spec(name), y_true, y_pred), expected, rtol=1e-12)


def test_scikit_learn_agrees_on_hinge() -> None:
    from sklearn import metrics  # takes a second, which processes without this test spare

    rng = np.random.default_rng(6)
    scores, signs = rng.normal(size=(9, 1)), rng.choice([-1, 1], size=9)
    expected = metrics.hinge_loss(signs, scores[:, 0])
    assert loss(spec("hinge"), signs, scores) == pytest.approx(expected, rel=1e-12)
    assert loss(spec("hinge"), (signs + 1) // 2, scores) == pytest.approx(expected, rel=1e-12)
    many, classes = np.abs(rng.normal(size=(9, 3))), rng.permutation(np.arange(9) % 3)
    expected = metrics.hinge_loss(classes, many)  # the same where no score is negative
    assert loss(spec("categorical_hinge"), np.eye(3)[classes], many) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["hinge", "squared_hinge", "categorical_hinge"])
@pytest.mark.parametrize("labels", [[[-1, 0]], [[2, 1]], [[0.5, 1]]])
def test_hinge_labels_without_meaning(name: str, labels: Any) -> None:
    with pytest.raises(NoReference, match="without a documented meaning"):
        loss(spec(name), labels, [[0.0, 0.0]])


def test_dice_examples_of_the_keras_docstring() -> None:
    y_true = np.array([[[[1.0], [1.0]], [[0.0], [0.0]]], [[[1.0], [1.0]], [[0.0], [0.0]]]])
    y_pred = np.array([[[[0.0], [1.0]], [[0.0], [1.0]]], [[[0.4], [0.0]], [[0.0], [0.9]]]])
    np.testing.assert_allclose(unreduced(spec("dice", axis=[1, 2, 3]), y_true, y_pred), [0.5, 0.75757575], rtol=1e-6)
    assert loss(spec("dice"), y_true, y_pred) == pytest.approx(0.6164384, abs=1e-6)
    np.testing.assert_allclose(unreduced(spec("tversky", axis=[1, 2, 3]), y_true, y_pred), [0.5, 0.75757575], rtol=1e-6)


def test_tversky_alpha_weighs_false_positives_and_beta_false_negatives() -> None:
    """1 hit, 2 misses, 1 false alarm; Salehi et al. 2017: TP / (TP + alpha FP + beta FN)."""
    y_true, y_pred = [[1, 1, 1, 0]], [[1, 0, 0, 1]]
    of_alarms = loss(spec("tversky", alpha=1.0, beta=0.0, epsilon=0.0), y_true, y_pred)
    of_misses = loss(spec("tversky", alpha=0.0, beta=1.0, epsilon=0.0), y_true, y_pred)
    assert (of_alarms, of_misses) == (pytest.approx(1 / 2), pytest.approx(2 / 3))


def test_scikit_learn_agrees_on_overlap() -> None:
    from sklearn import metrics

    rng = np.random.default_rng(7)
    y_true, y_pred = rng.integers(0, 2, size=(2, 40))
    f1 = metrics.f1_score(y_true, y_pred)
    jaccard = metrics.jaccard_score(y_true, y_pred)
    assert loss(spec("dice", epsilon=0.0), y_true, y_pred) == pytest.approx(1 - f1, rel=1e-12)
    both = spec("tversky", alpha=1.0, beta=1.0, epsilon=0.0)
    assert loss(both, y_true, y_pred) == pytest.approx(1 - jaccard, rel=1e-12)
    f2 = spec("tversky", alpha=0.2, beta=0.8, epsilon=0.0)  # F_b weighs misses by b² / (1 + b²)
    assert loss(f2, y_true, y_pred) == pytest.approx(1 - metrics.fbeta_score(y_true, y_pred, beta=2), rel=1e-12)


def test_empty_masks_have_no_reference() -> None:
    with pytest.raises(NoReference, match="0/0"):
        loss(spec("dice", axis=1), [[0, 0], [1, 0]], [[0, 0], [1, 0]])
    with pytest.raises(NoReference, match="out of range"):
        loss(spec("dice"), [[0, 1]], [[-2.0, 3.0]])


def circle_by_loops(labels: Any, embeddings: Any, gamma: float, margin: float) -> list[float]:
    """Sun et al. 2020, eq. 6: log(1 + sum_n exp(...) sum_p exp(...)), for each anchor."""
    losses = []
    for anchor, label in enumerate(labels):
        positives = negatives = 0.0
        for other, its_label in enumerate(labels):
            similarity = float(np.dot(embeddings[anchor], embeddings[other]))
            if its_label != label:
                negatives += math.exp(gamma * max(similarity + margin, 0) * (similarity - margin))
            elif other != anchor:
                positives += math.exp(-gamma * max(1 + margin - similarity, 0) * (similarity - (1 - margin)))
        losses.append(math.log(1 + negatives * positives))
    return losses


@pytest.mark.parametrize(("gamma", "margin"), [(80.0, 0.4), (10.0, 0.25), (1.0, 0.0)])
def test_circle_is_the_formula_of_the_paper(gamma: float, margin: float) -> None:
    rng = np.random.default_rng(8)
    embeddings = rng.normal(size=(7, 4))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    labels = [5, 5, -1, -1, 7, 7, 9]  # the last one has no positive: loss 0
    actual = unreduced(spec("circle", gamma=gamma, margin=margin), labels, embeddings)
    np.testing.assert_allclose(actual, circle_by_loops(labels, embeddings, gamma, margin), rtol=1e-9)
    assert actual[-1] == 0
    assert loss(spec("circle", gamma=gamma, margin=margin), labels, embeddings) == pytest.approx(actual.sum() / 7)
    assert (unreduced(spec("circle", remove_diagonal=False), labels, embeddings) >= 0).all()


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ([0, 1], [[2.0, 0.0], [0.0, 1.0]], "not L2-normalized"),
        ([0.5, 1], [[1.0, 0.0], [0.0, 1.0]], "not a whole number"),
        ([[0, 1]], [[1.0, 0.0]], "do not fit"),
    ],
)
def test_circle_without_reference(y_true: Any, y_pred: Any, message: str) -> None:
    with pytest.raises(NoReference, match=message):
        loss(spec("circle"), y_true, y_pred)


@given(order=st.permutations(range(6)))
def test_permuting_examples_permutes_losses(order: list[int]) -> None:
    rng = np.random.default_rng(9)
    embeddings = rng.normal(size=(6, 3))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    labels, signs = np.array([0, 0, 1, 1, 2, 2]), rng.choice([-1, 1], size=(6, 3))
    for asked, y_true in ((spec("circle"), labels), (spec("hinge"), signs), (spec("dice", axis=1), abs(signs))):
        y_pred = np.abs(embeddings) if asked.name == "dice" else embeddings
        straight = unreduced(asked, y_true, y_pred)
        np.testing.assert_allclose(unreduced(asked, y_true[order], y_pred[order]), straight[order], rtol=1e-9)
