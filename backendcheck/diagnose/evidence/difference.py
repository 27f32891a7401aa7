"""One observation on two sides that are not alike, and how far apart is far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backendcheck.compare.tolerances import Allowed
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import ObservationName, Quantity

# What an explanation has to show: as recorded the values are at least this many times too far apart …
FAR = 20.0
# … and explained they are within tolerance, or at least this many times closer and near it: a cause does not come without noise.
_CLOSER = 100.0
NEAR = 10.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Difference:
    """One observation on two sides that are not alike.

    `left` is what the legs `suspects` recorded (or what came through their `door`), `right` what `trusted` has: a leg, or
    ``reference``. Who is suspected is a matter of evidence, not of blame: those whom the reference contradicts, else the
    minority, else the later leg. `recording` is that of the first suspect: its labels, weights and losses are those of the case.
    `other` is that of the trusted leg where nothing but the order of the legs decides between the two.
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
        """The output that the observation is of; empty for the only one."""
        return self.name.output

    @property
    def is_numeric(self) -> bool:
        """Whether both sides are numbers of one shape."""
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
        """The difference, and where nobody knows who is right, the same seen from the other side."""
        if self.other is None:
            return (self,)
        turned = replace(
            self, suspects=(self.reference_side,), reference_side=self.suspects[0], left=self.right, right=self.left,
            recording=self.other, other=self.recording,
        )  # fmt: skip
        return self, turned

    def apart(self) -> np.ndarray:
        """Where the sides differ by more than allowed, or by more than noise where others differ by far more: see `residue`."""
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
        """How far apart the sides are (or what is given instead of them), in units of what is allowed."""
        return excess(self.left if left is None else left, self.right if right is None else right, self.allowance)

    def explained(self, left: Any = None, right: Any = None) -> bool:
        """Whether the sides, far apart as recorded, agree once one of them is replaced: with the margin of `is_margin`."""
        return is_margin(self.excess(), self.excess(left, right))


def is_margin(before: float, after: float) -> bool:
    """Whether an explanation carries: `before` it the excess was large, `after` it there is none, or only noise is left."""
    return before >= FAR and after <= residue(before)


def residue(before: float) -> float:
    """What excess may be left of one of `before`: none beyond what is allowed, or noise where it was far larger."""
    return max(1.0, min(NEAR, before / _CLOSER))


def excess(left: Any, right: Any, allowance: Allowed) -> float:
    """The largest |difference| / allowed; infinite where shapes, text or NaN differ, or where an exact value does."""
    left, right = np.asarray(left), np.asarray(right)
    if left.shape != right.shape:
        return np.inf
    if object in (left.dtype, right.dtype) or allowance.tolerance.atol == allowance.tolerance.rtol == 0:
        return 0.0 if np.array_equal(left, right) else np.inf
    if not left.size:
        return 0.0
    left, right = left.astype(np.float64), right.astype(np.float64)
    with np.errstate(all="ignore"):
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        if not np.all(same | (np.isfinite(left) & np.isfinite(right))):
            return np.inf
        left, right = np.where(same, 0.0, left), np.where(same, 0.0, right)
        magnitude = np.maximum(np.abs(left), np.abs(right))
        scale = allowance.scale(magnitude)
        within = allowance.tolerance.atol + allowance.tolerance.rtol * scale
        return float(np.max(np.where(same, 0.0, np.abs(left - right) / within)))
