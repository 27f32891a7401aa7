"""What proves nothing: values that nothing defines, input that is not finite, and what rounding of the inputs does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from backendcheck.case import Tolerance
from backendcheck.compare.backends import not_compared
from backendcheck.compare.findings import Finding
from backendcheck.explore.situation import Situation
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.findings import FindingKind, Oracle

SHOWN: Final = ("loss", "metric/result", "train/loss", "value/result", "output_order", "predictions")  # what a user sees
_IN_FLOAT32 = Tolerance(rtol=1e-5, atol=1e-6)
_MARGIN = 20.0  # how many times farther than by rounding of its inputs a value must be from the other
_CLIPPED = 0.02  # log(1.2e-7) and log(1e-7) differ by 0.011 of themselves
_STAND_INS = (
    ("jax", "int32", "int64"), ("jax", "float32", "float64"), ("jax", "uint32", "uint64"),
    ("torch", "int32", "uint16"), ("torch", "int64", "uint32"), ("torch", "int64", "uint64"),
)  # fmt: skip


def reason_to_leave_out(situation: Situation, finding: Finding, recordings: Mapping[str, Recording]) -> str:
    """Why a finding is left out, without a second look; empty if it counts."""
    left = recordings[finding.left.leg]
    if not_compared(finding.observation, left):
        return "random numbers"
    if finding.kind is FindingKind.DTYPE and _stands_in_for_a_type(finding, recordings):
        return "a type in place of one that the backend does not have"
    not_finite = situation.predictions in ("nan", "inf") or situation.label_values in ("nan", "inf")
    if finding.kind is FindingKind.RAISED:
        returned = [recording for recording in recordings.values() if not recording.raised]
        shows_it = not_finite and all(map(_is_not_finite, returned))
        return "refused, or not finite, as the input is" if shows_it else ""
    if situation.policy == "float64" and finding.kind is FindingKind.VALUE and _equal_in_float32(finding, left):
        return "rounding"  # Keras computes losses in float32, whatever the policy of a layer is
    if not_finite and finding.kind is FindingKind.VALUE:
        return "value of input that is not finite"  # what a decision or a cast makes of NaN is not defined
    if not_finite and finding.observation.startswith("gradient"):
        return "gradient of input that is not finite"
    if not_finite and finding.observation.startswith("train/weight") and all(map(_is_not_finite, recordings.values())):
        return "weights trained by a loss that is not finite on any leg"
    if finding.oracle is Oracle.REFERENCE and not_finite:
        return "reference for input that is not finite"
    if finding.kind is FindingKind.NON_FINITE:
        sides = [
            recordings[side.leg].observations[finding.observation].value for side in finding.sides if side.leg in recordings
        ]
        right = left.reference_values.get(finding.observation)
        if right is not None and all(_infinite_alike(side, right.value) for side in sides):
            return "infinite, as is right"
        alike = all(np.array_equal(np.isfinite(side), np.isfinite(sides[0])) for side in sides)
        if alike and len(sides) > 1 and not_finite:
            return "not finite on every leg, as the input is"
        if alike and len(sides) > 1 and _is_undefined(situation):
            return "not finite on every leg, without a defined value"
    return ""


def _equal_in_float32(finding: Finding, left: Recording) -> bool:
    if finding.max_abs is None:  # labels or classes
        return False
    magnitude = float(np.abs(left.observations[finding.observation].value).max(initial=0.0))
    return finding.max_abs <= _IN_FLOAT32.atol + _IN_FLOAT32.rtol * magnitude


def _stands_in_for_a_type(finding: Finding, recordings: Mapping[str, Recording]) -> bool:
    """Whether a backend has a type that Keras takes for one that it lacks: JAX for 64 bits, PyTorch for unsigned integers."""
    dtypes = {
        recordings[side.leg].observations[finding.observation].dtype: recordings[side.leg].backend
        for side in finding.sides if side.leg in recordings
    }  # fmt: skip
    return any(
        set(dtypes) == {stand_in, dtype} and dtypes[stand_in].startswith(backend) for backend, stand_in, dtype in _STAND_INS
    )


def refuses_what_it_has(situation: Situation, refusing: Sequence[str], recordings: Mapping[str, Recording]) -> bool:
    """Whether what the legs `refusing` refuse is a type of whole numbers, or bool, that each of them has, and others take it.

    Class numbers of a float type may be refused as an index, and operations in half precision may be missing.
    """
    if set(refusing) != {leg for leg, recording in recordings.items() if recording.raised}:
        return False  # another leg refuses the labels, not their type
    given = {situation.label_dtype, str(situation.option("dtype", ""))}
    whole = {dtype for dtype in given if "int" in dtype or dtype == "bool"} | ({"bool"} & {situation.predictions})
    lacking = {dtype for backend, _, dtype in _STAND_INS if any(leg.startswith(backend) for leg in refusing)}
    return situation.policy == "float32" and bool(whole) and not whole & lacking


def _is_not_finite(recording: Recording) -> bool:
    """Whether the loss or the metric is NaN or infinite in every element, so that a user sees it."""
    shown = [recording.observations[name] for name in SHOWN if name in recording.observations]
    return bool(shown) and not any(observation.is_text or np.isfinite(observation.value).any() for observation in shown)


def _infinite_alike(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two arrays have the same infinities in the same places, and no NaN."""
    first, second = (np.where(np.isfinite(side), 0.0, side) for side in (left, right))
    return np.array_equal(first, second)


def _is_undefined(situation: Situation) -> bool:
    """Whether the situation asks for a value that nothing defines: a mean of no examples, or of no weight."""
    return situation.label_values == "empty" or situation.sample_weight in ("zero", "negative") or situation.mask == "all"


def is_limit_of_float32(finding: Finding, recordings: Mapping[str, Recording]) -> bool:
    """Whether all legs agree, and differ from float64 by no more than the place where predictions are clipped explains.

    Keras clips probabilities at 1 - 1e-7, which float32 does not have: it takes 1 - 1.2e-7.
    """
    right = recordings[finding.left.leg].reference_values.get(finding.observation)
    if finding.oracle is not Oracle.REFERENCE or right is None or finding.max_abs is None:
        return False
    values = [recording.observations[finding.observation].value for recording in recordings.values() if not recording.raised]
    rtol, atol = _IN_FLOAT32.rtol, _IN_FLOAT32.atol
    agree = len(values) == len(recordings) and all(np.allclose(value, values[0], rtol=rtol, atol=atol) for value in values)
    return agree and finding.max_abs <= _CLIPPED * float(np.abs(right.value).max(initial=0.0))


def moves_as_far(finding: Finding, recordings: Mapping[str, Recording], moved: Sequence[Mapping[str, Recording]]) -> bool:
    """Whether one unit in the last place of the inputs moves the observation as far as the sides differ."""
    if finding.max_abs is None:
        return False
    farthest = 0.0
    for leg, recording in recordings.items():
        observation = recording.observations.get(finding.observation)
        if observation is None:
            continue
        for of_legs in moved:
            again = of_legs[leg].observations.get(finding.observation)
            if again is None or again.value.shape != observation.value.shape:
                return True  # it does not even have a value again
            with np.errstate(invalid="ignore", over="ignore"):
                distance = np.abs(again.value.astype(np.float64) - observation.value.astype(np.float64))
            farthest = max(farthest, float(np.nanmax(distance, initial=0.0)))
    return farthest * _MARGIN >= finding.max_abs
