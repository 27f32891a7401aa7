"""The agreement and reference oracles: backends compared with each other, and each with a reference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import combinations

import numpy as np

from backendcheck.case import Tolerance
from backendcheck.compare.arrays import compare_dtypes, compare_observations
from backendcheck.compare.findings import Comparison, Finding, Pairing, error_words, what_came_instead
from backendcheck.compare.numbers import compare_numbers, magnitude_of
from backendcheck.compare.tolerances import Allowed, Override, Tolerances
from backendcheck.recordings.recording import Raised, Recording, lacks
from backendcheck.reference import DIRECTIONAL_DOUBT, UPDATE_RTOL, UPDATE_ULPS
from backendcheck.reference.directions import slopes
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import Observation, ObservationName, Quantity, ReferenceValue, flow_key, quantity_of
from backendcheck.vocabulary.sides import REFERENCE, Side
from backendcheck.vocabulary.stages import recorded_in

_EXACT = Allowed(tolerance=Tolerance(rtol=0.0, atol=0.0), origin="exact", norm_wise=False)
_OF_THE_CASE = "the case's reference"
_BUILT_IN = "the built-in reference"
_OF_THE_CHANGE = f"{UPDATE_RTOL:g} of the largest change, and {UPDATE_ULPS:g} units in the last place"
# How good the built-in reference for a gradient is: 2e-11 of the largest element was measured. It matters in float64 only.
_FINITE_DIFFERENCES = Tolerance(rtol=2e-10, atol=1e-11)
# And that by weights, of which slopes are dropped where they may be worse.
_DIRECTIONAL = Tolerance(*DIRECTIONAL_DOUBT)


# --- backends with each other ----------------------------------------------------------------------------------


def compare_backends(recordings: Mapping[str, Recording], overrides: Sequence[Override] = ()) -> list[Comparison]:
    """Compare the recordings of one case (by leg) with each other, all pairs, in the order of the computation."""
    comparisons: list[Comparison] = []
    for left, right in combinations(recordings, 2):
        pair = _Pair(left, right, recordings[left], recordings[right], Tolerances.of(recordings[left], overrides, (left, right)))
        comparisons += pair.comparisons()
    return comparisons


class _Pair:
    """The recordings of one case on two legs."""

    def __init__(self, left: str, right: str, first: Recording, second: Recording, tolerances: Tolerances) -> None:
        self.sides = (Side(left), Side(right))
        self.recordings = (first, second)
        self.tolerances = tolerances

    def comparisons(self) -> Iterator[Comparison]:
        if (finding := self._raised()) is not None:
            yield finding
        first, second = self.recordings
        declared = first.not_compared and second.not_compared
        for name in sorted({*first.observations, *second.observations}, key=flow_key):
            left, right = first.observations.get(name), second.observations.get(name)
            if inside_only(name) and not (declares_validation(first) or declares_validation(second)):
                continue
            if left is None or right is None:
                yield from self._missing(name, absent=0 if left is None else 1)
            elif declared and not_compared(name, first) and not_compared(name, second):
                yield from compare_dtypes(self._pairing(name), (left, right))  # random numbers have a type as well
            elif quantity_of(name) is Quantity.PREDICTED_CLASS:
                yield from self._classes(name, left, right)
            else:
                allowance = self.tolerances.allowed(name, left.precision, right.precision)
                reference = first.reference.get(name)
                if reference is not None:
                    reference = _fitted(reference, left)
                yield from compare_observations(self._pairing(name), (left, right), allowance, reference)

    def _pairing(self, name: str) -> Pairing:
        return Pairing(oracle=Oracle.AGREEMENT, observation=name, left=self.sides[0], right=self.sides[1])

    def _missing(self, name: str, absent: int) -> Iterator[Finding]:
        if ObservationName.parse(name).quantity is Quantity.SAVED:
            return  # a path that a leg does not take is in its notes, and one that raised is a finding of its own
        if lacks(self.recordings[absent], recorded_in(name)):
            return
        if not self.recordings[absent].raised:  # after an exception the rest is missing for that reason, which is a finding
            message = f"recorded on {self.sides[1 - absent]}, missing on {self.sides[absent]}"
            yield self._pairing(name).structural(FindingKind.MISSING, message)

    def _raised(self) -> Finding | None:
        """A finding where one side raised and the other did not. In which stages both raised is not compared."""
        first, second = self.recordings
        errors = [errors_in_reach(first, second), errors_in_reach(second, first)]
        if bool(errors[0]) == bool(errors[1]):
            return None
        thrower = 0 if errors[0] else 1
        error = errors[thrower][0]
        instead = what_came_instead(self.recordings[1 - thrower])
        words = error_words(error, f" in stage {error.stage} on {self.sides[thrower]}")
        message = f"{words}; {instead} on {self.sides[1 - thrower]}"
        return self._pairing("raised").structural(FindingKind.RAISED, message)

    def _classes(self, name: str, left: Observation, right: Observation) -> list[Comparison]:
        """Predicted classes are exact, but where an example's two best classes tie within tolerance nothing was decided."""
        *structure, exact = compare_observations(self._pairing(name), (left, right), _EXACT)
        scores = str(ObservationName.of(Quantity.PREDICTIONS, ObservationName.parse(name).output))
        if not isinstance(exact, Finding) or exact.kind is not FindingKind.VALUE:
            return [*structure, exact]
        if any(scores not in recording.observations for recording in self.recordings):
            return [*structure, exact]
        predictions = [recording.observations[scores] for recording in self.recordings]
        shapes = {observation.value.shape for observation in predictions}
        if len(shapes) > 1 or not all(_are_indices(side.value, predictions[0].value.shape) for side in (left, right)):
            return [*structure, exact]
        allowance = self.tolerances.allowed(scores, predictions[0].precision, predictions[1].precision)
        decided = _decided(predictions[0].value, left.value, right.value, allowance) | _decided(
            predictions[1].value, left.value, right.value, allowance
        )
        different = left.value != right.value
        if (different & decided).any():
            return [*structure, exact]
        n_ties = int(different.sum())
        message = f"{n_ties} examples tie within the tolerance of their predictions"
        tied = self._pairing(name).passed(
            n_elements=left.value.size, message=message, origin=exact.origin, evidence={"ties": n_ties}
        )
        return [*structure, tied]


