"""Differences at kinks, clips and ties, and NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnosing import diagnosed, first
from make import BACKENDS, everywhere


def loss(name: str, y_true: Any, y_pred: Any, observations: dict[str, Any], **options: Any) -> dict[str, Any]:
    described = {"name": name, "from_keras": True, "options": options, "reduction": "sum_over_batch_size", "alone": True}
    labels = {"y_true": np.asarray(y_true, np.float32), "y_pred": np.asarray(y_pred, np.float32)}
    return {"losses": {"": described}, "labels": labels, "observations": observations}


def absolute(at_kink: float) -> dict[str, Any]:
    gradient = np.array([[1 / 3], [at_kink], [-1 / 3]], np.float32)
    losses = np.array([0.5, 0.0, 1.0], np.float32)
    seen = {"per_example_loss": losses, "loss": np.float32(0.5), "gradient/y_pred": gradient}
    return loss("mean_absolute_error", [[1.0], [2.0], [3.0]], [[1.5], [2.0], [2.0]], seen)


def test_a_gradient_that_differs_at_a_kink_alone_is_an_edge_gradient() -> None:
    found = first(everywhere(**absolute(0.0)) | {"torch": absolute(1 / 3)})
    assert (found.code, found.backends) == ("edge-gradient", ("torch",))
    assert (found.evidence["entries"], found.evidence["prediction there"]) == ([[1, 0]], 2.0)


def test_a_gradient_that_differs_beside_the_kink_is_none() -> None:
    other = absolute(1 / 3)
    other["observations"]["gradient/y_pred"] = np.array([[1 / 3], [1 / 3], [0.2]], np.float32)
    assert "edge-gradient" not in diagnosed(everywhere(**absolute(0.0)) | {"torch": other})


def test_an_edge_gradient_is_seen_beside_one_that_is_infinite_everywhere() -> None:
    seen = [absolute(at_kink) for at_kink in (0.0, 1 / 3)]
    for one in seen:
        one["observations"]["gradient/y_pred"][0, 0] = np.inf  # no warning of inf - inf: the tests make errors of those
    found = diagnosed(everywhere(**seen[0]) | {"torch": seen[1]})
    assert found["edge-gradient"].evidence["entries"] == [[1, 0]]


def test_an_edge_gradient_is_none_where_the_losses_differ_too() -> None:
    other = absolute(1 / 3)
    other["observations"]["per_example_loss"] = np.array([0.5, 0.4, 1.0], np.float32)
    assert "edge-gradient" not in diagnosed(everywhere(**absolute(0.0)) | {"torch": other})


def probabilities(clipped: float, **more: Any) -> dict[str, Any]:
    p = [[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]]
    losses = np.array([-np.log(0.75), clipped, -np.log(0.5)], np.float32)
    return loss("sparse_categorical_crossentropy", [1, 1, 0], p, {"per_example_loss": losses} | more)


def test_losses_that_differ_at_a_probability_of_zero_alone_are_a_saturation() -> None:
    found = first(everywhere(**probabilities(16.118)) | {"jax": probabilities(34.5)})
    assert (found.code, found.backends, found.evidence["examples"]) == ("saturation", ("jax",), [1])
    assert "has 34.5 on jax, 16.118 on" in found.message


def test_an_infinite_loss_at_a_probability_of_zero_is_a_saturation_and_nan_is_none() -> None:
    assert first(everywhere(**probabilities(16.118)) | {"jax": probabilities(np.inf)}).code == "saturation"
    assert first(everywhere(**probabilities(16.118)) | {"jax": probabilities(np.nan)}).code == "nan"


def test_large_predictions_of_a_regression_do_not_saturate() -> None:
    def leg(at: float) -> dict[str, Any]:
        return loss("mean_squared_error", [[1.0], [2.0]], [[40.0], [3.0]], {"per_example_loss": np.array([at, 1.0], np.float32)})

    assert "saturation" not in diagnosed(everywhere(**leg(1521.0)) | {"jax": leg(1522.0)})


def test_noise_just_above_tolerance_is_no_saturation() -> None:
    found = diagnosed(everywhere(**probabilities(16.118)) | {"jax": probabilities(16.118 * (1 + 5e-5))})
    assert {*found} <= {"rounding", "unexplained"}


def top(indices: Any, values: Any = ((3.0, 2.0, 2.0),)) -> dict[str, Any]:
    return {"observations": {"value/values": np.asarray(values, np.float32), "value/indices": np.asarray(indices)}}


def test_indices_that_differ_where_values_tie_are_a_tie_order() -> None:
    found = first(everywhere(**top([[0, 1, 2]])) | {"torch": top([[0, 2, 1]])})
    assert (found.code, found.backends, found.evidence["ties in"]) == ("tie-order", ("torch",), "values")


def test_indices_that_differ_where_nothing_ties_are_none() -> None:
    assert "tie-order" not in diagnosed(everywhere(**top([[0, 1, 2]])) | {"torch": top([[1, 0, 2]])})


def test_classes_decided_otherwise_are_no_tie_order_where_the_scores_differ() -> None:
    z = np.array([[0.5, 0.5], [0.1, 0.9]])
    legs = everywhere(predictions=z, predicted_class=[0, 1]) | {
        "jax": {"predictions": z + np.array([[0, 0.01], [0, 0]]), "predicted_class": [1, 1]}
    }
    assert "tie-order" not in diagnosed(legs)


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "Inf")])
def test_nan_and_inf_are_reported_where_they_first_appear(bad: float, word: str) -> None:
    healthy = {"per_example_loss": [0.5, 1.0], "loss": 0.75, "metric": 1.0}
    found = first(everywhere(**healthy) | {"jax": healthy | {"per_example_loss": [0.5, bad], "loss": bad}})
    assert (found.code, found.backends) == ("nan", ("jax",))
    assert f"{word} first appears in per_example_loss on jax (1 of 2, first at [1])" in found.message


def test_nan_on_all_sides_alike_is_not_blamed_on_one() -> None:
    assert "nan" not in diagnosed(everywhere(per_example_loss=[0.5, np.nan]))


def halved(at: list[int], **more: Any) -> dict[str, dict[str, Any]]:
    """A loss of the user's own, whose gradient is halved at some entries on JAX."""
    gradient = np.float32([[-1.0], [-0.7], [-0.9], [-0.3]])
    predictions = np.float32([[0.1], [0.9], [0.2], [0.9]])
    own = {"losses": {"": {"name": "my_loss", "from_keras": False}}, "labels": {"y_pred": predictions}}
    jax = gradient.copy()
    jax[at] /= 2
    common = {**own, **more}
    gradients = {leg: jax if leg == "jax" else gradient for leg in BACKENDS}
    return {leg: {**common, "observations": {"loss": 0.5, "gradient/y_pred": gradients[leg]}} for leg in BACKENDS}


