"""Directions along which gradients by weights are compared with finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from backendcheck.reference.directions import N_DIRECTIONS, of_unit_length, random_directions, slopes


def test_directions_are_the_same_for_the_same_seed_and_variable_and_no_other() -> None:
    first = random_directions(3, "dense/kernel", (4, 5))
    assert first.dtype == np.int8
    assert first.shape == (N_DIRECTIONS, 4, 5)
    np.testing.assert_array_equal(first, random_directions(3, "dense/kernel", (4, 5)))
    others = [
        random_directions(4, "dense/kernel", (4, 5)),
        random_directions(3, "head/kernel", (4, 5)),
        random_directions(3, "dense/kernel", (5, 4)).swapaxes(1, 2),
    ]
    assert not any(np.array_equal(first, other) for other in others)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 2)])
def test_the_slopes_of_a_few_weights_are_their_gradient(shape: tuple[int, ...]) -> None:
    gradient = np.arange(1, 1 + int(np.prod(shape, dtype=int)), dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(slopes(gradient, random_directions(0, "bias", shape)), gradient.ravel())


def test_a_slope_is_that_along_a_unit_vector() -> None:
    directions = random_directions(0, "kernel", (6, 7))
    ways = of_unit_length(directions)
    np.testing.assert_allclose(np.sqrt((ways**2).sum(axis=(1, 2))), 1.0)
    gradient = np.random.default_rng(0).normal(size=(6, 7)).astype(np.float32)
    expected = [float((gradient.astype(np.float64) * way).sum()) for way in ways]
    np.testing.assert_allclose(slopes(gradient, directions), expected, rtol=1e-12)


def test_noise_is_as_large_in_a_slope_as_in_an_element_and_one_wrong_element_is_seen() -> None:
    generator = np.random.default_rng(1)
    directions = random_directions(0, "kernel", (40, 50))
    gradient = generator.uniform(-1, 1, (40, 50))
    noise = 1e-6 * generator.normal(size=(400, 40, 50))
    moved = [slopes(gradient + one, directions) - slopes(gradient, directions) for one in noise]
    assert np.std(moved) == pytest.approx(1e-6, rel=0.1)
    exchanged = gradient.copy()
    exchanged[:, [3, 4]] = exchanged[:, [4, 3]]
    assert np.abs(slopes(exchanged, directions) - slopes(gradient, directions)).max() > 1e-2
    wrong = gradient.copy()
    wrong[7, 7] += 0.5
    assert np.abs(slopes(wrong, directions) - slopes(gradient, directions)).max() > 1e-3
