"""Directions along which the gradient of a variable is held against finite differences.

To difference a loss by every weight takes an evaluation or more for each. A wrong gradient shows along nearly every direction,
so that a few of them will do: where g is wrong by e, the slope along d is off by <e, d>.
"""

from __future__ import annotations

import hashlib

import numpy as np

N_DIRECTIONS = 3
# Whole numbers, so that a direction takes a byte for each weight and is the same on every machine. Their magnitudes differ:
# along a direction of +1 and -1 every second pair of weights that are exchanged would go unnoticed.
_LARGEST = 127


def random_directions(seed: int, path: str, shape: tuple[int, ...]) -> np.ndarray:
    """The directions for a variable of this path and shape, int8, (K, *shape): the same on every backend.

    K is `N_DIRECTIONS`. A variable of no more elements than that has one along each element, so that the slopes are its
    gradient.
    """
    n = int(np.prod(shape, dtype=int))
    if n <= N_DIRECTIONS:
        return np.eye(n, dtype=np.int8).reshape(n, *shape)
    key = hashlib.sha256(f"direction\0{seed}\0{path}\0{shape}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(key[:16], "little"))
    return generator.integers(-_LARGEST, _LARGEST, (N_DIRECTIONS, *shape), dtype=np.int8, endpoint=True)


def of_unit_length(directions: np.ndarray) -> np.ndarray:
    """`directions`, (K, *shape), in float64 with a Euclidean norm of 1 each.

    Then independent rounding of the elements of a gradient has the same standard deviation in a slope as in an element, and the
    tolerance of the elements does for slopes.
    """
    ways = directions.astype(np.float64).reshape(len(directions), -1)
    norms = np.linalg.norm(ways, axis=1, keepdims=True)
    return (ways / np.where(norms > 0.0, norms, 1.0)).reshape(directions.shape)


def slopes(gradient: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The slopes along the unit vectors of `directions`, (K, *shape), that `gradient`, of that shape, gives: float64, (K,)."""
    ways = of_unit_length(directions).reshape(len(directions), -1)
    return np.asarray((ways * gradient.astype(np.float64).ravel()).sum(axis=1))
