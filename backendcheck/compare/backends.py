"""The first two oracles that need no second run: backends against each other, and against the case's own reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Any

import numpy as np

from backendcheck.case import Tolerance
from backendcheck.compare.arrays import Comparison, compare_numbers, compare_observations
from backendcheck.compare.findings import what_came_instead
from backendcheck.compare.tolerances import Allowed, Override, allowed, coarser
from backendcheck.recordings.recording import Recording
from backendcheck.reference import DIRECTIONAL_DOUBT
from backendcheck.reference.directions import slopes
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import Observation, Quantity, ReferenceValue, flow_key, quantity_of

_EXACT = Allowed(tolerance=Tolerance(rtol=0.0, atol=0.0), origin="exact", norm_wise=False)
_OWN = "the case's reference"
_BUILT_IN = "the built-in reference"
# How good the built-in reference for a gradient is: 2e-11 of the largest element was measured. It matters in float64 only.
_FINITE_DIFFERENCES = Tolerance(rtol=2e-10, atol=1e-11)
# And that by weights, of which slopes are dropped where they may be worse.
_DIRECTIONAL = Tolerance(*DIRECTIONAL_DOUBT)


def compare_backends(recordings: Mapping[str, Recording], overrides: Sequence[Override] = ()) -> list[Comparison]:
    """Hold the recordings of one case (by leg) against each other, all pairs, in the order of the computation."""
    found = []
    for left, right in combinations(recordings, 2):
        found += _compare_pair((left, right), (recordings[left], recordings[right]), overrides)
    return found


def _compare_pair(sides: tuple[str, str], pair: tuple[Recording, Recording], overrides: Sequence[Override]) -> list[Comparison]:
    found = []
    if (raised := _compare_raised(sides, pair)) is not None:
        found.append(raised)
    for name in sorted({*pair[0].observations, *pair[1].observations}, key=flow_key):
        if inside_only(name) or (not_compared(name, pair[0]) and not_compared(name, pair[1])):
            continue
        values = tuple(recording.observations.get(name) for recording in pair)
        if values[0] is None or values[1] is None:
            absent = 0 if values[0] is None else 1
            if not pair[absent].raised:  # after an exception the rest is missing for that reason, told above
                message = f"recorded on {sides[1 - absent]}, missing on {sides[absent]}"
                found.append(
                    Comparison(
                        oracle=Oracle.AGREEMENT, observation=name, left=sides[0], right=sides[1], kind=FindingKind.MISSING,
                        message=message, origin="structure",
                    )
                )  # fmt: skip
            continue
        allowance = _allowance(name, values[0], values[1], pair[0], overrides)
        if quantity_of(name) is Quantity.PREDICTED_CLASS:
            found += _compare_classes(name, sides, pair, overrides)
        else:
            expected = pair[0].reference.get(name)
            expected = None if expected is None else _fitted(expected, values[0])
            found += compare_observations(Oracle.AGREEMENT, name, sides, (values[0], values[1]), allowance, expected)
    return found


def inside_only(name: str) -> bool:
    """Whether an observation is there for the paths oracle: what it would say between backends is said by others.

    That is what `fit` reports of its validation: the trained weights decide it, and they are compared as numbers, where an
    accuracy jumps with the one example that ties.
    """
    return name.startswith("train/metric/val_")


def not_compared(name: str, recording: Recording) -> str:
    """Why this observation cannot agree between backends; empty if it can."""
    return next((reason for pattern, reason in recording.not_compared.items() if fnmatchcase(name, pattern)), "")


def _allowance(name: str, left: Observation, right: Observation, recording: Recording, overrides: Sequence[Override]) -> Allowed:
    precision = coarser(left.precision, right.precision)
    return allowed(recording.case, name, precision, recording.tolerance, overrides)


def _compare_raised(sides: tuple[str, str], pair: tuple[Recording, Recording]) -> Comparison | None:
    """Raising is an observation: one side that raised and one that did not, or both at different stages of no interest."""
    raised = [bool(recording.raised) for recording in pair]
    if raised[0] == raised[1]:
        return None
    thrower = 0 if raised[0] else 1
    error = pair[thrower].raised[0]
    message = (
        f"{error.type} in stage {error.stage} on {sides[thrower]}; {what_came_instead(pair[1 - thrower])} on {sides[1 - thrower]}"
    )
    return Comparison(
        oracle=Oracle.AGREEMENT, observation="raised", left=sides[0], right=sides[1], kind=FindingKind.RAISED, message=message,
        origin="structure",
    )  # fmt: skip


def _compare_classes(
    name: str, sides: tuple[str, str], pair: tuple[Recording, Recording], overrides: Sequence[Override]
) -> list[Comparison]:
    """Predicted classes are exact, but where an example's two best classes tie within tolerance nothing was decided."""
    left, right = (recording.observations[name] for recording in pair)
    *structure, exact = compare_observations(Oracle.AGREEMENT, name, sides, (left, right), _EXACT)
    scores = name.replace("predicted_class", "predictions", 1)
    if exact.kind != FindingKind.VALUE or any(scores not in recording.observations for recording in pair):
        return [*structure, exact]
    predictions = [recording.observations[scores] for recording in pair]
    shapes = {one.value.shape for one in predictions}
    if len(shapes) > 1 or predictions[0].value.shape[:-1] != left.value.shape:
        return [*structure, exact]
    allowance = _allowance(scores, predictions[0], predictions[1], pair[0], overrides)
    decided = _decided(predictions[0].value, left.value, right.value, allowance) | _decided(
        predictions[1].value, left.value, right.value, allowance
    )
    different = left.value != right.value
    if (different & decided).any():
        return [*structure, exact]
    tied = Comparison(
        oracle=Oracle.AGREEMENT, observation=name, left=sides[0], right=sides[1], n_elements=left.value.size,
        message=f"{int(different.sum())} examples tie within the tolerance of their predictions", origin=exact.origin,
        evidence={"ties": int(different.sum())},
    )  # fmt: skip
    return [*structure, tied]


