"""Derivatives from values alone, and the places where no derivative exists.

Central differences at seven step lengths, each a quarter of the one before, with Richardson's extrapolation between adjacent ones
(Richardson 1911; Press et al., Numerical Recipes, 5.7). The pair that agrees best is taken. So the step needs no tuning, whether
the loss is a flat logit or a probability of 1e-6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backendcheck.reference.spec import Array

#: How often `partial_derivatives` calls its function for each position in the axes taken together.
N_EVALUATIONS = 14

_LARGEST_STEP = 1e-3
_N_STEPS = N_EVALUATIONS // 2  # the last step is 2.4e-7 of the value: two float32 steps
_SMALLEST_SCALE = 1e-2  # values nearer to 0 take the steps of this value
ROUNDING = float(np.finfo(np.float64).eps)
_KINK = 1e-3  # a jump of the slope above this share of the slope is a kink
_SMALLEST_SLOPE = 1e-6
_DETERMINED = 1e-3  # a bound for the rounding of a slope, as a share of it; what it really is stays below a tenth of that


@dataclass(frozen=True, slots=True)
class Gradient:
    """The derivative of a loss by the predictions.

    Attributes:
        value: float64, in the shape of the predictions. NaN where the loss is not finite nearby. Without meaning where `smooth`
            is False.
        smooth: bool, same shape. False where the differences to the left and to the right disagree within two float32 steps of
            the value: a kink, a clip boundary, the edge of the domain. No gradient is defined there. False as well where the
            value is so large beside its slope that float64 does not determine the slope.
    """

    value: Array
    smooth: NDArray[np.bool_]


def partial_derivatives(function: Callable[[Array], Array], at: Array, axes: tuple[int, ...]) -> Gradient:
    """Differentiate a function that takes `axes` together and all other axes one by one.

    Args:
        function: from an array of the shape of `at` to one without `axes`, in which each value depends only on the slice of the
            argument at its own position. With all axes, the result is a number.
        at: where to differentiate, float64.
        axes: sorted and not negative. The function is called `N_EVALUATIONS` times for each position in these axes.

    Returns:
        The derivative of each value by the entries of its own slice, in the shape of `at`.
    """
    n_rest = at.ndim - len(axes)
    last = tuple(range(n_rest, at.ndim))
    moved = np.moveaxis(at, axes, last)
    rest, inner = moved.shape[:n_rest], moved.shape[n_rest:]
    flat = moved.reshape(*rest, math.prod(inner))

    def evaluate(values: Array) -> Array:
        return np.asarray(function(np.moveaxis(values.reshape(moved.shape), last, axes)))

    value, smooth = np.empty(flat.shape), np.empty(flat.shape, dtype=bool)
    noise = ROUNDING * np.maximum(np.abs(np.where(np.isfinite(flat), flat, 0.0)).max(axis=-1, initial=1.0), 1.0)
    with np.errstate(all="ignore"):
        middle = evaluate(flat)
        for place in range(flat.shape[-1]):
            value[..., place], smooth[..., place] = _derivative(evaluate, flat, place, middle, noise)
    return Gradient(np.moveaxis(value.reshape(moved.shape), last, axes), np.moveaxis(smooth.reshape(moved.shape), last, axes))


def _derivative(
    evaluate: Callable[[Array], Array], at: Array, place: int, middle: Array, noise: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Differentiate by one position of the last axis, for all the others at once."""
    scale = np.maximum(np.abs(at[..., place]), _SMALLEST_SCALE)
    slopes, jumps, steps = [], [], []
    for power in range(_N_STEPS):
        step = _LARGEST_STEP * scale / 4.0**power
        ahead, behind = at.copy(), at.copy()
        ahead[..., place] += step
        behind[..., place] -= step
        right, left = ahead[..., place] - at[..., place], at[..., place] - behind[..., place]  # as rounded
        above, below = evaluate(ahead), evaluate(behind)
        slopes.append((above - below) / (right + left))
        jumps.append((above - middle) / right - (middle - below) / left)
        steps.append(step)

    error, value, unsure = np.full(middle.shape, np.inf), slopes[-1], np.full(middle.shape, np.inf)
    for rough, fine, step in zip(slopes, slopes[1:], steps[1:], strict=False):
        refined = (16.0 * fine - rough) / 15.0
        rounding = (noise + ROUNDING * np.abs(middle)) / step
        doubt = np.abs(refined - fine) + rounding
        better = doubt < error  # False for NaN
        value, error = np.where(better, refined, value), np.where(better, doubt, error)
        unsure = np.where(better, rounding, unsure)

    jump = np.abs(4.0 * jumps[-1] - jumps[-2]) / 3.0  # the limit for a vanishing step; 0 if smooth
    rounding = 200.0 * (noise + ROUNDING * np.abs(middle)) / steps[-1]
    steepest = np.maximum(np.abs(slopes[-1] + jumps[-1] / 2.0), np.abs(slopes[-1] - jumps[-1] / 2.0))
    is_determined = unsure <= _DETERMINED * np.abs(value) + _SMALLEST_SLOPE
    return value, np.asarray(np.isfinite(value) & is_determined & (jump <= _KINK * steepest + rounding))  # NaN: not smooth
