"""Numbers compared: shortcuts, pieces of large arrays, and what is too large for either give what the formula gives."""

from __future__ import annotations

from dataclasses import replace

import make
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from backendcheck.case import Tolerance
from backendcheck.compare import numbers
from backendcheck.compare.findings import Comparison, Pairing
from backendcheck.compare.tolerances import Allowed
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.sides import Side

PIECE = numbers._PIECE
by_element = Allowed(tolerance=Tolerance(rtol=1e-3, atol=1e-6), origin="test", norm_wise=False)
norm_wise = replace(by_element, norm_wise=True)
allowances = pytest.mark.parametrize("allowance", [by_element, norm_wise], ids=["by element", "by tensor"])


def compared(left: np.ndarray, right: np.ndarray, allowance: Allowed) -> Comparison:
    pairing = Pairing(oracle=Oracle.AGREEMENT, observation="value/x", left=Side("jax"), right=Side("torch"))
    return numbers.compare_numbers(pairing, left, right, allowance)


def by_the_formula(left: np.ndarray, right: np.ndarray, allowance: Allowed) -> tuple[float, float, int]:
    """The excess, the largest difference, and how many elements differ."""
    left, right = left.astype(np.float64), right.astype(np.float64)
    with np.errstate(all="ignore"):
        difference = np.abs(left - right)
        scale = allowance.scale(np.maximum(np.abs(left), np.abs(right)))
        excess = np.where(difference > 0, difference / (allowance.tolerance.atol + allowance.tolerance.rtol * scale), 0.0)
    return excess.max(), difference.max(), int((excess > 1).sum())


values = st.sampled_from([0.0, -0.0, 1.0, 1.0005, -1.0, 1.5, 1e-7, 3e4, 1e-30]) | st.floats(-60000, 60000, width=16)


@given(data=st.data(), shape=hnp.array_shapes(max_dims=3, max_side=4), dtypes=st.tuples(*[st.sampled_from("efdl")] * 2))
@allowances
def test_a_comparison_is_what_the_formula_says(data: st.DataObject, shape: tuple, dtypes: tuple, allowance: Allowed) -> None:
    left, right = (data.draw(hnp.arrays(np.float64, shape, elements=values)).astype(dtype) for dtype in dtypes)
    result = compared(left, right, allowance)
    excess, largest, n_different = by_the_formula(left, right, allowance)
    assert result.excess == pytest.approx(excess)
    assert (result.max_abs, result.n_different) == (largest, n_different)
    assert make.kind(result) == ("value" if result.excess > 1 else None)
    if n_different:
        assert (result.worst_left, result.worst_right) == (left[result.worst_index], right[result.worst_index])


@pytest.mark.parametrize("magnitude", [1.0, 1e-42, 3e37, 2e38])
def test_the_worst_of_differences_that_are_one_in_float32_is_found_in_a_large_array(magnitude: float) -> None:
    left = np.full(PIECE + 9, magnitude, np.float32)
    right = np.zeros(PIECE + 9, np.float32)
    right[PIECE + 4] = -magnitude * 1e-12 or -1e-45  # the difference rounds to that of the others, or is denormal
    result = compared(left, right, norm_wise)
    differences = left.astype(np.float64) - right
    assert result.worst_index == (int(differences.argmax()),)
    assert result.max_abs == differences.max()


@allowances
@pytest.mark.parametrize("place", [0, PIECE - 1, PIECE, 2 * PIECE + 5])
def test_the_worst_element_of_a_large_array_is_found_in_each_piece(place: int, allowance: Allowed) -> None:
    left = np.linspace(1, 2, 3 * PIECE, dtype=np.float32).reshape(3, PIECE)
    right = left.copy()
    right.ravel()[[place, 7]] += np.float32([0.5, 0.1])
    result = compared(left, right, allowance)
    assert result.worst_index == (place // PIECE, place % PIECE)
    assert (result.excess, result.max_abs, result.n_different) == pytest.approx(by_the_formula(left, right, allowance))


@allowances
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_in_the_last_piece_of_a_large_array_is_a_finding(value: float, allowance: Allowed) -> None:
    left = np.ones(2 * PIECE + 1, np.float32)
    right = left.copy()
    right[-1] = value
    result = compared(left, right, allowance)
    assert (make.kind(result), result.worst_index, result.n_different) == ("non-finite", (2 * PIECE,), 1)
    assert make.kind(compared(right, right, allowance)) == "non-finite", "the same array on both sides"


@allowances
def test_numbers_that_are_farther_apart_than_the_largest_number_differ(allowance: Allowed) -> None:
    result = compared(np.array([1e308, 1.0]), np.array([-1e308, 1.0]), allowance)
    assert (make.kind(result), result.max_abs, result.n_different) == ("value", np.inf, 1)


@allowances
def test_magnitudes_near_the_largest_number_are_compared_as_any(allowance: Allowed) -> None:
    left, right = np.array([1e200, 1.0]), np.array([1.5e200, 1.0])
    result = compared(left, right, allowance)
    assert (result.excess, result.max_abs, result.n_different) == pytest.approx(by_the_formula(left, right, allowance))


@allowances
def test_complex_numbers_in_a_damaged_file_are_compared_by_their_real_part(allowance: Allowed) -> None:
    left, right = np.array([1 + 2j, 2 + 1j], np.complex64), np.array([1.0, 3.0], np.float32)
    with pytest.warns(np.exceptions.ComplexWarning):
        assert compared(left, right, allowance).max_abs == 1.0
