"""The one table of tolerances, and who may override it.

An override by the case comes first, then one from ``pyproject.toml``, then the defaults by kind of observation and float
type. Ints, bools, text, classes and orders are exact and have no tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

import numpy as np

from backendcheck.case import Tolerance
from backendcheck.vocabulary.observations import Quantity, quantity_of

# Beside each: its head-room, that is how many times the largest difference that healthy models showed in it, between backends
# or inside one, goes into what is allowed. benchmarks/noise_floor.py measures it; docs/tolerances.md has the whole table.
_VALUES = {
    "float64": Tolerance(rtol=1e-12, atol=1e-13),  # 1300 (inside TensorFlow: Keras computes in it nowhere else)
    "float32": Tolerance(rtol=1e-5, atol=1e-6),  # wide logits near 0 1.3, probabilities 8, losses 10
    "float16": Tolerance(rtol=1e-2, atol=1e-3),  # predictions 9, losses 16
    "bfloat16": Tolerance(rtol=8e-2, atol=8e-3),  # predictions 9, losses 10
}
# A gradient sums over many more terms. One that vanishes exactly (a bias in front of a batch norm, or that of the keys of an
# attention) leaves only noise, and no magnitude to measure it by: that is what its atol is for.
_GRADIENTS = {
    "float64": Tolerance(rtol=1e-11, atol=1e-15),  # 840
    "float32": Tolerance(rtol=1e-4, atol=1e-7),  # 12
    "float16": Tolerance(rtol=7e-2, atol=1e-4),  # 9
    "bfloat16": Tolerance(rtol=8e-1, atol=1e-3),  # 5: TensorFlow adds up the gradient of a bias in bfloat16
}
# What up to forty steps add up to; Adam divides a small gradient by its own magnitude, noise and all. The figures are for
# weights; losses and metrics have more.
_TRAINED = {
    "float64": Tolerance(rtol=1e-11, atol=1e-12),  # 3300
    "float32": Tolerance(rtol=1e-4, atol=1e-5),  # 20
    "float16": Tolerance(rtol=2e-2, atol=2e-3),  # 16
    "bfloat16": Tolerance(rtol=1.6e-1, atol=1.6e-2),  # 14
}

# Measured by the magnitude of the whole tensor: near zero, healthy gradients differ by percents of an element.
NORM_WISE = frozenset({Quantity.GRADIENT, Quantity.TRAIN_WEIGHT})
_AFTER_TRAINING = frozenset({Quantity.TRAIN_LOSS, Quantity.TRAIN_METRIC, Quantity.TRAIN_WEIGHT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """A tolerance with its origin in words, such as ``default float32 loss`` or ``case``.

    `norm_wise`: its `rtol` multiplies the magnitude of the tensor's largest element, instead of that of the element alone.
    `magnitude` is that of the tensor, where what is compared is not the tensor itself.
    """

    tolerance: Tolerance
    origin: str
    norm_wise: bool
    magnitude: float = 0.0

    def scale(self, magnitude: np.ndarray) -> np.ndarray:
        """What `rtol` multiplies, for a tensor of these magnitudes."""
        if not magnitude.size:
            return magnitude
        if not self.norm_wise:
            return magnitude
        return np.broadcast_to(max(magnitude.max(), self.magnitude), magnitude.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A tolerance from ``[[tool.backendcheck.tolerance]]`` for observations (and cases) that match a pattern."""

    observation: str
    tolerance: Tolerance
    case: str = "*"
    origin: str = "pyproject.toml"


def default_tolerance(kind: Quantity, precision: str) -> Tolerance:
    """The default for a kind of observation computed in the float type `precision`."""
    table = _GRADIENTS if kind is Quantity.GRADIENT else _TRAINED if kind in _AFTER_TRAINING else _VALUES
    return table.get(precision, table["float32"])


def coarser(left: str, right: str) -> str:
    """The coarser of two float types."""
    known = [precision for precision in (left, right) if precision in _VALUES]
    return max(known, key=lambda precision: _VALUES[precision].rtol) if known else "float32"


def allowed(
    case: str, observation: str, precision: str, by_case: Mapping[str, Tolerance], overrides: Sequence[Override]
) -> Allowed:
    """The tolerance in force for one observation of one case."""
    kind = quantity_of(observation)
    if not by_case and not overrides:
        return _by_default(kind, precision)
    norm_wise = kind in NORM_WISE
    # The most specific pattern wins: an exact name, then the longest pattern.
    for pattern in sorted(by_case, key=lambda one: (one != observation, -len(one))):
        if _matches(observation, pattern):
            origin = "case" if pattern == "*" else f"case, {pattern}"
            return Allowed(tolerance=by_case[pattern], origin=origin, norm_wise=norm_wise)
    for override in overrides:
        if _matches(observation, override.observation) and _matches(case, override.case):
            return Allowed(tolerance=override.tolerance, origin=f"{override.origin}, {override.observation}", norm_wise=norm_wise)
    return _by_default(kind, precision)


@cache
def _by_default(kind: Quantity, precision: str) -> Allowed:
    origin = f"default {precision} {kind.words}"
    return Allowed(tolerance=default_tolerance(kind, precision), origin=origin, norm_wise=kind in NORM_WISE)


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)  # equal, too: a name may hold brackets