def errors_in_reach(recording: Recording, of: Recording) -> list[Raised]:
    """The exceptions of a recording in the stages that the backend of another one supports as well."""
    return [error for error in recording.raised if not lacks(of, error.stage)]


def concerned_legs(recordings: Mapping[str, Recording], findings: Sequence[Finding]) -> list[str]:
    """The legs that findings can be about: all but those whose backend does not support what was observed there."""
    return [leg for leg, recording in recordings.items() if _is_concerned(leg, recording, recordings, findings)]


def _is_concerned(leg: str, recording: Recording, recordings: Mapping[str, Recording], findings: Sequence[Finding]) -> bool:
    if not recording.not_supported or not findings:
        return True
    return any(
        leg in (side.leg for side in finding.sides)
        or any(errors_in_reach(other, recording) for other in recordings.values())
        if finding.observation == "raised"
        else not lacks(recording, recorded_in(finding.observation))
        for finding in findings
    )


def declares_validation(recording: Recording) -> bool:
    """Whether the case has validation data of its own. What `fit` reports of it is then compared between backends, too."""
    return any(name.startswith("validation/") for name in recording.digests)


def inside_only(name: str) -> bool:
    """Whether an observation is compared inside one backend only; see `ObservationName.inside_one_backend`."""
    return ObservationName.parse(name).inside_one_backend


def not_compared(name: str, recording: Recording) -> str:
    """Why this observation cannot agree between backends; empty if it can."""
    if not recording.not_compared:
        return ""
    return next((reason for pattern, reason in recording.not_compared.items() if fnmatchcase(name, pattern)), "")


