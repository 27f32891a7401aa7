"""Differences in the last digits, and what is said where nothing fits."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosing import diagnosed, first
from hypothesis import given, settings
from hypothesis import strategies as st
from make import everywhere, observation

from backendcheck.diagnose.evidence.float_formats import rounded

VALUES = np.random.default_rng(0).standard_normal((8, 4))


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_predictions_rounded_to_a_coarser_format_name_it(name: str) -> None:
    found = first(
        everywhere(predictions=VALUES.astype(np.float32)) | {"jax": {"predictions": rounded(VALUES, name).astype(np.float32)}}
    )
    assert (found.code, found.backends, found.evidence["format"]) == ("precision", ("jax",), name)


def test_float32_where_float64_was_asked_for_is_a_precision() -> None:
    legs = everywhere(predictions=VALUES, settings={"floatx": "float64"})
    legs = {leg: given | {"predictions": observation(VALUES)} for leg, given in legs.items()}
    for leg, given_ in legs.items():
        values = VALUES.astype(np.float32).astype(np.float64) if leg == "torch" else VALUES
        given_["predictions"] = observation(np.array(values, np.float64))
    found = first(legs)
    assert (found.code, found.backends, found.evidence["format"]) == ("precision", ("torch",), "float32")


def test_a_product_computed_in_tf32_is_recognized_by_the_size_of_its_error() -> None:
    rng = np.random.default_rng(1)
    off = VALUES * (1 + 2.0**-11 * rng.uniform(0.5, 1, VALUES.shape) * rng.choice([-1, 1], VALUES.shape))
    found = first(everywhere(predictions=VALUES.astype(np.float32)) | {"jax": {"predictions": off.astype(np.float32)}})
    assert (found.code, found.backends) == ("precision", ("jax",))
    assert "TF32" in found.message


def test_short_fractions_prove_no_format() -> None:
    halves = np.round(VALUES * 2) / 2
    found = diagnosed(
        everywhere(predictions=halves.astype(np.float32)) | {"jax": {"predictions": (halves + 0.5).astype(np.float32)}}
    )
    assert "precision" not in found


def test_noise_above_tolerance_says_how_far() -> None:
    other = VALUES.copy()
    other[3, 2] += 5 * (1e-6 + 1e-5 * abs(other[3, 2]))
    found = first(everywhere(predictions=VALUES.astype(np.float32)) | {"torch": {"predictions": other.astype(np.float32)}})
    assert found.code == "rounding"
    assert 4 < found.evidence["excess"] < 6
    assert "noise just above its tolerance" in found.message


def test_what_is_far_outside_tolerance_is_no_rounding() -> None:
    other = VALUES.copy()
    other[3, 2] += 30 * (1e-6 + 1e-5 * abs(other[3, 2]))
    assert list(
        diagnosed(everywhere(predictions=VALUES.astype(np.float32)) | {"jax": {"predictions": other.astype(np.float32)}})
    ) == ["unexplained"]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 2.0, 5.0, 10.0]), st.sampled_from([1e-3, 1.0, 10.0]), st.integers(2, 3))
def test_noise_of_up_to_ten_times_the_floor_is_never_named(seed: int, times: float, size: float, n_legs: int) -> None:
    """The floor is about a tenth of what is allowed: docs/tolerances.md."""
    rng = np.random.default_rng(seed)
    z = size * rng.standard_normal((8, 4))
    losses = np.abs(z).mean(axis=1)
    legs = {}
    for leg in ("tensorflow", "jax", "torch")[:n_legs]:
        noise = [times / 10 * (1e-6 + 1e-5 * np.abs(x)) * rng.standard_normal(x.shape) for x in (z, losses)]
        legs[leg] = {"predictions": (z + noise[0]).astype(np.float32), "per_example_loss": (losses + noise[1]).astype(np.float32)}
    assert {*diagnosed(legs)} <= {"rounding", "unexplained"}


def test_what_nothing_explains_is_described_by_elements_examples_and_classes() -> None:
    other = VALUES.copy()
    other[[1, 5], 2] += [0.5, -0.25]
    found = first(everywhere(predictions=VALUES.astype(np.float32)) | {"jax": {"predictions": other.astype(np.float32)}})
    assert (found.code, found.backends) == ("unexplained", ("jax",))
    assert (found.evidence["elements"], found.evidence["examples"], found.evidence["classes"]) == ("2 of 32", [1, 5], [2])


FEW = np.float32([0.6520058, 0.6931472, 0.3566749])


def test_a_few_values_that_are_exactly_rounded_prove_the_format() -> None:
    legs = everywhere(per_example_loss=FEW) | {"jax": {"per_example_loss": FEW.astype(np.float16).astype(np.float32)}}
    found = first(legs)
    assert (found.code, found.backends, found.evidence["format"]) == ("precision", ("jax",), "float16")


@pytest.mark.parametrize(
    ("values", "rounded_values"),
    [
        ([0.50002, 0.25001, 0.6], [0.5, 0.25, 0.6]),
        ([0.6520058, 0.6931472, 0.3566749], [0.65185547, 0.6933594, 0.35742188]),
        ([0.6520058, 0.7, 0.8], [0.65185547, 0.7, 0.8]),
    ],
    ids=["short fractions", "one is a step off", "a single value"],
)
def test_a_few_values_near_a_format_prove_nothing(values: list[float], rounded_values: list[float]) -> None:
    legs = everywhere(per_example_loss=np.float32(values)) | {"jax": {"per_example_loss": np.float32(rounded_values)}}
    assert "precision" not in diagnosed(legs)


def off(size: float, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (VALUES * (1 + size * rng.uniform(0.3, 1, VALUES.shape) * rng.choice([-1, 1], VALUES.shape))).astype(np.float32)


def test_a_single_backend_that_is_off_everywhere_computes_in_a_coarser_format() -> None:
    legs = {"tensorflow": off(1e-8), "jax": off(5e-5), "torch": off(1e-8, 4)}
    found = first({leg: {"predictions": p, "per_example_loss": (p**2).mean(axis=1)} for leg, p in legs.items()})
    assert (found.code, found.backends) == ("precision", ("jax",))
    assert "far more than the other backends do from each other" in found.message


@pytest.mark.parametrize(
    "legs",
    [
        {"tensorflow": off(1e-8), "jax": off(5e-5)},
        {"tensorflow": off(3e-5), "jax": off(5e-5, 4), "torch": off(3e-5, 5)},
        {"tensorflow": off(1e-8), "jax": off(5e-5), "torch": off(1e-8, 4), "losses": off(1e-8)},
        {"tensorflow": off(1e-8), "jax": (VALUES * (1 + 5e-5)).astype(np.float32), "torch": off(1e-8)},
    ],
    ids=["two backends", "all are off", "nothing that follows is off", "a factor"],
)
def test_what_is_not_alone_or_not_everywhere_is_not(legs: dict[str, np.ndarray]) -> None:
    losses = {leg: (legs.get("losses", p) ** 2).mean(axis=1) for leg, p in legs.items()}
    by_leg = {leg: {"predictions": p, "per_example_loss": losses[leg]} for leg, p in legs.items() if leg != "losses"}
    assert "precision" not in diagnosed(by_leg)


def test_the_same_values_in_other_places_are_not_computed_in_another_format() -> None:
    near = (0.55 + 1e-3 * VALUES).astype(np.float32)
    legs = everywhere(predictions=near) | {"jax": {"predictions": near[::-1].copy()}}
    assert "precision" not in diagnosed(legs)