def test_half_of_a_slope_at_some_entries_is_that_of_a_limit() -> None:
    assert diagnosed(halved([1, 3]))["edge-gradient"].backends == ("jax",)


def test_half_of_a_slope_everywhere_is_a_factor() -> None:
    assert "edge-gradient" not in diagnosed(halved([0, 1, 2, 3]))


def test_half_of_a_slope_of_a_loss_of_keras_is_not_a_limit_by_itself() -> None:
    declared = {"name": "mean_squared_error", "from_keras": True, "options": {}}
    assert "edge-gradient" not in diagnosed(halved([1, 3], losses={"": declared}))


# --- hidden units at 0 -------------------------------------------------------------------------------------------


def hidden(kernel: Any, jax: Any) -> dict[str, dict[str, Any]]:
    """Gradients of two layers; JAX has other ones by the hidden biases."""
    common = {
        "loss": 1.0, "gradient/hidden/bias": np.float32([0, 0, 0.3]), "gradient/head/kernel": np.float32(kernel),
        "gradient/head/bias": np.float32([0.2, -0.2]),
    }  # fmt: skip
    return everywhere(observations=common) | {"jax": {"observations": common | {"gradient/hidden/bias": np.float32(jax)}}}


SILENT = [[0, 0], [0, 0], [0.1, -0.1]]


def test_a_gradient_of_hidden_units_that_are_zero_is_that_of_a_kink() -> None:
    diagnosis = diagnosed(hidden(SILENT, [0.25, -0.1, 0.3]))["edge-gradient"]
    assert diagnosis.backends == ("jax",)
    assert "2 hidden units whose output is 0 for every example" in diagnosis.message


@pytest.mark.parametrize(
    ("kernel", "jax"),
    [([[0.1, -0.1]] * 3, [0.25, -0.1, 0.3]), (SILENT, [0, 0, 0.9]), (SILENT, [0.25, 0, 0.3])],
    ids=["active units", "an active unit differs", "a single unit"],
)
def test_gradients_of_other_hidden_units_are_not(kernel: Any, jax: Any) -> None:
    assert "edge-gradient" not in diagnosed(hidden(kernel, jax))
