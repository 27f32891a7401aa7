"""Detectors name a cause where it is one, and are silent where it is not."""

from __future__ import annotations

import json

import make
import numpy as np
import pytest
from make import BACKENDS, everywhere

from backendcheck.diagnose import Diagnosis

RAISED = "IndexError: Target 3 is out of bounds."


def diagnosed(by_leg: dict[str, dict[str, object]]) -> dict[str, Diagnosis]:
    return {one.code: one for one in make.results({"a/b": by_leg}).cases[0].diagnoses}


# --- silence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "by_leg",
    [
        everywhere(loss=1.0, predictions=[[0.1, 0.9]], output_order=["a", "b"]),
        everywhere(raised=RAISED, expect={}),
        {leg: {"loss": 1.0 + n * 1e-7} for n, leg in enumerate(BACKENDS)},
    ],
    ids=["equal", "rejected as asked", "rounding"],
)
def test_a_case_without_findings_has_no_diagnosis(by_leg: dict[str, dict[str, object]]) -> None:
    assert diagnosed(by_leg) == {}


@pytest.mark.parametrize(
    "jax",
    [{"loss": 2.0}, {"loss": [1.0]}, {"loss": np.float32(np.nan)}, {"loss": 1.0, "predictions": [1.0]}],
    ids=["value", "shape", "NaN", "missing"],
)
def test_a_finding_that_no_detector_explains_is_described(jax: dict[str, object]) -> None:
    found = diagnosed(everywhere(loss=1.0) | {"jax": jax})
    assert len(found) == 1
    assert {*found} <= {"unexplained", "nan"}


# --- output order ----------------------------------------------------------------------------------------------


def outputs(order: list[str], **changed: object) -> dict[str, object]:
    predictions = {"age": [[1.0], [2.0]], "Stage": [[30.0], [40.0]], "tumor": [[0.5], [0.25]]} | changed
    return {"output_order": order, "observations": {f"predictions/{name}": value for name, value in predictions.items()}}


def test_the_same_outputs_in_another_position_are_an_output_order() -> None:
    found = diagnosed(everywhere(**outputs(["Stage", "age", "tumor"])) | {"tensorflow": outputs(["tumor", "age", "Stage"])})
    assert list(found) == ["output-order"]
    assert found["output-order"].backends == ("tensorflow",)
    evidence = found["output-order"].evidence
    assert (evidence["by position max|d|"], evidence["by name max|d|"]) == (39.75, 0.0)
    assert evidence["excess"] > 1e4


def test_the_evidence_shows_what_differs_by_name_too() -> None:
    other = outputs(["tumor", "age", "Stage"], age=[[1.0], [2.5]])
    found = diagnosed(everywhere(**outputs(["Stage", "age", "tumor"])) | {"torch": other})
    assert found["output-order"].evidence["by name max|d|"] == 0.5


def test_outputs_of_other_names_are_no_output_order() -> None:
    by_leg = everywhere(output_order=["age", "stage"]) | {"jax": {"output_order": ["age", "tumor"]}}
    assert "output-order" not in diagnosed(by_leg)


def test_a_vocabulary_in_another_order_is_no_output_order() -> None:
    assert "output-order" not in diagnosed(everywhere(vocabulary=["cat", "dog"]) | {"jax": {"vocabulary": ["dog", "cat"]}})


def test_the_output_order_of_two_legs_is_told_of_both() -> None:
    found = diagnosed({"jax": outputs(["age", "Stage", "tumor"]), "torch": outputs(["Stage", "age", "tumor"])})
    assert found["output-order"].evidence["by position max|d|"] == 38.0
    assert "jax returns them in another order than torch" in found["output-order"].message


@pytest.mark.parametrize("broken", BACKENDS)
def test_an_output_order_is_told_beside_a_leg_that_raised(broken: str) -> None:
    one, other = (leg for leg in BACKENDS if leg != broken)
    found = diagnosed(
        {leg: {"raised": RAISED} for leg in BACKENDS}
        | {one: outputs(["age", "Stage", "tumor"]), other: outputs(["Stage", "age", "tumor"])}
    )
    assert {"output-order", "silent-acceptance"} == set(found)
    assert broken not in found["output-order"].backends