def _are_indices(classes: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether they are indices into scores of this shape. A recording from elsewhere may have others."""
    if not shape or classes.shape != shape[:-1] or classes.dtype.kind not in "iu":
        return False
    return not classes.size or bool(classes.min() >= 0 and classes.max() < shape[-1])


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


# --- each backend with a reference -----------------------------------------------------------------------------

# What is computed of other random numbers than those that its reference starts from.
_OF_ANOTHER_DRAW = frozenset({Quantity.GRADIENT, Quantity.TRAIN_WEIGHT, Quantity.TRAIN_OPTIMIZER})


def compare_reference(recordings: Mapping[str, Recording], overrides: Sequence[Override] = ()) -> list[Comparison]:
    """Compare each leg with the case's own reference, and with the built-in one where the case has none."""
    comparisons: list[Comparison] = []
    for leg, recording in recordings.items():
        if Oracle.REFERENCE in recording.oracles:
            comparisons += _compare_leg(leg, recording, Tolerances.of(recording, overrides))
    return comparisons


def _compare_leg(leg: str, recording: Recording, tolerances: Tolerances) -> Iterator[Comparison]:
    left = Side(leg)
    of_case = {name: ReferenceValue(value=value) for name, value in recording.reference.items()}
    for name, expected in ({**recording.reference_values} | of_case).items():
        quantity = ObservationName.parse(name).quantity
        if quantity in _OF_ANOTHER_DRAW and name not in of_case and not_compared(name, recording):
            continue
        pairing = Pairing(oracle=Oracle.REFERENCE, observation=name, left=left, right=REFERENCE)
        observation = recording.observations.get(name)
        if observation is not None and expected.directions is not None:
            yield from _compare_slopes(pairing, observation, expected.value, expected.directions, tolerances)
        elif observation is not None:
            yield from _compare_reference_dtype(pairing, observation, recording.reference_dtypes.get(name, ""))
            yield from _compare_expected(pairing, observation, expected, tolerances, of_case=name in of_case)
        elif name in of_case and not recording.raised and not lacks(recording, recorded_in(name)):
            yield pairing.structural(FindingKind.MISSING, f"the reference has a value for it, {leg} recorded none")


def _compare_reference_dtype(pairing: Pairing, observation: Observation, wanted: str) -> Iterator[Finding]:
    """A finding if the reference asks for another dtype. int64 is what NumPy makes of numbers, so any whole numbers will do."""
    dtype = observation.dtype
    if not wanted or observation.is_text or dtype == wanted or (wanted == "int64" and "int" in dtype):
        return
    if observation.is_float and "float" in wanted and dtype == "float64" != observation.precision:
        return  # a number of Python, which has no dtype of its own
    expected = "whole numbers" if wanted == "int64" else wanted
    yield pairing.structural(FindingKind.DTYPE, f"dtype {dtype} on {pairing.left}; the reference asks for {expected}")


def _compare_expected(
    pairing: Pairing, observation: Observation, expected: ReferenceValue, tolerances: Tolerances, *, of_case: bool
) -> list[Comparison]:
    value = _fitted(expected.value, observation)
    if observation.is_text or value.dtype == object or not observation.is_float or observation.value.shape != value.shape:
        dtype = "text" if value.dtype == object else str(value.dtype) if observation.is_text else observation.dtype
        wanted = Observation(value=value, dtype=dtype, precision=observation.precision)
        return compare_observations(pairing, (observation, wanted), _EXACT)
    left = observation.value
    if expected.defined is not None and not expected.defined.all():
        # Where no gradient is defined any will do.
        left, value = np.where(expected.defined, left, 0.0), np.where(expected.defined, value, 0.0)
    allowance = tolerances.allowed(pairing.observation, observation.precision)
    if not of_case and ObservationName.parse(pairing.observation).quantity is Quantity.GRADIENT:
        allowance = _at_least(allowance, _FINITE_DIFFERENCES)
    if expected.allowed is not None and allowance.is_default:
        tolerance = Tolerance(rtol=0.0, atol=float(expected.allowed))
        allowance = Allowed(tolerance=tolerance, origin=_OF_THE_CHANGE, norm_wise=True)
    return [compare_numbers(pairing, left, value, allowance, value, {"reference": _OF_THE_CASE if of_case else _BUILT_IN})]


def _compare_slopes(
    pairing: Pairing, observation: Observation, expected: np.ndarray, directions: np.ndarray, tolerances: Tolerances
) -> list[Comparison]:
    """A gradient by its slopes along a few directions; the tolerance is that of its elements."""
    if observation.value.shape != directions.shape[1:]:
        wanted = Observation(value=directions[0], dtype=observation.dtype, precision=observation.precision)
        return compare_observations(pairing, (observation, wanted), _EXACT)
    allowance = _at_least(tolerances.allowed(pairing.observation, observation.precision), _DIRECTIONAL)
    allowance = replace(allowance, magnitude=_finite_magnitude(observation.value))
    with np.errstate(invalid="ignore"):
        comparison = compare_numbers(pairing, slopes(observation.value, directions), expected, allowance)
    if comparison.message:
        comparison.message = f"slopes along {len(directions)} directions: {comparison.message}"
    comparison.worst_index = None  # it is not an index of the gradient
    comparison.evidence = {"reference": _BUILT_IN, "directions": len(directions)}
    return [comparison]


def _finite_magnitude(values: np.ndarray) -> float:
    """The largest |value| of those that are finite."""
    if values.size and math.isfinite(magnitude := magnitude_of(values)):
        return magnitude
    magnitudes = np.abs(values)
    return float(magnitudes.max(initial=0.0, where=np.isfinite(magnitudes)))


def _at_least(allowance: Allowed, least: Tolerance) -> Allowed:
    """Widen a tolerance to the accuracy of the reference."""
    tolerance = allowance.tolerance
    if tolerance.rtol >= least.rtol and tolerance.atol >= least.atol:
        return allowance
    widened = Tolerance(rtol=max(tolerance.rtol, least.rtol), atol=max(tolerance.atol, least.atol))
    return replace(allowance, tolerance=widened, origin=f"{allowance.origin}, and what finite differences are good to")


def _fitted(value: np.ndarray, observation: Observation) -> np.ndarray:
    """A single number in the shape that was recorded: 0.5 for a scalar, however it was written."""
    return value.reshape(observation.value.shape) if value.size == observation.value.size == 1 else value
