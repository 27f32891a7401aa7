"""Two arrays compared: structure before values, everything in float64."""

from __future__ import annotations

from dataclasses import replace

import make
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from make import observation

from backendcheck.case import Tolerance
from backendcheck.compare.arrays import compare_observations
from backendcheck.compare.findings import Comparison, Pairing
from backendcheck.compare.tolerances import Allowed
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import Observation, Quantity, flow_key, quantity_of
from backendcheck.vocabulary.sides import Side

by_element = Allowed(tolerance=Tolerance(rtol=1e-3, atol=1e-6), origin="test", norm_wise=False)
norm_wise = replace(by_element, norm_wise=True)


def all_of(left: object, right: object, allowance: Allowed = by_element, **more: object) -> list[Comparison]:
    values = tuple(one if isinstance(one, Observation) else observation(one) for one in (left, right))
    expected = more.pop("expected", None)
    name = more.pop("name", "value/x")
    assert not more
    expected = None if expected is None else np.asarray(expected)
    pairing = Pairing(oracle=Oracle.AGREEMENT, observation=name, left=Side("jax"), right=Side("torch"))
    return compare_observations(pairing, values, allowance, expected)


def one_of(left: object, right: object, allowance: Allowed = by_element, **more: object) -> Comparison:
    (found,) = all_of(left, right, allowance, **more)
    return found


# --- values ----------------------------------------------------------------------------------------------------


def test_equal_numbers_are_no_finding_and_have_no_excess() -> None:
    found = one_of([1.0, 2.0], [1.0, 2.0])
    assert (make.kind(found), found.excess, found.n_elements, found.n_different) == (None, 0.0, 2, 0)


def test_a_difference_within_tolerance_is_kept_as_an_excess_below_one() -> None:
    found = one_of(np.array([1000.0]), np.array([1000.5]))
    assert make.kind(found) is None
    assert found.excess == pytest.approx(0.5 / (1e-6 + 1e-3 * 1000.5))


def test_a_difference_beyond_tolerance_is_a_finding_at_its_worst_element() -> None:
    found = one_of(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 2.02], [3.3, 4.0]]))
    assert make.kind(found) == "value"
    assert (found.worst_index, found.worst_left, found.worst_right) == ((1, 0), 3.0, 3.3)
    assert (found.n_different, found.n_elements) == (2, 4)
    assert found.max_abs == pytest.approx(0.3)
    assert "2 of 4 differ, worst at [1, 0]: 3 on jax, 3.3 on torch" in found.message


def test_exactly_the_allowed_difference_is_allowed() -> None:
    exactly = replace(by_element, tolerance=Tolerance(rtol=0.0, atol=0.25))
    assert make.kind(one_of(np.array([1.0]), np.array([1.25]), exactly)) is None
    assert make.kind(one_of(np.array([1.0]), np.array([1.25 + 2e-16]), exactly)) == "value"


def test_the_larger_magnitude_of_the_two_sides_counts() -> None:
    relative = replace(by_element, tolerance=Tolerance(rtol=0.5, atol=0.0))
    assert one_of(np.array([1.0]), np.array([2.0]), relative).excess == 1.0
    assert one_of(np.array([2.0]), np.array([1.0]), relative).excess == 1.0


def test_zero_tolerance_asks_for_equality() -> None:
    exact = replace(by_element, tolerance=Tolerance(rtol=0.0, atol=0.0))
    assert make.kind(one_of(np.array([1.0]), np.array([1.0]), exact)) is None
    found = one_of(np.array([1.0]), np.array([np.nextafter(1.0, 2.0)]), exact)
    assert (make.kind(found), found.excess) == ("value", np.inf)


def test_minus_zero_equals_zero() -> None:
    exact = replace(by_element, tolerance=Tolerance(rtol=0.0, atol=0.0))
    assert make.kind(one_of(np.array([0.0]), np.array([-0.0]), exact)) is None


def test_a_flipped_sign_is_a_finding_whatever_the_magnitude() -> None:
    assert make.kind(one_of(np.array([1e-3, 1e3]), np.array([-1e-3, 1e3]))) == "value"


def test_numbers_too_large_to_be_subtracted_are_a_finding() -> None:
    found = one_of(np.array([1e308]), np.array([-1e308]))
    assert (make.kind(found), found.excess) == ("value", np.inf)


def test_small_floats_are_compared_in_float64() -> None:
    left, right = np.array([60000.0], np.float16), np.array([-60000.0], np.float16)
    found = one_of(left, right)  # the difference is beyond float16
    assert (make.kind(found), found.max_abs) == ("value", 2 * float(left[0]))


