"""Which elements of an update are certain, although the gradient is known up to rounding only.

Two sound ways to compile a model give gradients that differ by up to 1e-5 of the largest element; ten times that is allowed. An
optimizer that divides by the size of the gradient, or takes its sign, makes a full step of what is noise. So the update is also
computed for gradients moved by that much, and for both readings of the documentation. Where these differ, nothing is expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backendcheck.reference.optimizers.spec import OptimizerSpec, Update, Weight
from backendcheck.reference.optimizers.step import update
from backendcheck.reference.spec import Array

#: How far an update may be off, relative to the largest change that it makes in a weight or an array of the state.
UPDATE_RTOL = 1e-3
#: The same in units in the last place of the largest element, for what adding the change to it rounds.
UPDATE_ULPS = 4.0
_NOISE, _NOISE_OF_ALL = 1e-4, 1e-6  # of a gradient, relative to its largest element and to that of all gradients
_CERTAIN = 0.5  # of what is allowed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expected:
    """The value of one array after an update, where it is certain, and how far any element may be off."""

    value: Array
    defined: Array
    allowed: float


def expected_update(
    spec: OptimizerSpec, weights: Sequence[Weight], scalars: Mapping[str, float], epsilon: float
) -> tuple[dict[str, Expected], dict[str, Expected], Update]:
    """The weights by path and the state by ``path/name``, each with a margin for rounding; and the update itself.

    Args:
        spec: the optimizer.
        weights: all weights that it trains. Those whose gradient is 0 everywhere have no value, as backends differ in whether
            they update what the loss does not depend on.
        scalars: the state that belongs to no weight.
        epsilon: the distance from 1 to the next number in the type of the weights.

    Raises:
        NoReference: as for `update`.
    """
    central = update(spec, weights, scalars)
    others = [update(spec, _moved(weights, signs), scalars, reading) for signs in _SIGNS for reading in (0, 1)]
    unconnected = {weight.path for weight in weights if not weight.gradient.any()}
    expected_weights, expected_slots = {}, {}
    for weight in weights:
        path = weight.path
        if path in unconnected:
            continue
        if path in central.weights:
            values = [moved.weights.get(path, np.full(weight.value.shape, np.nan)) for moved in others]
            expected_weights[path] = _expected(weight.value, central.weights[path], values, epsilon)
        for name, value in central.slots.get(path, {}).items():
            before = weight.slots.get(name)
            if before is not None and before.shape == value.shape:
                values = [moved.slots.get(path, {}).get(name, np.full(value.shape, np.nan)) for moved in others]
                expected_slots[f"{path}/{name}"] = _expected(before, value, values, epsilon)
    return expected_weights, expected_slots, central


def _allowed(before: Array, change: Array, epsilon: float) -> float:
    """How far an array may be off after an update that changes it by `change`."""
    change = change[np.isfinite(change)]
    largest, largest_before = (float(np.abs(array).max(initial=0.0)) for array in (change, before))
    return UPDATE_RTOL * largest + UPDATE_ULPS * epsilon * max(largest, largest_before)


def _expected(before: Array, value: Array, others: Sequence[Array], epsilon: float) -> Expected:
    allowed = _allowed(before, value - before, epsilon)
    with np.errstate(invalid="ignore"):
        apart = np.max([np.abs(other - value) for other in others], axis=0)
    certain = np.isfinite(value) & (apart <= _CERTAIN * allowed)
    return Expected(value=np.where(certain, value, before), defined=certain, allowed=allowed)


_SIGNS = ("up", "down", "larger", "smaller", "random", "opposite")


def _moved(weights: Sequence[Weight], signs: str) -> list[Weight]:
    largest = max((float(np.abs(weight.gradient).max(initial=0.0)) for weight in weights), default=0.0)
    generator = np.random.default_rng(0)
    moved = []
    for weight in weights:
        noise = _NOISE * float(np.abs(weight.gradient).max(initial=0.0)) + _NOISE_OF_ALL * largest
        random = generator.choice((-1.0, 1.0), weight.gradient.shape)
        ones, own = np.ones(weight.gradient.shape), np.sign(weight.gradient)
        sign = {"up": ones, "down": -ones, "larger": own, "smaller": -own, "random": random, "opposite": -random}[signs]
        moved.append(replace(weight, gradient=weight.gradient + noise * sign))
    return moved
