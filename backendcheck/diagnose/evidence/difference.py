"""A difference: one observation on two sides that disagree, and how far apart they are."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from backendcheck.compare.numbers import largest
from backendcheck.compare.tolerances import Allowed
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import ObservationName, Quantity

# An explanation needs a margin. As recorded, the excess (largest |difference| / allowed) is at least FAR. As explained, it is at
# most 1, or _CLOSER times smaller and at most NEAR, because noise remains beside any cause.
FAR = 20.0
_CLOSER = 100.0
NEAR = 10.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Difference:
    """One observation on two sides that disagree: a suspected side and a reference side.

    The suspects are the legs that the reference contradicts, or else the minority, or else the later leg.

    Attributes:
        oracle: the oracle that found it.
        observation: the name of the observation.
        suspects: the legs on the suspected side.
        reference_side: the leg on the other side, or ``reference``.
        left: the values of the suspects.
        right: the values of the reference side, usually in the same shape.
        allowance: how far apart two values may be.
        recording: the recording of the first suspect, with the labels, weights and losses of the case.
        kinds: the kinds of the findings.
        path: the path of the suspected values, for findings inside one leg; empty otherwise.
        other: the recording of the reference side, if only the order of the legs decided which side is suspected.
    """

    oracle: Oracle
    observation: str
    suspects: tuple[str, ...]
    reference_side: str
    left: np.ndarray
    right: np.ndarray
    allowance: Allowed
    recording: Recording
    kinds: frozenset[FindingKind]
    path: str = ""
    other: Recording | None = None

    @property
    def name(self) -> ObservationName:
        return ObservationName.parse(self.observation)

    @property
    def quantity(self) -> Quantity:
        return self.name.quantity

    @property
    def output(self) -> str:
        """The output that the observation belongs to; empty for a single one."""
        return self.name.output

    @property
    def is_numeric(self) -> bool:
        """Whether both sides are numbers, in the same shape."""
        return object not in (self.left.dtype, self.right.dtype) and self.left.shape == self.right.shape

    @property
    def is_float(self) -> bool:
        return self.is_numeric and self.left.dtype.kind == "f"

    @property
    def side(self) -> str:
        """The suspected side in words."""
        return f"{self.suspects[0]} through {self.path}" if self.path else " and ".join(self.suspects)

    @property
    def subject(self) -> str:
        """The observation on the suspected side, in words."""
        return f"{self.observation} on {self.side}"

    @property
    def orientations(self) -> tuple[Difference, ...]:
        """The difference, and, if either side may be wrong, the same with the sides exchanged."""
        if self.other is None:
            return (self,)
        turned = replace(
            self, suspects=(self.reference_side,), reference_side=self.suspects[0], left=self.right, right=self.left,
            recording=self.other, other=self.recording,
        )  # fmt: skip
        return self, turned

    def apart(self) -> np.ndarray:
        """The elements that differ by more than `residue` allows, as bools in the shape of the sides."""
        bound = residue(self.excess())
        left, right = self.left.astype(np.float64), self.right.astype(np.float64)
        with np.errstate(all="ignore"):
            finite = np.isfinite(left) & np.isfinite(right)
            scale = self.allowance.scale(np.where(finite, np.maximum(np.abs(left), np.abs(right)), 0.0))
            within = self.allowance.tolerance.atol + self.allowance.tolerance.rtol * scale
            near = finite & (np.abs(left - right) <= bound * within)
        apart: np.ndarray = ~((left == right) | (np.isnan(left) & np.isnan(right)) | near)
        return apart

    def excess(self, left: Any = None, right: Any = None) -> float:
        """The largest |difference| / allowed of the sides, or of values in place of them."""
        if left is None and right is None:
            return self._own_excess
        return excess(self.left if left is None else left, self.right if right is None else right, self.allowance)

    @cached_property
    def _own_excess(self) -> float:
        return excess(self.left, self.right, self.allowance)

    def explained(self, left: Any = None, right: Any = None) -> bool:
        """Whether the sides agree, with the margin of `is_margin`, once one of them is replaced."""
        return is_margin(self.excess(), self.excess(left, right))


def is_margin(before: float, after: float) -> bool:
    """Whether an explanation holds: the excess is large before it, and at most noise after it."""
    return before >= FAR and after <= residue(before)


def residue(before: float) -> float:
    """The excess that may remain after an explanation: 1, or up to NEAR if the excess before was far larger."""
    return max(1.0, min(NEAR, before / _CLOSER))


def excess(left: Any, right: Any, allowance: Allowed) -> float:
    """The largest |difference| / allowed; infinite if shapes, text, NaN or exact values differ."""
    left, right = np.asarray(left), np.asarray(right)
    if left.shape != right.shape:
        return np.inf
    if object in (left.dtype, right.dtype) or allowance.tolerance.atol == allowance.tolerance.rtol == 0:
        return 0.0 if np.array_equal(left, right) else np.inf
    if not left.size or left is right:
        return 0.0
    left, right = left.astype(np.float64, copy=False), right.astype(np.float64, copy=False)
    with np.errstate(all="ignore"):
        apart = np.abs(left - right)
        if math.isfinite(largest(apart)):  # then both sides are finite, which most are
            return _finite_excess(apart, np.maximum(np.abs(left), np.abs(right)), allowance)
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        if not np.all(same | (np.isfinite(left) & np.isfinite(right))):
            return np.inf
        left, right = np.where(same, 0.0, left), np.where(same, 0.0, right)
        magnitude = np.maximum(np.abs(left), np.abs(right))
        scale = allowance.scale(magnitude)
        within = allowance.tolerance.atol + allowance.tolerance.rtol * scale
        return float(np.max(np.where(same, 0.0, np.abs(left - right) / within)))


def _finite_excess(apart: np.ndarray, magnitude: np.ndarray, allowance: Allowed) -> float:
    """The largest |difference| / allowed, by the differences and magnitudes of the elements. Equal elements do not count."""
    differs = apart > 0.0
    rtol, atol = allowance.tolerance.rtol, allowance.tolerance.atol
    if not allowance.norm_wise:
        return largest(np.divide(apart, atol + rtol * magnitude, out=np.zeros(apart.shape), where=differs))
    furthest = largest(apart)
    if not furthest:
        return 0.0
    scale = max(largest(np.where(differs, magnitude, 0.0)), allowance.magnitude)
    return float(np.float64(furthest) / (atol + rtol * scale))
