"""Recording noise: what jitter does to numbers, and a noise floor measured through the front door."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backendcheck.record.observe.perturbation import jittered

# --- one unit in the last place ------------------------------------------------------------------------------------


def moved(array: np.ndarray, **options: Any) -> np.ndarray:
    return jittered(array, np.random.default_rng(1), **({"fed_as": "float32"} | options))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_element_moves_by_one_unit_up_or_down(dtype: str) -> None:
    array = np.random.default_rng(0).normal(size=400).astype(dtype)
    after = moved(array, fed_as=dtype)
    up, down = np.nextafter(array, array.dtype.type(np.inf)), np.nextafter(array, array.dtype.type(-np.inf))
    assert after.dtype == array.dtype
    assert ((after == up) | (after == down)).all()
    assert 150 < np.count_nonzero(after == up) < 250


def test_float64_data_moves_by_what_a_float32_session_can_tell() -> None:
    array = np.random.default_rng(0).normal(size=100)
    after = moved(array)
    assert after.dtype == np.float64
    fed, fed_after = array.astype(np.float32), after.astype(np.float32)
    assert (np.abs(fed_after - fed) <= np.spacing(np.abs(fed))).all()
    assert (fed_after != fed).all()


@pytest.mark.parametrize(("precision", "bits"), [("bfloat16", 8), ("float16", 11)])
def test_the_unit_is_that_of_the_type_a_model_computes_in(precision: str, bits: int) -> None:
    array = np.random.default_rng(0).uniform(1.0, 2.0, 100).astype(np.float32)
    np.testing.assert_allclose(np.abs(moved(array, computed_in=precision) - array), 2.0 ** (1 - bits), rtol=1e-3)


def test_what_is_not_finite_stays_and_nothing_becomes_so() -> None:
    array = np.array([np.nan, np.inf, -np.inf, np.finfo(np.float32).max, np.finfo(np.float32).min] * 8, np.float32)
    after = moved(array)
    assert np.isnan(after[::5]).all()
    np.testing.assert_array_equal(np.isfinite(after), np.isfinite(array))


def test_whole_numbers_among_the_inputs_of_a_model_stay() -> None:
    array = np.array([0.0, -1.0, 7.0, 0.5, 1e9], np.float32)
    np.testing.assert_array_equal(moved(array, codes=True) != array, [False, False, False, True, False])
    assert (moved(array) != array).all()


# --- through the front door ------------------------------------------------------------------------------------------
