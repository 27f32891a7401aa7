"""The class that a gradient or a loss stands for."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosing import cross_entropy, scores, softmax

from backendcheck import reference
from backendcheck.case import Tolerance
from backendcheck.compare.tolerances import Allowed
from backendcheck.diagnose.evidence.implied import class_by_loss, has_implied_class, implied_class, label_class
from backendcheck.reference.of_recording import DeclaredLoss

ALLOWANCE = Allowed(tolerance=Tolerance(rtol=1e-5, atol=1e-6), origin="test", norm_wise=False)
SPEC = reference.LossSpec(name="sparse_categorical_crossentropy", options={"from_logits": True}, reduction="sum_over_batch_size")


def test_the_gradient_of_a_cross_entropy_names_the_label_whatever_the_weight() -> None:
    z, y = scores(12)
    gradient = (softmax(z) - np.eye(4)[y]) * np.random.default_rng(0).uniform(0.1, 5, (12, 1))
    assert (implied_class(gradient) == y).all()


@pytest.mark.parametrize(
    "row", [[0.0, 0.0, 0.0], [-1.0, -1.0, 2.0], [1.0, 1.0, 1.0], [np.nan, -1.0, 1.0]], ids=["none", "two", "positive", "NaN"]
)
def test_a_row_that_names_no_class_says_so(row: list[float]) -> None:
    assert implied_class(np.array([row])).tolist() == [-1]


def test_what_noise_could_do_names_no_class() -> None:
    assert implied_class(np.array([[-1e-5, 1e-5], [-0.5, 0.5]]), noise=1e-4).tolist() == [-1, 0]


def test_a_loss_names_the_class_as_which_an_example_was_counted() -> None:
    z, y = scores(12)
    counted = (y + 1) % 4
    losses = cross_entropy(z, counted)["observations"]["per_example_loss"]
    declared = DeclaredLoss(spec=SPEC, y_true=y, y_pred=z)
    assert (class_by_loss(declared, losses, ALLOWANCE) == counted).all()


def test_a_loss_of_no_class_or_of_two_names_none() -> None:
    declared = DeclaredLoss(spec=SPEC, y_true=np.array([0, 1]), y_pred=np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 5.0]]))
    losses = np.array([0.0, np.log(np.exp([1.0, 1.0, 5.0]).sum()) - 1.0])
    assert class_by_loss(declared, losses, ALLOWANCE).tolist() == [-1, -1]


def test_losses_without_classes_name_none() -> None:
    spec = reference.LossSpec(name="mean_squared_error", options={}, reduction="sum")
    assert class_by_loss(DeclaredLoss(spec=spec, y_true=np.ones((2, 1)), y_pred=np.ones((2, 1))), np.ones(2), ALLOWANCE) is None
    assert not has_implied_class({"name": "binary_crossentropy", "from_keras": True})
    assert not has_implied_class(None)
    assert not has_implied_class({"name": "categorical_crossentropy", "from_keras": True, "options": {"label_smoothing": 0.1}})


@pytest.mark.parametrize("labels", [[2, 0], [[2], [0]], [[0, 0, 1], [1, 0, 0]], [2.0, 0.0]])
def test_labels_name_classes_in_every_encoding(labels: object) -> None:
    assert label_class(np.asarray(labels), 3, (2,)).tolist() == [2, 0]


@pytest.mark.parametrize("labels", [[0.5, 1.0], [[0.5, 0.5, 0], [1, 0, 0]], ["cat", "dog"], [np.nan, 1.0], [1, 2, 3]])
def test_labels_that_name_no_class_give_none(labels: object) -> None:
    array = np.asarray(labels)
    assert label_class(array.astype(object) if array.dtype.kind == "U" else array, 3, (2,)) is None
