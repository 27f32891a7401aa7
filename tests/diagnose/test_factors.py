"""A constant times the other side."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosing import diagnosed, first
from make import BACKENDS, everywhere

GRADIENT = np.array([[0.5, -0.25], [0.125, 0.7]], np.float32)


def gradient(values: np.ndarray, **more: object) -> dict[str, object]:
    return {"observations": {"gradient/dense/kernel": values.astype(np.float32), **more}}


def test_a_gradient_with_the_opposite_sign_is_a_sign() -> None:
    found = first(everywhere(**gradient(GRADIENT)) | {"jax": gradient(-GRADIENT)})
    assert (found.code, found.backends) == ("sign", ("jax",))


@pytest.mark.parametrize("factor", [0.37, 2.0, 7.3, -0.5])
def test_a_gradient_times_a_constant_is_a_scale_with_the_constant(factor: float) -> None:
    found = first(everywhere(**gradient(GRADIENT)) | {"torch": gradient(factor * GRADIENT)})
    assert found.code == "scale"
    assert found.evidence["factor"] == pytest.approx(factor)


def test_a_factor_of_one_is_no_scale() -> None:
    """In float64, the rounding of float32 is a difference, and may be nearly along the numbers."""
    exact = GRADIENT.astype(np.float64)
    legs = {leg: {"observations": {"gradient/dense/kernel": exact * (1 + 3e-8 * (leg == "torch"))}} for leg in BACKENDS}
    assert "scale" not in diagnosed(legs)


def test_two_elements_show_no_factor() -> None:
    assert "scale" not in diagnosed(everywhere(**gradient(GRADIENT[:1])) | {"jax": gradient(3 * GRADIENT[:1])})


def test_a_factor_that_one_element_lacks_is_none() -> None:
    other = 2 * GRADIENT
    other[0, 0] = 0.5
    assert "scale" not in diagnosed(everywhere(**gradient(GRADIENT)) | {"jax": gradient(other)})


@pytest.mark.parametrize("factor", [-1.0, 0.0, 3.0])
def test_a_step_of_another_length_is_recognized_by_the_gradient_on_which_all_agree(factor: float) -> None:
    start = np.array([[1.0, 2.0], [3.0, -1.0]])
    legs = {
        leg: gradient(
            GRADIENT,
            **{"train/weight/dense/kernel": (start - 0.1 * GRADIENT * (factor if leg == "jax" else 1)).astype(np.float32)},
        )
        for leg in BACKENDS
    }
    found = first(legs)
    assert (found.code, found.backends) == ("scale", ("jax",))
    assert found.evidence["times the gradient"] == pytest.approx(0.1 * (1 - factor), abs=1e-5)
    assert ("short of" in found.message) == (factor < 1)


def test_weights_that_went_elsewhere_are_no_step_along_the_gradient() -> None:
    legs = {
        leg: gradient(GRADIENT, **{"train/weight/dense/kernel": (GRADIENT[::-1] if leg == "jax" else GRADIENT) * np.float32(2)})
        for leg in BACKENDS
    }
    assert "scale" not in diagnosed(legs)
