"""The gradient of many weights, checked along a few directions: the directions, and the slopes along them.

A loss differenced by every weight needs at least one evaluation for each. A wrong gradient shows along nearly every direction, so
a few directions are enough: where the gradient is wrong by e, the slope along d is wrong by <e, d>.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import numpy as np

from backendcheck.reference.finite_difference import ROUNDING, Gradient
from backendcheck.reference.spec import Array

N_DIRECTIONS = 3
# Whole numbers, so that a direction takes a byte for each weight and is the same on every machine. Their magnitudes differ. Along
# a direction of +1 and -1, every second exchange of two weights would go unnoticed.
_LARGEST = 127

#: The accuracy of the slopes of `directional` where they are smooth: relative to the steepest slope, and absolute.
DIRECTIONAL_DOUBT = (1e-5, 1e-8)
# Along a unit vector. It is short, because every kink within a step (a unit of a ReLU layer, on one example) costs a slope.
_STEP = 4e-6
# From the longer step to the shorter one. Numbers that were rounded to float32 change in jumps of one size. With a ratio of 4,
# about every eighth such slope would be the same at both steps, and wrong. No quotient of small whole numbers is near this ratio.
_RATIO = 2.0 + math.sqrt(5.0)


def random_directions(seed: int, path: str, shape: tuple[int, ...]) -> np.ndarray:
    """The directions for a variable of this path and shape: int8, (K, *shape), the same on every backend.

    K is `N_DIRECTIONS`. A variable with at most that many elements has one direction along each element, so that the slopes are
    its gradient.
    """
    n = int(np.prod(shape, dtype=int))
    if n <= N_DIRECTIONS:
        return np.eye(n, dtype=np.int8).reshape(n, *shape)
    key = hashlib.sha256(f"direction\0{seed}\0{path}\0{shape}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(key[:16], "little"))
    return generator.integers(-_LARGEST, _LARGEST, (N_DIRECTIONS, *shape), dtype=np.int8, endpoint=True)


def of_unit_length(directions: np.ndarray) -> np.ndarray:
    """`directions`, (K, *shape), in float64, each scaled to a Euclidean norm of 1.

    Independent rounding of the elements of a gradient then has the same standard deviation in a slope as in an element. So the
    tolerance of the elements applies to slopes as well.
    """
    rows = directions.astype(np.float64).reshape(len(directions), -1)
    norms = np.sqrt(np.add.reduce(rows * rows, axis=1, keepdims=True))
    return (rows / np.where(norms > 0.0, norms, 1.0)).reshape(directions.shape)


def slopes(gradient: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The slopes of `gradient`, of some shape, along the unit vectors of `directions`, (K, *shape): float64, (K,)."""
    rows = of_unit_length(directions).reshape(len(directions), -1)
    return np.asarray((rows * gradient.astype(np.float64).ravel()).sum(axis=1))


def directional(fn: Callable[[Array], Array | float], x: Array, directions: Array, step: float = _STEP) -> Gradient:
    """The slopes of `fn` at `x` along directions, by central differences at two step lengths.

    This checks the gradient of many weights with few evaluations: where ``smooth[k]``, ``value[k]`` must equal
    ``sum(gradient * directions[k])``. `fn` is called once, and four times for each direction. It must compute in float64.

    Args:
        fn: from an array of the shape of `x` to a number, or to several numbers whose sum is differentiated. Numbers that do not
            depend on `x` then add no rounding.
        x: where to differentiate.
        directions: shape (K, *x.shape).
        step: how far to go each way, in lengths of the direction, for values of `x` up to 1. Larger values take larger steps.

    Returns: Value and smooth, both of shape (K,). A direction is not smooth either if the two step lengths disagree by more than
        `DIRECTIONAL_DOUBT`, or if the result does not change. In these cases `fn` is too coarse or too curved for its slope, or
        does not depend on `x` in that direction; these cannot be distinguished.

    Raises:
        ValueError: if a direction has another shape, or the step is not positive.
    """
    x, directions = np.asarray(x, dtype=np.float64), np.asarray(directions, dtype=np.float64)
    if directions.shape[1:] != x.shape or directions.ndim != x.ndim + 1:
        message = (
            f"directional: directions do not fit; expected shape (K, {', '.join(map(str, x.shape))}), "
            f"got {directions.shape}. Stack the directions along a first axis."
        )
        raise ValueError(message)
    if not step > 0:
        message = f"directional: step is not positive; expected more than 0, got {step}. Use {_STEP}."
        raise ValueError(message)
    step *= max(1.0, float(np.abs(x).max(initial=0.0)))
    value, doubt, jump, largest = (np.zeros(len(directions)) for _ in range(4))
    depends = np.zeros(len(directions), dtype=bool)
    middle = np.asarray(fn(x), dtype=np.float64)
    for k, direction in enumerate(directions):
        differences, jumps = [], []
        for length in (step, step / _RATIO):
            above, below = (np.asarray(fn(x + sign * length * direction), dtype=np.float64) for sign in (1.0, -1.0))
            differences.append(float((above - below).sum()) / (2.0 * length))
            jumps.append(float((above - middle - (middle - below)).sum()) / length)
            changed = (above != middle) | (below != middle)
            depends[k] |= changed.any()
            largest[k] = max(largest[k], float(np.abs(middle).max(initial=0.0, where=changed)))
        value[k] = (_RATIO**2 * differences[1] - differences[0]) / (_RATIO**2 - 1.0)
        doubt[k] = abs(differences[1] - differences[0])
        jump[k] = abs(_RATIO * jumps[1] - jumps[0]) / (_RATIO - 1.0)  # the limit for a vanishing step; 0 if smooth
    allowed = DIRECTIONAL_DOUBT[0] * np.abs(value).max(initial=0.0, where=np.isfinite(value)) + DIRECTIONAL_DOUBT[1]
    rounding = 8.0 * ROUNDING * largest / step  # of a difference at the shorter step
    with np.errstate(invalid="ignore"):
        smooth = depends & np.isfinite(value) & (doubt <= allowed) & (jump <= allowed) & (rounding <= allowed)
    return Gradient(value, np.asarray(smooth))
