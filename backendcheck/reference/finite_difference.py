"""Derivatives from values alone, and where there are none.

Central differences at seven step lengths, each a quarter of the one before, with Richardson's extrapolation between
neighbours (Richardson 1911; Press et al., Numerical Recipes, 5.7); the pair that agrees best is taken. So the step
needs no tuning, whether the loss is a flat logit or a probability of 1e-6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backendcheck.reference.spec import Array

#: How often `partial_derivatives` calls its function for each place in the axes taken together.
N_EVALUATIONS = 14

_LARGEST_STEP = 1e-3
_N_STEPS = N_EVALUATIONS // 2  # the last step is 2.4e-7 of the value: two float32 neighbours away
_SMALLEST_SCALE = 1e-2  # steps for values nearer to 0 are as for this value
_ROUNDING = float(np.finfo(np.float64).eps)
_KINK = 1e-3  # a jump of the slope above this share of the slope is a kink

#: What the slopes of `directional` are good to where they are smooth: a share of the steepest, and this much besides.
DIRECTIONAL_DOUBT = (1e-5, 1e-8)
# Along a unit vector: short, for with every kink that a step reaches (a unit of a ReLU layer, on one example) a slope is lost.
_DIRECTIONAL_STEP = 4e-6
# From the longer step to the shorter. What is computed in float32 moves in jumps of one size, and with a ratio of 4 every eighth
# such slope or so would be the same at both steps, and wrong. No quotient of small whole numbers is near this one.
_DIRECTIONAL_RATIO = 2.0 + math.sqrt(5.0)


@dataclass(frozen=True, slots=True)
class Gradient:
    """The derivative of a loss by the predictions.

    Attributes:
        value: float64, in the shape of the predictions; NaN where the loss is not finite nearby. It means nothing
            where `smooth` is False.
        smooth: bool, same shape; False where the differences to the left and to the right disagree within two
            float32 neighbours of the value: a kink, a clip boundary, the edge of the domain. No gradient is defined.
    """

    value: Array
    smooth: NDArray[np.bool_]


def partial_derivatives(function: Callable[[Array], Array], at: Array, axes: tuple[int, ...]) -> Gradient:
    """Differentiate a function that takes `axes` together and all other axes one by one.

    Args:
        function: from an array of the shape of `at` to one without `axes`, in which each value depends only on
            the slice of the argument at its own place. With all axes, the result is one number.
        at: where, float64.
        axes: sorted and not negative. The function is called `N_EVALUATIONS` times for each place in these axes.

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
    noise = _ROUNDING * np.maximum(np.abs(np.where(np.isfinite(flat), flat, 0.0)).max(axis=-1, initial=1.0), 1.0)
    with np.errstate(all="ignore"):
        middle = evaluate(flat)
        for place in range(flat.shape[-1]):
            value[..., place], smooth[..., place] = _derivative(evaluate, flat, place, middle, noise)
    return Gradient(np.moveaxis(value.reshape(moved.shape), last, axes), np.moveaxis(smooth.reshape(moved.shape), last, axes))


def directional(fn: Callable[[Array], Array | float], x: Array, directions: Array, step: float = _DIRECTIONAL_STEP) -> Gradient:
    """Give the slopes of `fn` at `x` along directions, by central differences at two step lengths.

    To check the gradient of many weights with few evaluations: where `smooth[k]`, ``value[k]`` is to equal
    ``sum(gradient * directions[k])``. `fn` is called once, and four times for each direction. It is to be computed in float64.

    Args:
        fn: from an array of the shape of `x` to a number, or to several whose sum is meant: those that do not move with `x`
            then leave no rounding.
        x: where.
        directions: shape ``(K, *x.shape)``.
        step: how far to go each way, in lengths of the direction, for values of `x` up to 1; larger values take larger steps.

    Returns:
        Both shape ``(K,)``. Not smooth are also directions along which the two step lengths disagree by more than
        `DIRECTIONAL_DOUBT`, or nothing moves: there `fn` is too coarse, or bends too much, for its slope to be had. (Or it does
        not depend on `x` that way. There is no telling.)

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
        message = f"directional: step is not positive; expected more than 0, got {step}. Use {_DIRECTIONAL_STEP}."
        raise ValueError(message)
    step *= max(1.0, float(np.abs(x).max(initial=0.0)))
    value, doubt, jump, largest = (np.zeros(len(directions)) for _ in range(4))
    moves = np.zeros(len(directions), dtype=bool)
    middle = np.asarray(fn(x), dtype=np.float64)
    for k, way in enumerate(directions):
        slopes, jumps = [], []
        for length in (step, step / _DIRECTIONAL_RATIO):
            above, below = (np.asarray(fn(x + sign * length * way), dtype=np.float64) for sign in (1.0, -1.0))
            slopes.append(float((above - below).sum()) / (2.0 * length))
            jumps.append(float((above - middle - (middle - below)).sum()) / length)
            moved = (above != middle) | (below != middle)
            moves[k] |= moved.any()
            largest[k] = max(largest[k], float(np.abs(middle).max(initial=0.0, where=moved)))
        value[k] = (_DIRECTIONAL_RATIO**2 * slopes[1] - slopes[0]) / (_DIRECTIONAL_RATIO**2 - 1.0)
        doubt[k] = abs(slopes[1] - slopes[0])
        jump[k] = abs(_DIRECTIONAL_RATIO * jumps[1] - jumps[0]) / (
            _DIRECTIONAL_RATIO - 1.0
        )  # the limit for a vanishing step; 0 if smooth
    allowed = DIRECTIONAL_DOUBT[0] * np.abs(value).max(initial=0.0, where=np.isfinite(value)) + DIRECTIONAL_DOUBT[1]
    rounding = 8.0 * _ROUNDING * largest / step  # of a difference at the shorter step
    with np.errstate(invalid="ignore"):
        smooth = moves & np.isfinite(value) & (doubt <= allowed) & (jump <= allowed) & (rounding <= allowed)
    return Gradient(value, np.asarray(smooth))


def _derivative(
    evaluate: Callable[[Array], Array], at: Array, place: int, middle: Array, noise: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Differentiate by one place of the last axis, for all the rest at once."""
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

    error, value = np.full(middle.shape, np.inf), slopes[-1]
    for rough, fine, step in zip(slopes, slopes[1:], steps[1:], strict=False):
        refined = (16.0 * fine - rough) / 15.0
        doubt = np.abs(refined - fine) + (noise + _ROUNDING * np.abs(middle)) / step
        better = doubt < error  # False for NaN
        value, error = np.where(better, refined, value), np.where(better, doubt, error)

    jump = np.abs(4.0 * jumps[-1] - jumps[-2]) / 3.0  # the limit for a vanishing step; 0 if smooth
    rounding = 200.0 * (noise + _ROUNDING * np.abs(middle)) / steps[-1]
    steepest = np.maximum(np.abs(slopes[-1] + jumps[-1] / 2.0), np.abs(slopes[-1] - jumps[-1] / 2.0))
    return value, np.asarray(np.isfinite(value) & (jump <= _KINK * steepest + rounding))  # NaN: not smooth
