"""What a backend did with labels, weights and options, found by replaying the declared loss."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosing import cross_entropy, diagnosed, first, scores, softmax
from make import BACKENDS, everywhere, observation

from backendcheck.recordings.recording import Variant
from backendcheck.vocabulary.findings import Oracle

WEIGHT = np.array([0.5, 2.0, 1.5, 3.0] * 4, np.float32)


def weighted(**more: object) -> dict[str, object]:
    z, y = scores()
    return cross_entropy(z, y, weight=WEIGHT, **more)


@pytest.mark.parametrize(
    ("applied", "code", "words"),
    [
        (np.ones(16), "sample-weight-ignored", "there were no sample weights"),
        (WEIGHT**2, "sample-weight-misapplied", "applied twice"),
        (WEIGHT / WEIGHT.mean(), "sample-weight-misapplied", "divided by their mean"),
        (WEIGHT / WEIGHT.sum(), "sample-weight-misapplied", "divided by their sum"),
        (WEIGHT[::-1], "sample-weight-misapplied", "reverse order"),
        (np.roll(WEIGHT, 1), "sample-weight-misapplied", "of its neighbor"),
    ],
)
@pytest.mark.parametrize("broken", BACKENDS)
def test_what_became_of_the_weights_is_found(applied: np.ndarray, code: str, words: str, broken: str) -> None:
    found = first(everywhere(**weighted()) | {broken: weighted(applied=applied)})
    assert (found.code, found.backends) == (code, (broken,))
    assert words in found.message
    assert found.evidence["excess as declared"] > 20
    assert found.evidence["excess as supposed"] < 1


@pytest.mark.parametrize("broken", ["jax", "torch"])
def test_of_two_legs_the_declared_loss_says_which_is_wrong(broken: str) -> None:
    found = first({"jax": weighted(), "torch": weighted()} | {broken: weighted(applied=np.ones(16))})
    assert (found.code, found.backends) == ("sample-weight-ignored", (broken,))


def test_two_of_three_that_are_wrong_together_are_both_named() -> None:
    found = first(everywhere(**weighted(applied=np.ones(16))) | {"torch": weighted()})
    assert (found.code, found.backends) == ("sample-weight-ignored", ("tensorflow", "jax"))


@pytest.mark.parametrize(
    ("factor", "words"), [(16.0, "multiplied by the number of examples"), (0.25, "divided by the number of classes")]
)
def test_a_loss_that_is_off_by_a_count_is_a_reduction_and_no_scale(factor: float, words: str) -> None:
    z, y = scores()
    found = diagnosed(everywhere(**cross_entropy(z, y)) | {"jax": cross_entropy(z, y, factor=factor)})
    one = next(iter(found.values()))
    assert (one.code, one.backends) == ("reduction", ("jax",))
    assert words in one.message


@pytest.mark.parametrize("amount", [0.1, 0.05, 0.2])
def test_smoothing_on_one_side_is_found_with_its_amount(amount: float) -> None:
    z, y = scores()
    hot = np.eye(4, dtype=np.float32)[y]

    def leg(smoothing: float) -> dict[str, object]:
        made = cross_entropy(z, y, targets=hot * (1 - smoothing) + smoothing / 4)
        loss = made["losses"][""] | {"name": "categorical_crossentropy"}
        return made | {"labels": {"y_true": hot, "y_pred": z.astype(np.float32)}, "losses": {"": loss}}

    found = first(everywhere(**leg(0.0)) | {"jax": leg(amount)})
    assert (found.code, found.backends) == ("label-smoothing", ("jax",))
    assert found.evidence["smoothing"] == pytest.approx(amount)


def test_a_softmax_too_many_inside_the_loss_is_found() -> None:
    z, y = scores()
    twice = cross_entropy(softmax(z), y)
    twice["labels"] = {"y_true": y, "y_pred": z.astype(np.float32)}
    found = first(everywhere(**cross_entropy(z, y)) | {"torch": twice})
    assert (found.code, found.backends) == ("logits-as-probabilities", ("torch",))


def missing(y: np.ndarray, counted: int | None) -> dict[str, object]:
    """Label -1 is ignored, or counted as a class."""
    z, _ = scores()
    targets = np.eye(4)[np.where(y < 0, counted or 0, y)] * (1 if counted is not None else (y >= 0)[:, None])
    made = cross_entropy(z, y, targets=targets)
    if counted is None:
        scale = len(y) / (y >= 0).sum()
        seen = made["observations"]
        made["observations"] = seen | {name: seen[name] * np.float32(scale) for name in ("loss", "gradient/y_pred")}
    made["losses"][""]["options"] = {"from_logits": True, "ignore_class": -1}
    return made


@pytest.mark.parametrize("counted", [0, 3])
def test_a_missing_label_that_is_counted_is_found_with_its_class(counted: int) -> None:
    y = scores()[1].copy()
    y[[3, 7]] = -1
    found = first(everywhere(**missing(y, None)) | {"jax": missing(y, counted)})
    assert (found.code, found.backends) == ("missing-label-counted", ("jax",))
    assert (found.evidence["counted as"], found.evidence["examples"]) == (counted, [3, 7])


def test_a_loss_that_is_right_for_its_predictions_is_not_explained_by_anything() -> None:
    """Other predictions give another loss: whatever is wrong happened before it."""
    z, y = scores()
    legs = {}
    for leg in BACKENDS:
        mine = z + (0.3 * np.random.default_rng(1).standard_normal(z.shape) if leg == "jax" else 0.0)
        made = cross_entropy(mine, y)
        made["observations"]["predictions"] = mine.astype(np.float32)
        legs[leg] = made | {"labels": {"y_true": y}}
    found = diagnosed(legs)
    assert list(found) == ["unexplained"]
    assert "predictions" in found["unexplained"].message


def test_a_difference_just_inside_the_margin_is_not_named() -> None:
    z, y = scores()
    nearly = WEIGHT * np.float32(1 + 5e-5)  # five times what is allowed
    found = diagnosed(
        everywhere(**cross_entropy(z, y, weight=WEIGHT)) | {"jax": cross_entropy(z, y, weight=WEIGHT, applied=nearly)}
    )
    assert {*found} <= {"rounding", "unexplained"}


def test_labels_that_wrapped_around_are_found() -> None:
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((4, 300)).astype(np.float32).astype(np.float64), np.array([260, 3, 299, 280])
    wrapped = y.astype(np.uint8).astype(int)
    found = first(everywhere(**cross_entropy(z, y)) | {"jax": cross_entropy(z, y, targets=np.eye(300)[wrapped])})
    assert (found.code, found.backends) == ("label-wrapped", ("jax",))


@pytest.mark.parametrize(
    ("applied", "factor", "code", "words"),
    [
        (np.ones(16), 1.0, "sample-weight-ignored", "jax through fit"),
        (WEIGHT**2, 1.0, "sample-weight-misapplied", "jax through fit"),
        (WEIGHT, 16.0, "reduction", "jax through fit"),
    ],
)
def test_a_difference_on_one_path_is_named_with_the_path(
    applied: np.ndarray, factor: float, code: str, words: str
) -> None:
    other = weighted(applied=applied, factor=factor)["observations"]["loss"]
    variant = Variant(oracle=Oracle.PATHS, path="fit", observations={"loss": observation(other)})
    legs = {leg: weighted() for leg in BACKENDS}
    legs["jax"]["variants"] = (variant,)
    found = first(legs)
    assert (found.code, found.backends) == (code, ("jax",))
    assert words in found.message


@pytest.mark.parametrize(("n_smoothed", "code"), [(2, "label-smoothing"), (5, "")])
def test_smoothing_that_counts_the_classes_of_the_last_axis_is_named(n_smoothed: int, code: str) -> None:
    """Three classes are in axis 1 of (N, 3, 2)."""
    rng = np.random.default_rng(0)
    p = softmax(rng.standard_normal((4, 2, 3))).transpose(0, 2, 1).astype(np.float32)
    y = np.eye(3)[rng.integers(0, 3, (4, 2))].transpose(0, 2, 1).astype(np.float32)

    def losses(n: int) -> np.ndarray:
        return np.float32(-((0.7 * y + 0.3 / n) * np.log(p)).sum(axis=1).mean(axis=1))

    loss = {"name": "categorical_crossentropy", "from_keras": True, "alone": True, "reduction": "sum_over_batch_size",
            "options": {"label_smoothing": 0.3, "axis": 1, "from_logits": False}}  # fmt: skip
    common = {"losses": {"": loss}, "labels": {"y_true": y, "y_pred": p}}
    by_leg = everywhere(per_example_loss=losses(3), **common) | {"jax": {"per_example_loss": losses(n_smoothed), **common}}
    messages = " ".join(one.message for one in diagnosed(by_leg).values())
    assert ("smoothed for 2 classes, the size of the last axis" in messages) is bool(code)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight", None])
def test_logits_that_were_taken_for_probabilities_are_found_without_a_reduction_too(reduction: str | None) -> None:
    """Without a reduction, the recorded loss is the sum of the losses of the examples."""
    z, y = scores()
    total = np.mean if reduction else np.sum
    right = -np.log(softmax(z))[np.arange(len(y)), y]
    wrong = -np.log(np.clip(z.astype(np.float32), 1e-7, 1 - 1e-7))[np.arange(len(y)), y]
    loss = {"name": "sparse_categorical_crossentropy", "from_keras": True, "alone": True, "reduction": reduction,
            "options": {"from_logits": True}}  # fmt: skip
    common = {"losses": {"": loss}, "labels": {"y_true": y, "y_pred": z.astype(np.float32)}}
    by_leg = {
        leg: {"per_example_loss": np.float32(each), "loss": np.float32(total(each)), **common}
        for leg, each in zip(BACKENDS, (right, wrong, right), strict=True)
    }
    assert first(by_leg).code == "logits-as-probabilities"
