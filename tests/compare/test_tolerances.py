"""Which tolerance is in force, and who says so."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from backendcheck.case import Tolerance
from backendcheck.compare.tolerances import Override, Tolerances, coarser, default_tolerance
from backendcheck.vocabulary.observations import FLOW, Quantity

WIDE, NARROW = Tolerance(rtol=0.1, atol=0.01), Tolerance(rtol=1e-9, atol=0.0)
PRECISIONS = ("float64", "float32", "bfloat16", "float16")


def origin(observation: str = "loss", *, case: str = "a/b", by_case: dict | None = None, overrides: tuple = ()) -> str:
    return Tolerances(case=case, by_case=by_case or {}, overrides=overrides).allowed(observation, "float32").origin


# --- defaults --------------------------------------------------------------------------------------------------


def test_the_default_names_the_float_type_and_the_kind() -> None:
    assert origin("loss") == "default float32 loss"
    assert origin("train/weight/dense/kernel") == "default float32 trained weight"
    assert Tolerances(case="a/b").allowed("predictions/age", "bfloat16").origin == "default bfloat16 predictions"


def test_the_default_of_a_float32_loss_is_the_documented_one() -> None:
    assert default_tolerance(Quantity.LOSS, "float32") == Tolerance(rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", FLOW)
def test_a_coarser_float_type_is_allowed_more(kind: Quantity) -> None:
    by_precision = [default_tolerance(kind, precision) for precision in ("float64", "float32", "float16", "bfloat16")]
    assert all(a.rtol < b.rtol and a.atol < b.atol for a, b in pairwise(by_precision))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_default_is_above_the_rounding_of_its_float_type_and_below_one(precision: str) -> None:
    epsilon = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[precision]
    for kind in FLOW:
        assert 4 * epsilon < default_tolerance(kind, precision).rtol < 1.0


def test_a_gradient_of_float32_passes_healthy_noise_and_no_more() -> None:
    figures = default_tolerance(Quantity.GRADIENT, "float32")
    assert 9.4e-6 < figures.rtol < 1e-3  # the largest healthy difference that was measured, of the tensor's magnitude


@pytest.mark.parametrize(
    ("observation", "norm_wise"),
    [("gradient/y_pred", True), ("gradient/w", True), ("train/weight/w", True), ("loss", False), ("predictions", False),
     ("per_example_loss", False), ("train/loss", False), ("value/gradient", False)],
)  # fmt: skip
def test_gradients_and_trained_weights_are_measured_norm_wise(observation: str, norm_wise: bool) -> None:
    assert Tolerances(case="a/b").allowed(observation, "float32").norm_wise is norm_wise


def test_the_scale_of_a_gradient_is_its_largest_element() -> None:
    assert Tolerances(case="a/b").allowed("gradient/w", "float32").scale(np.array([0.0, 2.0])).tolist() == [2.0, 2.0]


def test_an_override_keeps_a_gradient_norm_wise() -> None:
    assert Tolerances(case="a/b", by_case={"*": WIDE}).allowed("gradient/w", "float32").norm_wise
    overrides = (Override(observation="*", tolerance=WIDE),)
    assert Tolerances(case="a/b", overrides=overrides).allowed("gradient/w", "float32").norm_wise


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [("float32", "float32", "float32"), ("float64", "float32", "float32"), ("float32", "float16", "float16"),
     ("bfloat16", "float16", "bfloat16"), ("int64", "float64", "float64"), ("int64", "text", "float32")],
)  # fmt: skip
def test_the_coarser_of_two_float_types_counts(left: str, right: str, expected: str) -> None:
    assert coarser(left, right) == coarser(right, left) == expected


# --- overrides -------------------------------------------------------------------------------------------------


def test_the_case_goes_before_the_project_and_the_project_before_the_default() -> None:
    project = (Override(observation="loss", tolerance=NARROW),)
    assert origin(by_case={"*": WIDE}, overrides=project) == "case"
    assert origin(overrides=project) == "pyproject.toml, loss"
    assert origin("predictions", overrides=project) == "default float32 predictions"


def test_the_tolerance_in_force_is_the_one_whose_origin_is_named() -> None:
    overrides = (Override(observation="*", tolerance=NARROW),)
    found = Tolerances(case="a/b", by_case={"loss*": WIDE}, overrides=overrides).allowed("loss", "float32")
    assert (found.tolerance, found.origin) == (WIDE, "case, loss*")


def test_the_most_specific_pattern_of_a_case_wins() -> None:
    by_case = {"*": NARROW, "gradient/*": NARROW, "gradient/dense/*": NARROW, "gradient/d": WIDE}
    assert origin("gradient/d", by_case=by_case) == "case, gradient/d"
    assert origin("gradient/dense/kernel", by_case=by_case) == "case, gradient/dense/*"
    assert origin("gradient/w", by_case=by_case) == "case, gradient/*"
    assert origin("loss", by_case=by_case) == "case"


def test_a_name_with_brackets_is_a_name_and_not_a_set_of_characters() -> None:
    assert origin("value/x[0]", by_case={"value/x[0]": WIDE}) == "case, value/x[0]"
    assert origin("value/x[0]", overrides=(Override(observation="value/x[0]", tolerance=WIDE),)) == "pyproject.toml, value/x[0]"
    assert origin(case="a/b[1]", overrides=(Override(observation="loss", case="a/b[1]", tolerance=WIDE),)).startswith("pyproject")


def test_a_project_override_can_be_for_some_cases_only() -> None:
    overrides = (Override(observation="loss", case="labels/*", tolerance=WIDE),)
    assert origin(case="labels/one_hot", overrides=overrides) == "pyproject.toml, loss"
    assert origin(case="other/one_hot", overrides=overrides) == "default float32 loss"


def test_the_first_project_override_that_matches_wins() -> None:
    overrides = (Override(observation="lo*", tolerance=WIDE), Override(observation="loss", tolerance=NARROW))
    assert Tolerances(case="a/b", overrides=overrides).allowed("loss", "float32").tolerance == WIDE


def test_patterns_tell_upper_from_lower_case() -> None:
    assert origin("loss/Age", by_case={"loss/age": WIDE}) == "default float32 loss"


# --- figures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("figure", [-1e-9, math.nan, math.inf, -math.inf, "1e-3", None, True])
@pytest.mark.parametrize("name", ["rtol", "atol"])
def test_a_tolerance_out_of_range_is_refused_by_name(name: str, figure: object) -> None:
    with pytest.raises(ValueError, match=f"Tolerance: {name} is out of range"):
        Tolerance(**({"rtol": 0.0, "atol": 0.0} | {name: figure}))


def test_one_part_of_a_tolerance_may_be_left_out() -> None:
    assert Tolerance(rtol=1e-3) == Tolerance(rtol=1e-3, atol=0.0)
    assert Tolerance(atol=1e-3) == Tolerance(rtol=0.0, atol=1e-3)
