"""The same outputs in another position."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosing import diagnosed, outputs
from make import BACKENDS, everywhere

RAISED = "IndexError: Target 3 is out of bounds."


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


def test_the_output_order_of_two_legs_is_reported_for_both() -> None:
    found = diagnosed({"jax": outputs(["age", "Stage", "tumor"]), "torch": outputs(["Stage", "age", "tumor"])})
    assert found["output-order"].evidence["by position max|d|"] == 38.0
    assert "jax returns them in another order than torch" in found["output-order"].message


@pytest.mark.parametrize("broken", BACKENDS)
def test_an_output_order_is_reported_beside_a_leg_that_raised(broken: str) -> None:
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