finite = hnp.arrays(np.float64, 4, elements=st.floats(-1e6, 1e6))
tolerances = st.builds(Tolerance, rtol=st.just(0.0) | st.floats(1e-12, 0.1), atol=st.just(0.0) | st.floats(1e-12, 1.0))
anything = st.sampled_from(
    [
        np.array([1.0, 2.0]), np.array([2.0, 1.0]), np.array([1.0, np.nan]), np.array([np.inf, 2.0]), np.array([-np.inf, 2.0]),
        np.array([1.0]), np.array([1, 2]), np.array([2, 1]), np.array([True, False]), np.array([1, 2], np.int32),
        np.array([1, 2], np.float32), np.array(["a", "b"]), np.array(["b", "a"]), np.array(["a", "c"]), np.zeros((0,)),
    ]
)  # fmt: skip


@given(left=finite, right=finite, tolerance=tolerances, gradient=st.booleans())
def test_the_excess_is_symmetric(left: np.ndarray, right: np.ndarray, tolerance: Tolerance, gradient: bool) -> None:
    allowance = Allowed(tolerance=tolerance, origin="test", norm_wise=gradient)
    one, other = one_of(left, right, allowance), one_of(right, left, allowance)
    measured = [(make.kind(c), c.excess, c.n_different, c.max_abs) for c in (one, other)]
    assert measured[0] == measured[1]


@given(left=anything, right=anything)
def test_the_kinds_of_finding_are_symmetric(left: np.ndarray, right: np.ndarray) -> None:
    kinds = [make.kind(found) for found in all_of(left, right)]
    assert kinds == [make.kind(found) for found in all_of(right, left)]


@given(value=anything)
def test_an_array_never_differs_from_itself_but_by_nan_and_inf(value: np.ndarray) -> None:
    expected = "non-finite" if value.dtype.kind == "f" and not np.isfinite(value).all() else None
    assert make.kind(one_of(value, value.copy())) == expected


@given(left=finite, right=finite, tolerance=tolerances, factor=st.sampled_from([2.0, 8.0, 1024.0]), gradient=st.booleans())
def test_the_excess_scales_with_the_tolerance(
    left: np.ndarray, right: np.ndarray, tolerance: Tolerance, factor: float, gradient: bool
) -> None:
    # Of numbers this small a tolerance is subnormal, and has no digits left to scale.
    assume(all(np.all((array == 0) | (np.abs(array) > 1e-250)) for array in (left, right)))
    wide = Tolerance(rtol=factor * tolerance.rtol, atol=factor * tolerance.atol)
    narrow, wider = (
        one_of(left, right, Allowed(tolerance=one, origin="test", norm_wise=gradient)).excess for one in (tolerance, wide)
    )
    assert narrow == pytest.approx(factor * wider)


@given(left=finite, right=finite, tolerance=tolerances)
def test_it_is_a_finding_exactly_if_an_element_is_beyond_the_formula(
    left: np.ndarray, right: np.ndarray, tolerance: Tolerance
) -> None:
    bound = tolerance.atol + tolerance.rtol * np.maximum(np.abs(left), np.abs(right))
    beyond = np.abs(left - right) > bound * (1 + 1e-12)
    within = np.abs(left - right) < bound * (1 - 1e-12)
    found = one_of(left, right, Allowed(tolerance=tolerance, origin="test", norm_wise=False))
    if beyond.any():
        assert make.kind(found) == "value"
    elif (within | (left == right)).all():
        assert make.kind(found) is None


# --- gradients -------------------------------------------------------------------------------------------------


def test_a_gradient_is_measured_by_the_largest_element_of_its_tensor() -> None:
    left, right = np.array([1e-5, 1.0]), np.array([2e-5, 1.0])
    assert make.kind(one_of(left, right, norm_wise)) is None
    assert make.kind(one_of(left, right, by_element)) == "value"


def test_a_gradient_that_lost_an_element_of_ordinary_size_is_a_finding() -> None:
    assert make.kind(one_of(np.array([0.0, 1.0]), np.array([0.01, 1.0]), norm_wise)) == "value"


def test_a_gradient_that_is_zero_on_one_side_is_a_finding() -> None:
    assert make.kind(one_of(np.zeros(3), np.full(3, 0.1), norm_wise)) == "value"


# --- NaN and Inf -----------------------------------------------------------------------------------------------

