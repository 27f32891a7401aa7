"""The table of tolerances, and what may override it.

An override by the case comes first, then one from ``pyproject.toml``, then the defaults by quantity and float type.
Ints, bools, text, classes and orders are exact and have no tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache, reduce

import numpy as np

from backendcheck.case import Tolerance
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.observations import Quantity, quantity_of

# Beside each stands its headroom: how many times the largest difference that sound models showed in it, between backends
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
# What up to forty steps add up to; Adam divides a small gradient by its own magnitude, noise and all. The numbers are for
# weights; losses and metrics have more.
_TRAINED = {
    "float64": Tolerance(rtol=1e-11, atol=1e-12),  # 3300
    "float32": Tolerance(rtol=1e-4, atol=1e-5),  # 20
    "float16": Tolerance(rtol=2e-2, atol=2e-3),  # 16
    "bfloat16": Tolerance(rtol=1.6e-1, atol=1.6e-2),  # 14
}
# The state of an optimizer holds gradients, their squares, and averages of weights.
_OPTIMIZER = {
    "float64": Tolerance(rtol=1e-9, atol=1e-12),
    "float32": Tolerance(rtol=1e-3, atol=1e-6),
    "float16": Tolerance(rtol=1.5e-1, atol=2e-3),
    "bfloat16": Tolerance(rtol=8e-1, atol=1.6e-2),
}

# Measured by the magnitude of the whole tensor: near zero, sound gradients differ by percents of an element.
NORM_WISE = frozenset({Quantity.GRADIENT, Quantity.TRAIN_WEIGHT, Quantity.TRAIN_OPTIMIZER})
_DEFAULT = "default"  # begins the origin of a tolerance that was not set
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

    @property
    def is_default(self) -> bool:
        """Whether neither the case nor ``pyproject.toml`` has set it."""
        return self.origin.startswith(_DEFAULT)

    def scale(self, magnitude: np.ndarray) -> np.ndarray:
        """What `rtol` multiplies, for a tensor of these magnitudes."""
        if not magnitude.size:
            return magnitude
        if not self.norm_wise:
            return magnitude
        return np.broadcast_to(max(magnitude.max(), self.magnitude), magnitude.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A tolerance from ``[[tool.backendcheck.tolerance]]`` for observations (and cases) that match a pattern.

    With `legs`, names of legs or patterns of them, it is for comparisons of these legs alone.
    """

    observation: str
    tolerance: Tolerance
    case: str = "*"
    legs: tuple[str, ...] = ()
    origin: str = "pyproject.toml"

    def covers(self, compared: Sequence[str]) -> bool:
        """Whether it is for a comparison of all these legs."""
        return not self.legs or all(any(_matches(leg, pattern) for pattern in self.legs) for leg in compared)


def default_tolerance(quantity: Quantity, precision: str) -> Tolerance:
    """The default for a quantity computed in the float type `precision`."""
    if quantity in _AFTER_TRAINING:
        table = _TRAINED
    else:
        table = {Quantity.GRADIENT: _GRADIENTS, Quantity.TRAIN_OPTIMIZER: _OPTIMIZER}.get(quantity, _VALUES)
    return table.get(precision, table["float32"])


@cache
def coarser(left: str, right: str) -> str:
    """The coarser of two float types."""
    known = [precision for precision in (left, right) if precision in _VALUES]
    return max(known, key=lambda precision: _VALUES[precision].rtol) if known else "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """The tolerances in force for one case: those of the case come first, then `overrides`, then the defaults."""

    case: str
    by_case: Mapping[str, Tolerance] = field(default_factory=dict)
    overrides: Sequence[Override] = ()

    @classmethod
    def of(cls, recording: Recording, overrides: Sequence[Override] = (), legs: Sequence[str] = ()) -> Tolerances:
        """Those of a recording, where `legs` are compared; by default that of the recording alone."""
        in_force = [override for override in overrides if override.covers(legs or (recording.backend,))]
        return cls(case=recording.case, by_case=recording.tolerance, overrides=in_force)

    def allowed(self, observation: str, *precisions: str) -> Allowed:
        """What one observation may be off, computed in the coarsest of these float types."""
        if not self.by_case and not self.overrides:
            return _default_of(observation, precisions)
        quantity, precision = quantity_of(observation), reduce(coarser, precisions)
        norm_wise = quantity in NORM_WISE
        # The most specific pattern wins: an exact name, then the longest pattern.
        for pattern in sorted(self.by_case, key=lambda pattern: (pattern != observation, -len(pattern))):
            if _matches(observation, pattern):
                origin = "case" if pattern == "*" else f"case, {pattern}"
                return Allowed(tolerance=self.by_case[pattern], origin=origin, norm_wise=norm_wise)
        for override in self.overrides:
            if _matches(observation, override.observation) and _matches(self.case, override.case):
                origin = f"{override.origin}, {override.observation}"
                return Allowed(tolerance=override.tolerance, origin=origin, norm_wise=norm_wise)
        return _by_default(quantity, precision)


@cache
def _default_of(observation: str, precisions: tuple[str, ...]) -> Allowed:
    return _by_default(quantity_of(observation), reduce(coarser, precisions))


@cache
def _by_default(quantity: Quantity, precision: str) -> Allowed:
    origin = f"{_DEFAULT} {precision} {quantity.words}"
    return Allowed(tolerance=default_tolerance(quantity, precision), origin=origin, norm_wise=quantity in NORM_WISE)


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)  # equal, too: a name may hold brackets