def _decided(scores: np.ndarray, left: np.ndarray, right: np.ndarray, allowance: Allowed) -> np.ndarray:
    """Where the scores of the two classes chosen differ by more than both may move within tolerance."""
    scores = scores.astype(np.float64)
    scale = np.broadcast_to(allowance.scale(np.abs(np.where(np.isfinite(scores), scores, 0.0))), scores.shape)
    of_left = np.take_along_axis(scores, left[..., None], axis=-1)[..., 0]
    of_right = np.take_along_axis(scores, right[..., None], axis=-1)[..., 0]
    scales = [np.take_along_axis(scale, classes[..., None], axis=-1)[..., 0] for classes in (left, right)]
    bound = allowance.tolerance.atol + allowance.tolerance.rtol * np.maximum(*scales)
    decided: np.ndarray = ~(np.abs(of_left - of_right) <= 2 * bound)
    return decided


def compare_reference(recordings: Mapping[str, Recording], overrides: Sequence[Override] = ()) -> list[Comparison]:
    """Hold each leg against the case's own reference, and against the built-in one where the case has none."""
    found = []
    for side, recording in recordings.items():
        if Oracle.REFERENCE not in recording.oracles:
            continue
        own = {name: ReferenceValue(value=value) for name, value in recording.reference.items()}
        for name, expected in ({**recording.reference_values} | own).items():
            if (seen := recording.observations.get(name)) is not None and expected.directions is not None:
                found += _compare_slopes(name, side, recording, (seen, expected, expected.directions), overrides)
            elif seen is not None:
                origin = _OWN if name in own else _BUILT_IN
                found += _compare_expected(name, side, recording, (seen, expected), origin, overrides)
            elif name in own and not recording.raised:
                message = f"the reference has a value for it, {side} recorded none"
                found.append(
                    Comparison(
                        oracle=Oracle.REFERENCE, observation=name, left=side, right="reference", kind=FindingKind.MISSING,
                        message=message, origin="structure",
                    )
                )  # fmt: skip
    return found


def _compare_expected(
    name: str,
    side: str,
    recording: Recording,
    pair: tuple[Observation, ReferenceValue],
    origin: str,
    overrides: Sequence[Override],
) -> list[Comparison]:
    seen, value, defined = pair[0], _fitted(pair[1].value, pair[0]), pair[1].defined
    sides = (side, "reference")
    if seen.is_text or value.dtype == object or not seen.is_float or seen.value.shape != value.shape:
        dtype = "text" if value.dtype == object else str(value.dtype) if seen.is_text else seen.dtype
        wanted = Observation(value=value, dtype=dtype, precision=seen.precision)
        return compare_observations(Oracle.REFERENCE, name, sides, (seen, wanted), _EXACT)
    left = seen.value.astype(np.float64)
    if defined is not None:
        # Where no gradient is defined any will do.
        left, value = np.where(defined, left, 0.0), np.where(defined, value, 0.0)
    allowance = allowed(recording.case, name, seen.precision, recording.tolerance, overrides)
    if origin != _OWN and name.startswith("gradient/"):
        allowance = _at_least(allowance, _FINITE_DIFFERENCES)
    common: dict[str, Any] = {"oracle": Oracle.REFERENCE, "observation": name, "left": side, "right": "reference"}
    comparison = compare_numbers(common, left, value, allowance, value)
    return [replace(comparison, evidence={"reference": origin})]


def _compare_slopes(
    name: str,
    side: str,
    recording: Recording,
    compared: tuple[Observation, ReferenceValue, np.ndarray],
    overrides: Sequence[Override],
) -> list[Comparison]:
    """A gradient by its slopes along a few directions; the tolerance is that of its elements."""
    seen, expected, directions = compared
    sides = (side, "reference")
    if seen.value.shape != directions.shape[1:]:
        wanted = Observation(value=directions[0], dtype=seen.dtype, precision=seen.precision)
        return compare_observations(Oracle.REFERENCE, name, sides, (seen, wanted), _EXACT)
    allowance = _at_least(allowed(recording.case, name, seen.precision, recording.tolerance, overrides), _DIRECTIONAL)
    finite = np.isfinite(seen.value)
    allowance = replace(allowance, magnitude=float(np.abs(seen.value).max(initial=0.0, where=finite)))
    common: dict[str, Any] = {"oracle": Oracle.REFERENCE, "observation": name, "left": side, "right": "reference"}
    with np.errstate(invalid="ignore"):
        comparison = compare_numbers(common, slopes(seen.value, directions), expected.value, allowance)
    message = comparison.message and f"slopes along {len(directions)} directions: {comparison.message}"
    evidence = {"reference": _BUILT_IN, "directions": len(directions)}
    return [replace(comparison, worst_index=None, message=message, evidence=evidence)]  # the index is none into the gradient


def _at_least(allowance: Allowed, least: Tolerance) -> Allowed:
    """`allowance`, but no less than what the reference itself is good to."""
    given = allowance.tolerance
    if given.rtol >= least.rtol and given.atol >= least.atol:
        return allowance
    tolerance = Tolerance(rtol=max(given.rtol, least.rtol), atol=max(given.atol, least.atol))
    return replace(allowance, tolerance=tolerance, origin=f"{allowance.origin}, and what finite differences are good to")


def _fitted(value: np.ndarray, seen: Observation) -> np.ndarray:
    """A single number in the shape that was recorded: 0.5 for a scalar, however it was written."""
    return value.reshape(seen.value.shape) if value.size == seen.value.size == 1 else value