BAD = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("bad", BAD)
def test_a_non_finite_number_on_one_side_is_a_finding(bad: float) -> None:
    found = one_of(np.array([1.0, bad]), np.array([1.0, 2.0]))
    assert (make.kind(found), found.worst_index, found.n_different) == ("non-finite", (1,), 1)
    assert "on jax" in found.message
    assert "finite on torch" in found.message


@pytest.mark.parametrize("bad", BAD)
def test_a_non_finite_number_on_both_sides_alike_is_a_finding(bad: float) -> None:
    assert make.kind(one_of(np.array([1.0, bad]), np.array([1.0, bad]))) == "non-finite"


@pytest.mark.parametrize("bad", BAD)
def test_a_result_that_is_non_finite_throughout_is_a_finding(bad: float) -> None:
    assert make.kind(one_of(np.full(3, bad), np.full(3, bad))) == "non-finite"
    assert make.kind(one_of(np.full(3, bad), np.full(3, bad), norm_wise)) == "non-finite"


@pytest.mark.parametrize("bad", BAD)
def test_a_non_finite_number_is_allowed_where_the_reference_has_the_same(bad: float) -> None:
    both = np.array([1.0, bad])
    found = one_of(both, both, expected=[7.0, bad])
    assert (make.kind(found), found.excess) == (None, 0.0)


@pytest.mark.parametrize("bad", BAD)
def test_a_reference_that_expects_it_does_not_excuse_the_side_without_it(bad: float) -> None:
    assert make.kind(one_of(np.array([1.0, bad]), np.array([1.0, 2.0]), expected=[1.0, bad])) == "non-finite"


def test_a_reference_that_expects_it_elsewhere_excuses_nothing() -> None:
    both = np.array([1.0, np.nan])
    assert make.kind(one_of(both, both, expected=[np.nan, 1.0])) == "non-finite"


def test_infinities_of_opposite_sign_are_a_finding_even_if_the_reference_expects_one() -> None:
    assert make.kind(one_of(np.array([np.inf]), np.array([-np.inf]), expected=[np.inf])) == "non-finite"


def test_nan_is_not_infinity() -> None:
    assert make.kind(one_of(np.array([np.inf]), np.array([np.nan]), expected=[np.nan])) == "non-finite"


def test_finite_elements_beside_an_expected_nan_are_still_compared() -> None:
    found = one_of(np.array([np.nan, 1.0]), np.array([np.nan, 2.0]), expected=[np.nan, 1.0])
    assert (make.kind(found), found.worst_index) == ("value", (1,))


def test_a_message_tells_nan_from_inf() -> None:
    found = one_of(np.array([np.nan, np.nan, 0.0]), np.array([np.inf, 0.0, 0.0]))
    assert found.message == "2 of 3 are NaN on jax, 1 of 3 are Inf on torch"


# --- structure -------------------------------------------------------------------------------------------------


def test_another_shape_is_a_finding_and_no_value_is_compared() -> None:
    found = one_of(np.zeros((2, 3)), np.zeros((3, 2)))
    assert (make.kind(found), found.excess) == ("shape", None)
    assert found.message == "shape (2, 3) on jax, (3, 2) on torch"


def test_shapes_that_broadcast_are_different_shapes() -> None:
    assert make.kind(one_of(np.zeros((1, 3)), np.zeros(3))) == "shape"
    assert make.kind(one_of(np.zeros(()), np.zeros(1))) == "shape"


def test_another_dtype_is_a_finding_beside_equal_values() -> None:
    dtype, values = all_of(np.array([1, 2], np.int32), np.array([1, 2], np.int64))
    assert (make.kind(dtype), make.kind(values)) == ("dtype", None)
    assert dtype.message == "dtype int32 on jax, int64 on torch"


def test_another_dtype_does_not_hide_other_values() -> None:
    assert [make.kind(found) for found in all_of(np.array([1, 2], np.int32), np.array([1, 3]))] == ["dtype", "value"]
    assert [make.kind(found) for found in all_of(np.array([1.0, 2.0]), np.array([1, 3]))] == ["dtype", "value"]
    assert [make.kind(found) for found in all_of(np.array([1.0, np.nan]), np.array([1, 3]))] == ["dtype", "non-finite"]


def test_the_computed_dtype_counts_not_the_stored_one() -> None:
    widened = observation(np.array([1.0], np.float32), "bfloat16")
    assert [make.kind(found) for found in all_of(widened, np.array([1.0], np.float32))] == ["dtype", None]