def test_an_output_order_that_the_reference_alone_contradicts_is_no_difference_of_backends() -> None:
    found = diagnosed(everywhere(output_order=["a", "b"], reference={"output_order": ["b", "a"]}))
    assert "output-order" not in found


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_outputs_that_are_nothing_but_nan_or_inf_do_not_break_the_diagnosis(bad: float) -> None:
    both = {name: np.full((2, 1), bad, np.float32) for name in ("age", "Stage", "tumor")}
    found = diagnosed({"jax": outputs(["age", "Stage", "tumor"], **both), "torch": outputs(["Stage", "age", "tumor"], **both)})
    assert "output-order" in found


@pytest.mark.parametrize(
    ("value", "words"), [(None, "max|d| 38, 1 of 2 not recorded"), ([[1.0]], "max|d| 38, 1 of 2 of other shapes")]
)
def test_outputs_that_cannot_be_subtracted_are_counted(value: object, words: str) -> None:
    other = outputs(["Stage", "age", "tumor"], Stage=value)
    if value is None:
        del other["observations"]["predictions/Stage"]
    found = diagnosed({"jax": outputs(["age", "Stage", "tumor"]), "torch": other})
    assert found["output-order"].evidence["by position max|d|"] == words


# --- silent acceptance -----------------------------------------------------------------------------------------


def test_a_backend_that_goes_on_where_others_reject_is_a_silent_acceptance() -> None:
    found = diagnosed(everywhere(raised=RAISED) | {"jax": {"loss": 0.25}})
    assert list(found) == ["silent-acceptance"]
    assert found["silent-acceptance"].backends == ("jax",)
    assert found["silent-acceptance"].evidence == {"jax returned": "loss 0.25"}
    assert found["silent-acceptance"].message.startswith("tensorflow and torch reject this, jax goes on with a number.")


def test_two_backends_that_go_on_are_both_named() -> None:
    found = diagnosed(everywhere(loss=0.25) | {"torch": {"raised": RAISED}})
    assert found["silent-acceptance"].backends == ("tensorflow", "jax")
    assert found["silent-acceptance"].message.startswith("torch rejects this, tensorflow and jax go on with a number.")


def test_what_became_of_single_examples_is_told_by_their_positions() -> None:
    jax = {
        "per_example_loss": np.array([0.5, 0.0, np.nan, -1.0], np.float32),
        "observations": {"gradient/y_pred": np.array([[0.1, 0.2], [0.0, 0.0], [0.1, 0.0], [0.3, 0.1]], np.float32)},
    }
    found = diagnosed(everywhere(raised=RAISED) | {"jax": jax})
    expected = "loss NaN at 2; negative loss at 3; no loss at 1; no gradient at 1"
    assert found["silent-acceptance"].evidence["jax examples"] == expected


def test_what_holds_for_all_examples_is_told_of_none() -> None:
    found = diagnosed(everywhere(raised=RAISED) | {"jax": {"per_example_loss": [0.0, 0.0]}})
    assert "jax examples" not in found["silent-acceptance"].evidence


@pytest.mark.parametrize("shape", [(), (0, 2), (2, 0), (3, 2), (2, 2, 2)])
def test_a_gradient_of_any_shape_does_not_break_the_diagnosis(shape: tuple[int, ...]) -> None:
    jax = {"per_example_loss": [0.5, 0.0], "observations": {"gradient/y_pred": np.zeros(shape, np.float32)}}
    assert "silent-acceptance" in diagnosed(everywhere(raised=RAISED) | {"jax": jax})


@pytest.mark.parametrize("by_leg", [everywhere(raised=RAISED), everywhere(loss=1.0, expect={})], ids=["all raise", "none raises"])
def test_backends_that_all_do_alike_are_no_silent_acceptance(by_leg: dict[str, dict[str, object]]) -> None:
    assert "silent-acceptance" not in diagnosed(by_leg)


# --- all of them -----------------------------------------------------------------------------------------------


def test_evidence_is_ready_for_json() -> None:
    by_leg = everywhere(raised=RAISED) | {"jax": outputs(["age", "Stage", "tumor"]), "torch": outputs(["Stage", "age", "tumor"])}
    for one in diagnosed(by_leg).values():
        assert json.loads(json.dumps(one.evidence, allow_nan=False)) == one.evidence
        assert one.message
        assert set(one.backends) <= set(BACKENDS)
