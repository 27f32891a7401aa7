"""Labels as people have them: codes, text with several names, nothing in between; one finding for each cause."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from backendcheck.data import Data
from backendcheck.errors import UsageError
from backendcheck.labels import ClassMap, LabelFinding, check_labels
from backendcheck.labels.contract.class_map import differences
from backendcheck.labels.inputs.numbers import numbers_of

SPARSE, ONE_HOT, BINARY = "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"
NAMES = ["red", "dry", "old"]


def findings(*arguments: Any, **options: Any) -> dict[str, LabelFinding]:
    by_code: dict[str, LabelFinding] = {}
    for finding in check_labels(*arguments, **options):
        assert finding.code not in by_code
        by_code[finding.code] = finding
    return by_code


# --- names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [
    np.array([7, 10, 100] * 3), np.array([7.0, 10.0, 100.0] * 3), np.array([7, 10, 100] * 3, "u1"), ["007", "010", "100"] * 3,
])  # fmt: skip
def test_labels_that_equal_the_names_are_encoded_by_them(labels: Any) -> None:
    assert check_labels(labels, loss=SPARSE, head=(3, "softmax"), class_names=["007", "010", "100"]) == []


def test_numbers_that_can_be_indices_are_indices() -> None:
    assert check_labels([2, 1, 0] * 3, loss=SPARSE, head=(3, "softmax"), class_names=["2", "1", "0"]) == []
    found = findings([2, 1, 3] * 3, loss=SPARSE, head=(3, "softmax"), class_names=["cat", "dog", "fox"])
    assert set(found) == {"L104"}
    assert set(findings([7, 10, 99] * 3, loss=SPARSE, head=(3, "softmax"), class_names=["7", "10", "100"])) >= {"L103"}


def test_numbers_sorted_as_text_are_no_matter_to_labels_that_are_these_texts() -> None:
    assert check_labels(["1", "10", "2"] * 3, class_names=["1", "10", "2"]) == []
    assert "L503" in findings([0, 1, 2] * 3, class_names=["1", "10", "2"])


# --- text ------------------------------------------------------------------------------------------------------


def test_text_that_names_several_classes_is_rows_of_0_and_1() -> None:
    labels = ["red|dry|old", "red", "", "dry|old", "old | red"] * 3
    assert check_labels(labels, loss=BINARY, head=(3, "sigmoid"), class_names=NAMES) == []
    for loss in (SPARSE, ONE_HOT):
        assert set(findings(labels, loss=loss, head=(3, "softmax"), class_names=NAMES)) == {"L401"}
    unknown = findings(["red|dri", "red|dry", "old"] * 3, loss=BINARY, head=(3, "sigmoid"), class_names=NAMES)
    assert set(unknown) == {"L505"}
    assert "3 of 9 are not among the class names; expected one of 'red', 'dry', 'old', got 'dri'" in unknown["L505"].message


def test_text_that_names_several_classes_is_read_so_in_every_split() -> None:
    labels = ["red|dry|old", "red", "dry|old", "old"] * 3
    options: dict[str, Any] = {"loss": BINARY, "head": (3, "sigmoid"), "class_names": NAMES}
    assert check_labels(labels, validation=["red", "old"], **options) == []


def test_a_name_may_hold_a_comma() -> None:
    names = ["New York, NY", "Albany, NY"]
    assert check_labels(names * 3, loss=SPARSE, head=(2, "softmax"), class_names=names) == []
    assert "np.unique" in findings(names * 3)["L110"].message


def test_what_is_advised_for_text_with_several_names_can_be_done() -> None:
    labels = ["red|dry", "old", "red"] * 3
    message = findings(labels)["L110"].message
    code = message.split("`")[1]
    assert eval(code, {"names": NAMES, "y": labels})[:2] == [[True, True, False], [False, False, True]]


@pytest.mark.parametrize("nothing", ["", "  ", None, float("nan")])
def test_a_label_that_is_missing_is_told(nothing: Any) -> None:
    labels = np.array(["fox", nothing, "cat"] * 2, dtype=object)
    found = findings(labels)
    assert "labels: 2 of 6 are empty, a missing label; expected text in each, got none at 1" in found["L101"].message
    assert "such as 'fox'" in found["L110"].message
    assert set(findings(labels, class_names=["cat", "fox"], loss=SPARSE, head=(2, "softmax"))) == {"L505"}


# --- one cause, one finding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "options", "codes"),
    [
        ([0, 1, 7] * 3, {"loss": SPARSE, "head": (3, "softmax")}, {"L103"}),
        ([0.0, 0.5, 1.0] * 3, {"loss": SPARSE, "head": (3, "softmax")}, {"L108"}),
        (["cat", "Dog"] * 3, {"loss": SPARSE, "head": (2, "softmax"), "class_names": ["cat", "dog"]}, {"L505"}),
        ([0, 1, 2] * 3, {"loss": SPARSE, "head": (9, "softmax"), "class_names": ["a", "b", "c"]}, {"L405"}),
        ([0, 1, 2] * 3, {"loss": BINARY, "head": (3, "sigmoid")}, {"L203"}),
        ([0, 0, 2] * 3, {"loss": SPARSE, "head": (3, "softmax")}, {"L106"}),
        (np.arange(300), {"loss": SPARSE, "head": (3, "softmax")}, {"L103"}),
    ],
)
def test_one_cause_is_one_finding(labels: Any, options: dict[str, Any], codes: set[str]) -> None:
    assert set(findings(labels, **options)) == codes


@pytest.mark.parametrize(
    ("labels", "head", "remedy"),
    [
        ([0, 255, 0], 1, "Convert them with y / 255."), ([-1, 1], 1, "(y + 1) / 2"), ([1, 2, 1], 1, "Convert them with y == 2."),
        ([0, 1, 2] * 3, 1, "If they are class indices, use softmax"), ([0, 3, 17, 255] * 3, 1, "If they are gray values"),
        ([0, 1, 9999], 1, "If they mean missing"), ([0.5, 3.5, 2.0], 1, "scale them into [0, 1]"),
    ],
)  # fmt: skip
def test_what_is_advised_for_values_that_are_not_probabilities_fits_them(labels: Any, head: int, remedy: str) -> None:
    assert remedy in findings(labels, loss=BINARY, head=(head, "sigmoid"))["L109"].message


# --- balance ---------------------------------------------------------------------------------------------------


def balance(labels: Any, **options: Any) -> LabelFinding:
    return findings(labels, **options)["L701"]


def test_class_weight_is_advised_only_where_fit_takes_it() -> None:
    labels = np.array([0] * 40 + [1] * 2)
    assert "pass class_weight={0: 0.525, 1: 10.5}." in balance(labels, loss=SPARSE, head=(2, "softmax")).message
    assert "pass class_weight=" in balance(np.eye(2)[labels], loss=ONE_HOT, head=(2, "softmax")).message
    pixels = balance(labels.reshape(6, 7), loss=SPARSE, head=(2, "softmax"))
    weighted = "sample_weight=np.vectorize(lambda label: weights.get(label, 0.0))"
    assert f"pass {weighted}(y), with weights = {{0: 0.525, 1: 10.5}}." in pixels.message
    rows = balance(np.eye(2)[labels.reshape(6, 7)], loss=ONE_HOT, head=(2, "softmax"))
    assert f"pass {weighted}(y.argmax(-1))" in rows.message
    several = balance({"a": labels, "b": labels * 0.5}, loss={"a": SPARSE, "b": "mse"}, head={"a": (2, "softmax"), "b": 1})
    assert f"{weighted}(y) for this output" in several.message
    assert "pass the sample weights times np.vectorize" in balance(labels, sample_weight=np.ones(42), loss=SPARSE, head=2).message


def test_labels_that_stand_for_nothing_get_no_weight() -> None:
    pixels = np.array([0] * 400 + [1] * 20 + [255] * 80).reshape(5, 100)
    assert set(balance(pixels, loss=SPARSE, head=(2, "softmax")).evidence["class_weight"]) == {"0", "1"}
    assert set(balance([0] * 40 + [1] * 2 + [-1] * 5, loss=SPARSE, head=(2, "softmax")).evidence["counts"]) == {"0", "1"}
    assert set(balance([0] * 40 + [1] * 2 + [5] * 5, loss=SPARSE, head=(2, "softmax")).evidence["counts"]) == {"0", "1"}
    assert "L701" not in findings([0] * 40 + [255] * 2, loss=BINARY, head=(1, "sigmoid"))


def test_weights_fit_the_labels_after_what_another_finding_advises() -> None:
    labels = [1] * 40 + [2] * 30 + [3] * 2
    for options in ({"loss": SPARSE, "head": (3, "softmax")}, {}):
        found = findings(labels, **options)
        assert set(found) == {"L104", "L701"}
        assert "Once they start at 0, pass class_weight={0: " in found["L701"].message
        assert set(found["L701"].evidence["class_weight"]) == {"0", "1", "2"}


# --- inputs that cannot be read --------------------------------------------------------------------------------


def test_inputs_that_cannot_be_read_are_one_finding() -> None:
    data = Data(x=np.arange(3.0).reshape(3, 1), y=np.array([0, 1, 0]), unreadable={"a/1.png": "it is empty"})
    message = findings(data)["L202"].message
    assert message.startswith("inputs: 1 of 3 cannot be read; expected an input for each label, got a/1.png: it is empty.")


# --- cost ------------------------------------------------------------------------------------------------------

MANY = 100_000
TEXTS = [f"n{number}" for number in range(MANY)]


@pytest.mark.parametrize(
    ("labels", "options"),
    [
        ([0, 1, 2], {"loss": SPARSE, "head": (300_000_000, "softmax")}),
        ([0, 1, 2], {"n_classes": 999_999_999_999}),
        ([0, 1, 2], {"n_classes": 999_999_999_999, "loss": "sparse_categorical_crossentropy"}),
        ([0, 1, 2], {"class_names": ["same"] * MANY}),
        ([0, 1, 2], {"class_names": TEXTS, "against": ClassMap.of(TEXTS[::-1])}),
        (TEXTS, {"class_names": TEXTS, "label_names": TEXTS[::-1]}),
        (["a|b", "n1"] * 1000, {"class_names": TEXTS}),
        (np.arange(MANY) * 2**40, {"loss": SPARSE, "head": (3, "softmax")}),
        (np.arange(MANY) / 3, {"loss": ONE_HOT, "head": (10**9, "softmax")}),
    ],
    ids=range(9),
)  # fmt: skip
def test_the_cost_goes_with_what_is_in_the_data(labels: Any, options: dict[str, Any]) -> None:
    start = time.process_time()
    assert check_labels(labels, **options) is not None
    assert time.process_time() - start < 3  # it takes a few tenths; a quadratic count took minutes


def test_a_difference_of_long_maps_is_found_at_once() -> None:
    start = time.process_time()
    assert "100000 changes in all" in differences(TEXTS, [f"m{number}" for number in range(MANY)])
    assert time.process_time() - start < 3


def test_all_digits_of_an_integer_are_told() -> None:
    message = findings(np.array([2**53 + 1, 0, 1]), loss=SPARSE, head=(3, "softmax"))["L103"].message
    assert "got 9007199254740993." in message


def test_digits_of_the_largest_integers_are_told_too() -> None:
    message = findings(np.array([2**64 - 1, 0, 1], np.uint64), loss=SPARSE, head=(3, "softmax"))["L103"].message
    assert "got 18446744073709551615." in message


def test_a_text_among_numbers_is_named() -> None:
    message = findings(["0", "1", "x", "2", "1.5"])["L110"].message
    assert "such as 'x' among numbers" in message
    assert "Correct the labels that are not numbers" in message


def test_labels_without_a_value_are_not_without_a_finding() -> None:
    assert "have the shape (3, 0), without a value" in findings(np.zeros((3, 0)), loss=SPARSE, head=3)["L202"].message


def test_half_a_character_is_not_a_class_name() -> None:
    with pytest.raises(UsageError, match="holds half a character"):
        ClassMap.of(["caf\udce9"])


@pytest.mark.parametrize("void", [-1, 255])
def test_two_findings_about_the_same_labels_do_not_advise_two_things(void: int) -> None:
    found = findings([0, 1, 2, void] * 3, loss=SPARSE, head=(3, "softmax"))
    assert "treat them as missing, as L102 says" in found["L103"].message
    assert f"pass ignore_class={void}" in found["L102"].message


@pytest.mark.parametrize("names", [(), tuple(NAMES)])
def test_no_text_at_all_has_no_example_of_a_separator(names: tuple[str, ...]) -> None:
    assert numbers_of(np.array([], "<U1").reshape(1, 0), names, separator="|").several == ""