def test_text_is_not_compared_with_numbers() -> None:
    assert [make.kind(found) for found in all_of(["1", "2"], [1, 2])] == ["dtype"]
    assert [make.kind(found) for found in all_of([1, 2], ["1", "2"])] == ["dtype"]


def test_empty_arrays_are_not_compared() -> None:
    found = one_of(np.zeros((0, 3)), np.zeros((0, 3)))
    assert make.kind(found) is None
    assert not found.compared


def test_empty_arrays_of_different_shape_are_a_finding() -> None:
    assert make.kind(one_of(np.zeros((0, 3)), np.zeros((0, 2)))) == "shape"


# --- exact -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right"),
    [([1, 2, 3], [1, 2, 4]), ([True, False], [True, True]), (["cat", "dog"], ["cat", "fox"]), (7, 8), ("a", "b")],
)
def test_ints_bools_and_text_are_exact(left: object, right: object) -> None:
    found = one_of(left, right)
    assert (make.kind(found), found.n_different, found.excess) == ("value", 1, None)


def test_neighboring_integers_beyond_float64_differ() -> None:
    assert make.kind(one_of(np.array([2**53]), np.array([2**53 + 1]))) == "value"
    assert make.kind(one_of(np.array([2**64 - 1], np.uint64), np.array([2**64 - 2], np.uint64))) == "value"


def test_an_exact_difference_names_the_first_place() -> None:
    found = one_of([[1, 2], [3, 4]], [[1, 2], [5, 6]])
    assert (found.worst_index, found.worst_left, found.worst_right) == ((1, 0), 3, 5)
    assert found.message == "2 of 4 differ, first at [1, 0]: 3 on jax, 5 on torch"


def test_the_same_names_in_another_order_are_an_order_finding() -> None:
    found = one_of(["cat", "dog", "fox"], ["dog", "fox", "cat"])
    assert make.kind(found) == "order"
    assert found.message == "cat, dog, fox on jax; dog, fox, cat on torch"


def test_other_names_are_a_value_finding() -> None:
    assert make.kind(one_of(["cat", "dog"], ["dog", "eel"])) == "value"
    assert make.kind(one_of(["cat", "cat", "dog"], ["cat", "dog", "dog"])) == "value"


def test_integers_in_another_order_are_a_value_finding() -> None:
    assert make.kind(one_of([1, 2], [2, 1])) == "value"  # they may be classes of examples


def test_the_order_of_outputs_is_an_order_finding() -> None:
    assert make.kind(one_of(["age", "Stage"], ["Stage", "age"], name="output_order")) == "order"


def test_a_text_of_many_names_is_not_listed_in_full() -> None:
    names = [f"word{n}" for n in range(40)]
    found = one_of(names, names[::-1])
    assert make.kind(found) == "order"
    assert len(found.message) < 120


# --- vocabulary ------------------------------------------------------------------------------------------------


def test_every_finding_has_a_documented_kind_and_oracle() -> None:
    assert {*FindingKind} == {"missing", "raised", "shape", "dtype", "non-finite", "order", "value"}
    assert {*Oracle} == {"agreement", "paths", "order", "reference", "expectation"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("loss", Quantity.LOSS),
        ("loss/age", Quantity.LOSS),
        ("train/loss", Quantity.TRAIN_LOSS),
        ("train/metric/accuracy", Quantity.TRAIN_METRIC),
        ("train/weight/dense/kernel", Quantity.TRAIN_WEIGHT),
        ("gradient/dense/kernel", Quantity.GRADIENT),
        ("predicted_class/age", Quantity.PREDICTED_CLASS),
        ("predictions", Quantity.PREDICTIONS),
        ("output_order", Quantity.OUTPUT_ORDER),
        ("value/loss", Quantity.VALUE),
        ("lossy", Quantity.VALUE),
        ("train", Quantity.VALUE),
        ("something else", Quantity.VALUE),
    ],
)
def test_the_kind_of_an_observation_is_read_off_its_name(name: str, kind: Quantity) -> None:
    assert quantity_of(name) is kind


def test_observations_are_reported_in_the_order_of_the_computation() -> None:
    names = ["train/weight/w", "gradient/a", "loss", "gradient/y_pred", "predictions", "predicted_class", "output_order"]
    expected = ["output_order", "predictions", "predicted_class", "loss", "gradient/y_pred", "gradient/a", "train/weight/w"]
    assert sorted(names, key=flow_key) == expected
