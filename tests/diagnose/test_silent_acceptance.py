"""Labels that some backends reject: what became of them on the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnosing import cross_entropy, diagnosed, first, scores
from make import BACKENDS, everywhere

RAISED = "IndexError: Target 3 is out of bounds."


def accepted(bad: float, row: Any, **more: Any) -> dict[str, Any]:
    """Example 1 of four has the label `bad`, of which the backend makes the target `row`."""
    z, y = scores(4, 3)
    targets = np.eye(3)[y]
    targets[1] = row
    made = cross_entropy(z, np.array([0, 0, 2, 0]), targets=targets, **more)
    labels = np.array([0, bad, 2, 0], np.float64 if np.isnan(bad) or bad % 1 else np.int64)
    return made | {"labels": made["labels"] | {"y_true": labels}}


@pytest.mark.parametrize(
    ("bad", "row", "words"),
    [
        (3, [0, 0, 0], "label 3 of example 1 is dropped: no loss, no gradient"),
        (-1, [0, 0, 1], "label -1 of example 1 is counted as class 2 (fox), with a loss of"),
        (1.9, [0, 1, 0], "label 1.9 of example 1 is counted as class 1 (dog), with a loss of"),
        (np.nan, [np.nan] * 3, "label nan of example 1 gives a loss of nan"),
        (7, [-0.5, 0, 0], "label 7 of example 1 gives a negative loss of"),
        (7, [1, 0, 1], "label 7 of example 1 gives a loss of"),
    ],
    ids=["dropped", "counted", "cut off", "NaN", "negative", "two classes"],
)
def test_the_treatment_of_the_label_is_named(bad: float, row: list[float], words: str) -> None:
    found = first(everywhere(raised=RAISED) | {"jax": accepted(bad, row)})
    assert (found.code, found.backends) == ("silent-acceptance", ("jax",))
    assert f"On jax {words}" in found.message
    assert words in found.evidence["jax labels"]
    assert found.evidence["jax returned"].startswith("loss ")


def test_backends_that_do_the_same_are_named_together_and_others_apart() -> None:
    dropped, counted = accepted(3, [0, 0, 0]), accepted(3, [0, 0, 1])
    found = first({"tensorflow": {"raised": RAISED}, "jax": dropped, "torch": dropped})
    assert "On jax and torch label 3" in found.message
    found = first({"tensorflow": {"raised": RAISED}, "jax": dropped, "torch": counted})
    assert "On jax label 3 of example 1 is dropped" in found.message
    assert "On torch label 3 of example 1 is counted as class 2" in found.message


def test_labels_in_range_and_ignored_labels_are_not_reported() -> None:
    fine = accepted(1, [0, 1, 0])
    assert "jax labels" not in first(everywhere(raised=RAISED) | {"jax": fine}).evidence
    ignored = accepted(-1, [0, 0, 0])
    ignored["losses"] = {"": ignored["losses"][""] | {"options": {"from_logits": True, "ignore_class": -1}}}
    assert "jax labels" not in first(everywhere(raised=RAISED) | {"jax": ignored}).evidence


def test_a_label_that_should_be_rejected_and_is_not_is_reported_too() -> None:
    found = first({leg: accepted(3, [0, 0, 0], expect={}) for leg in BACKENDS})
    assert found.code == "never-rejected"
    assert "On tensorflow, jax and torch label 3 of example 1 is dropped" in found.message


def test_an_error_that_has_nothing_to_do_with_labels_is_no_rejection() -> None:
    assert "silent-acceptance" not in diagnosed(everywhere(loss=1.0) | {"jax": {"raised": "TypeError: unsupported dtype"}})


@pytest.mark.parametrize(
    "message",
    [
        "RuntimeError: selected index k out of range",
        "TypeError: unsupported operand type(s) for *: class_weight and None",
        "InvalidArgumentError: NodeDef: {{node UnsortedSegmentSum}}; attr=Tindices",
        "NotImplementedError: only implemented if `unique_indices=True`",
        "TypeError: dtypes differ\n\nArguments received by CutMix.call():\n  • data={'labels': [0, 1], 'target': 'class'}",
    ],
)
def test_words_that_are_not_about_labels_are_no_rejection(message: str) -> None:
    assert "silent-acceptance" not in diagnosed(everywhere(loss=1.0) | {"torch": {"raised": message}})


@pytest.mark.parametrize(
    "message",
    [
        "RuntimeError: Class values must be smaller than num_classes.",
        "InvalidArgumentError: Received a label value of 3 which is outside the valid range of [0, 3)",
        "IndexError: index 3 is out of bounds for dimension 1 with size 3\n\nArguments received by Loss.call():\n  • y_true=[3]",
    ],
)
def test_words_about_labels_before_the_arguments_are_a_rejection(message: str) -> None:
    assert "silent-acceptance" in diagnosed(everywhere(loss=1.0) | {"torch": {"raised": message}})


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


def test_the_treatment_of_single_examples_is_named_by_position() -> None:
    jax = {
        "per_example_loss": np.array([0.5, 0.0, np.nan, -1.0], np.float32),
        "observations": {"gradient/y_pred": np.array([[0.1, 0.2], [0.0, 0.0], [0.1, 0.0], [0.3, 0.1]], np.float32)},
    }
    found = diagnosed(everywhere(raised=RAISED) | {"jax": jax})
    expected = "loss NaN at 2; negative loss at 3; no loss at 1; no gradient at 1"
    assert found["silent-acceptance"].evidence["jax examples"] == expected


def test_the_same_treatment_of_all_examples_is_not_repeated_by_example() -> None:
    found = diagnosed(everywhere(raised=RAISED) | {"jax": {"per_example_loss": [0.0, 0.0]}})
    assert "jax examples" not in found["silent-acceptance"].evidence


@pytest.mark.parametrize("shape", [(), (0, 2), (2, 0), (3, 2), (2, 2, 2)])
def test_a_gradient_of_any_shape_does_not_break_the_diagnosis(shape: tuple[int, ...]) -> None:
    jax = {"per_example_loss": [0.5, 0.0], "observations": {"gradient/y_pred": np.zeros(shape, np.float32)}}
    assert "silent-acceptance" in diagnosed(everywhere(raised=RAISED) | {"jax": jax})


@pytest.mark.parametrize("by_leg", [everywhere(raised=RAISED), everywhere(loss=1.0, expect={})], ids=["all raise", "none raises"])
def test_backends_that_all_do_alike_are_no_silent_acceptance(by_leg: dict[str, dict[str, object]]) -> None:
    assert "silent-acceptance" not in diagnosed(by_leg)
