"""What became of weights, masks and single labels, from the losses of the examples alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnosing import diagnosed, first
from make import BACKENDS, everywhere, observation

from backendcheck.recordings.recording import Variant
from backendcheck.vocabulary.findings import Oracle

LOSSES = np.array([0.5, 1.25, 0.75, 2.0, 0.1, 0.3], np.float32)
WEIGHT = np.array([0.5, 2.0, 1.0, 3.0, 0.25, 1.5], np.float32)


def own(losses: Any, **more: Any) -> dict[str, Any]:
    """A loss of the user's own, that nothing is known of."""
    return {"per_example_loss": np.asarray(losses, np.float32), "losses": {"": {"name": "my_loss", "from_keras": False}}} | more


@pytest.mark.parametrize(
    ("applied", "code"),
    [
        (np.ones(6), "sample-weight-ignored"),
        (WEIGHT**2, "sample-weight-misapplied"),
        (WEIGHT / WEIGHT.mean(), "sample-weight-misapplied"),
        (WEIGHT[::-1], "sample-weight-misapplied"),
    ],
)
def test_weights_of_an_unknown_loss_are_followed(applied: np.ndarray, code: str) -> None:
    labels = {"sample_weight": WEIGHT}
    found = first(everywhere(**own(LOSSES * WEIGHT, labels=labels)) | {"jax": own(LOSSES * applied, labels=labels)})
    assert (found.code, found.backends) == (code, ("jax",))


def test_of_two_equal_suspects_the_simpler_cause_is_named() -> None:
    labels = {"sample_weight": WEIGHT}
    for legs in (("jax", "torch"), ("torch", "jax")):
        by_leg = {legs[0]: own(LOSSES * WEIGHT, labels=labels), legs[1]: own(LOSSES, labels=labels)}
        found = first({leg: by_leg[leg] for leg in ("jax", "torch")})
        assert (found.code, found.backends) == ("sample-weight-ignored", (legs[1],))


def test_masked_examples_that_take_part_are_listed() -> None:
    mask = np.array([True, False, True, False, True, True])
    found = first(everywhere(**own(LOSSES * mask, labels={"mask": mask})) | {"torch": own(LOSSES, labels={"mask": mask})})
    assert (found.code, found.evidence["examples"]) == ("mask-ignored", [1, 3])


def test_an_example_without_loss_and_gradient_is_a_dropped_label_with_its_label() -> None:
    kept, gradient = LOSSES.copy(), np.ones((6, 2), np.float32)
    kept[[1, 4]] = 0
    silent = gradient.copy()
    silent[[1, 4]] = 0
    labels = {"y_true": np.array([0, 7, 1, 1, 7, 0])}
    found = first(
        everywhere(**own(LOSSES, labels=labels, observations={"gradient/y_pred": gradient}))
        | {"jax": own(kept, labels=labels, observations={"gradient/y_pred": silent})}
    )
    assert (found.code, found.evidence["examples"]) == ("dropped-label", [1, 4])
    assert "2 of 6 examples give no loss and no gradient (labels 7)" in found.message


def test_an_example_that_loses_its_loss_but_not_its_gradient_is_not_dropped() -> None:
    kept = LOSSES.copy()
    kept[1] = 0
    gradient = {"gradient/y_pred": np.ones((6, 2), np.float32)}
    assert "dropped-label" not in diagnosed(
        everywhere(**own(LOSSES, observations=gradient)) | {"jax": own(kept, observations=gradient)}
    )


def test_a_masked_example_is_no_dropped_label_where_the_other_side_counts_it() -> None:
    mask = np.array([True, False, True, True, True, True])
    labels = {"mask": mask}
    found = diagnosed({"jax": own(LOSSES, labels=labels), "torch": own(LOSSES * mask, labels=labels)})
    assert next(iter(found)) == "mask-ignored"
    assert found["mask-ignored"].backends == ("jax",)
    assert "dropped-label" not in found


def test_rows_of_zeros_are_labels_without_a_class() -> None:
    rows = np.eye(3, dtype=np.float32)[[0, 1, 2]]
    found = first(everywhere(rows=rows) | {"jax": {"rows": rows * np.array([[1], [0], [1]], np.float32)}})
    assert (found.code, found.evidence["places"]) == ("dropped-label", [[1]])


@pytest.mark.parametrize(
    ("factor", "words"), [(6.0, "multiplied by the number of examples"), (1 / 6, "divided by the number of examples")]
)
def test_a_mean_that_counts_otherwise_is_a_reduction(factor: float, words: str) -> None:
    found = first(everywhere(**own(LOSSES, loss=float(LOSSES.mean()))) | {"jax": own(LOSSES, loss=float(LOSSES.mean()) * factor)})
    assert found.code == "reduction"
    assert words in found.message


def test_a_ratio_that_counts_nothing_is_no_reduction() -> None:
    found = diagnosed(everywhere(**own(LOSSES, loss=1.0)) | {"jax": own(LOSSES, loss=1.7321)})
    assert "reduction" not in found


def test_an_accuracy_that_counts_masked_steps_is_a_mask_ignored() -> None:
    scores = np.eye(2, dtype=np.float32)[[[0, 1, 1], [1, 1, 0]]]
    labels = {"y_true": np.array([[0, 0, 1], [1, 0, 1]]), "mask": np.array([[True, False, True], [True, False, False]])}
    common = {"labels": labels, "losses": {"": {"name": "x", "from_keras": False}}}
    legs = {
        leg: common | {"observations": {"predictions": scores, "metric/accuracy": np.float64(3 / 6 if leg == "jax" else 1.0)}}
        for leg in ("tensorflow", "jax", "torch")
    }
    found = first(legs)
    assert (found.code, found.backends) == ("mask-ignored", ("jax",))


