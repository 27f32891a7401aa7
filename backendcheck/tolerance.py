"""The one table of tolerances, and who may override it.

An override by the case comes first, then one from ``pyproject.toml``, then the defaults by kind of observation and float
type. Ints, bools, text, classes and orders are exact and have no tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from backendcheck.case import Tolerance
from backendcheck.observation import Kind, kind_of

# Relative figures by float type: about 80 times its machine epsilon for values (float32: 1e-5), ten times that for
# gradients and for what a training step made of them, which sum over many more terms.
_RTOL = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2, "bfloat16": 8e-2}
# Absolute figures for quantities of the order of one: what is left of two of them when they cancel.
_ATOL = {"float64": 1e-13, "float32": 1e-6, "float16": 1e-3, "bfloat16": 8e-3}
_GRADIENT_FACTOR = 10.0
# A gradient that vanishes exactly (a bias in front of a batch norm) leaves only noise, and no magnitude to measure it by.
_GRADIENT_ATOL = {"float64": 1e-15, "float32": 1e-7, "float16": 1e-4, "bfloat16": 1e-3}

# Measured by the magnitude of the whole tensor: near zero, healthy gradients differ by percents of an element.
NORM_WISE = frozenset({Kind.GRADIENT, Kind.TRAIN_WEIGHT})
_AFTER_TRAINING = frozenset({Kind.TRAIN_LOSS, Kind.TRAIN_METRIC, Kind.TRAIN_WEIGHT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """A tolerance with its origin in words, such as ``default float32 loss`` or ``case``."""

    tolerance: Tolerance
    origin: str
    norm_wise: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A tolerance from ``[[tool.backendcheck.tolerance]]`` for observations (and cases) that match a pattern."""

    observation: str
    tolerance: Tolerance
    case: str = "*"
    origin: str = "pyproject.toml"


def default_tolerance(kind: Kind, precision: str) -> Tolerance:
    """The default for a kind of observation computed in the float type `precision`."""
    precision = precision if precision in _RTOL else "float32"
    if kind is Kind.GRADIENT:
        return Tolerance(rtol=_GRADIENT_FACTOR * _RTOL[precision], atol=_GRADIENT_ATOL[precision])
    factor = _GRADIENT_FACTOR if kind in _AFTER_TRAINING else 1.0
    return Tolerance(rtol=factor * _RTOL[precision], atol=factor * _ATOL[precision])


def coarser(left: str, right: str) -> str:
    """The coarser of two float types."""
    known = [precision for precision in (left, right) if precision in _RTOL]
    return max(known, key=_RTOL.__getitem__) if known else "float32"


def allowed(
    case: str, observation: str, precision: str, by_case: Mapping[str, Tolerance], overrides: Sequence[Override]
) -> Allowed:
    """The tolerance in force for one observation of one case."""
    kind = kind_of(observation)
    norm_wise = kind in NORM_WISE
    # The most specific pattern wins: an exact name, then the longest pattern.
    for pattern in sorted(by_case, key=lambda one: (one != observation, -len(one))):
        if _matches(observation, pattern):
            origin = "case" if pattern == "*" else f"case, {pattern}"
            return Allowed(tolerance=by_case[pattern], origin=origin, norm_wise=norm_wise)
    for override in overrides:
        if _matches(observation, override.observation) and _matches(case, override.case):
            return Allowed(tolerance=override.tolerance, origin=f"{override.origin}, {override.observation}", norm_wise=norm_wise)
    origin = f"default {precision} {kind.words}"
    return Allowed(tolerance=default_tolerance(kind, precision), origin=origin, norm_wise=norm_wise)


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)  # equal, too: a name may hold brackets