@pytest.mark.parametrize("n_times", [2.0, 9.0])
def test_small_differences_are_not_named(n_times: float) -> None:
    other = LOSSES.copy()
    other[2] += n_times * 8.5e-6
    assert {*diagnosed(everywhere(**own(LOSSES)) | {"jax": own(other)})} <= {"rounding", "unexplained"}


# --- weights that go along the steps -----------------------------------------------------------------------------


def steps(weights: list[float], *, along: bool) -> dict[str, dict[str, Any]]:
    """Squared errors of three sequences of three steps, once more with the examples permuted and put back."""
    y, p = np.zeros((3, 3, 1), np.float32), np.arange(9, dtype=np.float32).reshape(3, 3, 1)
    order = np.array([1, 2, 0])

    def losses(p: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.float32((p[..., 0] ** 2 * (weight[None, :] if along else weight[:, None])).mean(axis=1))

    weight = np.array(weights, np.float32)
    permuted = losses(p[order], weight[order])
    restored = np.empty_like(permuted)
    restored[order] = permuted
    if not along:
        restored = restored[::-1].copy()  # another dependence on the order
    variant = Variant(
        oracle=Oracle.ORDER, path="examples permuted", observations={"per_example_loss": observation(restored)}
    )
    loss = {"name": "mean_squared_error", "from_keras": True, "options": {}, "reduction": "sum_over_batch_size", "alone": True}
    labels = {"y_true": y, "y_pred": p, "sample_weight": weight}
    return everywhere(per_example_loss=losses(p, weight), losses={"": loss}, labels=labels, variants=(variant,))


def test_weights_that_meet_the_steps_are_named_once_for_all_backends() -> None:
    found = diagnosed(steps([1.0, 2.0, 4.0], along=True))["sample-weight-misapplied"]
    assert found.backends == BACKENDS
    assert "the weights (3,) of the examples go along the 3 steps" in found.message


def test_another_dependence_on_the_order_is_not() -> None:
    messages = [one.message for one in diagnosed(steps([1.0, 2.0, 4.0], along=False)).values()]
    assert not [message for message in messages if "go along the" in message]


# --- weights of 0, and weights of labels -------------------------------------------------------------------------


def test_examples_of_weight_zero_that_are_counted_have_their_weights_ignored() -> None:
    weight = np.float32([1, 0, 1, 0, 1, 1])
    labels = {"sample_weight": weight, "y_true": np.array([1, 0, 2, 0, 1, 2])}
    by_leg = everywhere(**own(LOSSES * weight, labels=labels)) | {"jax": own(LOSSES, labels=labels)}
    found = diagnosed(by_leg)
    assert "2 of 6 examples are counted, although their weight is 0" in found["sample-weight-ignored"].message
    assert "missing-label-counted" not in found


def test_examples_that_have_a_weight_and_no_loss_are_missing_labels() -> None:
    kept = np.float32([1, 0, 1, 0, 1, 1])
    labels = {"sample_weight": np.ones(6, np.float32)}
    found = diagnosed(everywhere(**own(LOSSES * kept, labels=labels)) | {"jax": own(LOSSES, labels=labels)})
    assert "missing-label-counted" in found


LABELS = np.float32([[1, 0, 1], [0, 1, 1], [1, 0, 0]])
CHANCES = np.float32([[0.7, 0.4, 0.2], [0.6, 0.3, 0.8], [0.1, 0.5, 0.9]])
LABEL_WEIGHTS = np.float32([[1, 1, 1], [0, 1, 0], [0, 0.5, 2]])


def by_label(applied: Any) -> dict[str, dict[str, Any]]:
    """A cross-entropy by label; JAX applies other weights."""
    losses = -(LABELS * np.log(CHANCES) + (1 - LABELS) * np.log(1 - CHANCES))
    labels = {"y_true": LABELS, "y_pred": CHANCES, "sample_weight": LABEL_WEIGHTS}
    legs = {leg: applied if leg == "jax" else LABEL_WEIGHTS for leg in BACKENDS}
    return {leg: own((weights * losses).mean(axis=1), labels=labels) for leg, weights in legs.items()}


@pytest.mark.parametrize(
    ("applied", "code"),
    [
        (np.ones((3, 3)), "sample-weight-ignored"),
        (LABEL_WEIGHTS**2, "sample-weight-misapplied"),
        (LABEL_WEIGHTS / LABEL_WEIGHTS.mean(), "sample-weight-misapplied"),
        (np.roll(LABEL_WEIGHTS, 1, axis=0), "sample-weight-misapplied"),
        (np.roll(LABEL_WEIGHTS, 1, axis=1), "sample-weight-misapplied"),
    ],
)
def test_weights_of_labels_are_compared_with_the_losses_of_the_labels(applied: Any, code: str) -> None:
    found = diagnosed(by_label(applied))
    assert found[code].backends == ("jax",)


@pytest.mark.parametrize("applied", [LABEL_WEIGHTS * 1.37, LABEL_WEIGHTS + 0.3, LABEL_WEIGHTS[:, [2, 0, 0]]])
def test_other_weights_of_labels_are_not_named(applied: Any) -> None:
    assert not {*diagnosed(by_label(applied))} & {"sample-weight-ignored", "sample-weight-misapplied"}
