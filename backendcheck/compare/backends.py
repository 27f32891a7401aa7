"""The agreement and reference oracles: backends compared with each other, and each with a reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import combinations

import numpy as np

from backendcheck.case import Tolerance
from backendcheck.compare.arrays import compare_dtypes, compare_numbers, compare_observations
from backendcheck.compare.findings import Comparison, Finding, Pairing, error_words, what_came_instead
from backendcheck.compare.tolerances import Allowed, Override, Tolerances
from backendcheck.recordings.recording import Recording
from backendcheck.reference import DIRECTIONAL_DOUBT
from backendcheck.reference.directions import slopes
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import Observation, ObservationName, Quantity, ReferenceValue, flow_key
from backendcheck.vocabulary.sides import REFERENCE, Side

_EXACT = Allowed(tolerance=Tolerance(rtol=0.0, atol=0.0), origin="exact", norm_wise=False)
_OF_THE_CASE = "the case's reference"
_BUILT_IN = "the built-in reference"
# How good the built-in reference for a gradient is: 2e-11 of the largest element was measured. It matters in float64 only.
_FINITE_DIFFERENCES = Tolerance(rtol=2e-10, atol=1e-11)
# And that by weights, of which slopes are dropped where they may be worse.
_DIRECTIONAL = Tolerance(*DIRECTIONAL_DOUBT)


# --- backends with each other ----------------------------------------------------------------------------------


def compare_backends(recordings: Mapping[str, Recording], overrides: Sequence[Override] = ()) -> list[Comparison]:
    """Compare the recordings of one case (by leg) with each other, all pairs, in the order of the computation."""
    comparisons: list[Comparison] = []
    for left, right in combinations(recordings, 2):
        pair = _Pair(left, right, recordings[left], recordings[right], Tolerances.of(recordings[left], overrides))
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
        for name in sorted({*first.observations, *second.observations}, key=flow_key):
            left, right = first.observations.get(name), second.observations.get(name)
            if inside_only(name) and not (declares_validation(first) or declares_validation(second)):
                continue
            if left is None or right is None:
                yield from self._missing(name, absent=0 if left is None else 1)
            elif not_compared(name, first) and not_compared(name, second):
                yield from compare_dtypes(self._pairing(name), (left, right))  # random numbers have a type as well
            elif ObservationName.parse(name).quantity is Quantity.PREDICTED_CLASS:
                yield from self._classes(name, left, right)
            else:
                allowance = self.tolerances.allowed(name, left.precision, right.precision)
                reference = first.reference.get(name)
                reference = None if reference is None else _fitted(reference, left)
                yield from compare_observations(self._pairing(name), (left, right), allowance, reference)

    def _pairing(self, name: str) -> Pairing:
        return Pairing(oracle=Oracle.AGREEMENT, observation=name, left=self.sides[0], right=self.sides[1])

    def _missing(self, name: str, absent: int) -> Iterator[Finding]:
        if not self.recordings[absent].raised:  # after an exception the rest is missing for that reason, which is a finding
            message = f"recorded on {self.sides[1 - absent]}, missing on {self.sides[absent]}"
            yield self._pairing(name).structural(FindingKind.MISSING, message)

    def _raised(self) -> Finding | None:
        """A finding where one side raised and the other did not. In which stages both raised is not compared."""
        raised = [bool(recording.raised) for recording in self.recordings]
        if raised[0] == raised[1]:
            return None
        thrower = 0 if raised[0] else 1
        error = self.recordings[thrower].raised[0]
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
        if len(shapes) > 1 or predictions[0].value.shape[:-1] != left.value.shape:
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


def declares_validation(recording: Recording) -> bool:
    """Whether the case has validation data of its own. What `fit` reports of it is then compared between backends, too."""
    return any(name.startswith("validation/") for name in recording.digests)


def inside_only(name: str) -> bool:
    """Whether an observation is compared inside one backend only; see `ObservationName.inside_one_backend`."""
    return ObservationName.parse(name).inside_one_backend


def not_compared(name: str, recording: Recording) -> str:
    """Why this observation cannot agree between backends; empty if it can."""
    return next((reason for pattern, reason in recording.not_compared.items() if fnmatchcase(name, pattern)), "")


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


def compare_reference(recordings: Mapping[str, Recording], overrides: Sequence[Override] = ()) -> list[Comparison]:
    """Compare each leg with the case's own reference, and with the built-in one where the case has none."""
    comparisons: list[Comparison] = []
    for leg, recording in recordings.items():
        if Oracle.REFERENCE in recording.oracles:
            comparisons += _compare_leg(leg, recording, Tolerances.of(recording, overrides))
    return comparisons


def _compare_leg(leg: str, recording: Recording, tolerances: Tolerances) -> Iterator[Comparison]:
    of_case = {name: ReferenceValue(value=value) for name, value in recording.reference.items()}
    for name, expected in ({**recording.reference_values} | of_case).items():
        quantity = ObservationName.parse(name).quantity
        if quantity is Quantity.GRADIENT and name not in of_case and not_compared(name, recording):
            continue  # a gradient is taken of another draw than the one that its reference starts from
        pairing = Pairing(oracle=Oracle.REFERENCE, observation=name, left=Side(leg), right=REFERENCE)
        observation = recording.observations.get(name)
        if observation is not None and expected.directions is not None:
            yield from _compare_slopes(pairing, observation, expected.value, expected.directions, tolerances)
        elif observation is not None:
            yield from _compare_reference_dtype(pairing, observation, recording.reference_dtypes.get(name, ""))
            yield from _compare_expected(pairing, observation, expected, tolerances, of_case=name in of_case)
        elif name in of_case and not recording.raised:
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
    left = observation.value.astype(np.float64)
    if expected.defined is not None:
        # Where no gradient is defined any will do.
        left, value = np.where(expected.defined, left, 0.0), np.where(expected.defined, value, 0.0)
    allowance = tolerances.allowed(pairing.observation, observation.precision)
    if not of_case and ObservationName.parse(pairing.observation).quantity is Quantity.GRADIENT:
        allowance = _at_least(allowance, _FINITE_DIFFERENCES)
    comparison = compare_numbers(pairing, left, value, allowance, value)
    return [replace(comparison, evidence={"reference": _OF_THE_CASE if of_case else _BUILT_IN})]


def _compare_slopes(
    pairing: Pairing, observation: Observation, expected: np.ndarray, directions: np.ndarray, tolerances: Tolerances
) -> list[Comparison]:
    """A gradient by its slopes along a few directions; the tolerance is that of its elements."""
    if observation.value.shape != directions.shape[1:]:
        wanted = Observation(value=directions[0], dtype=observation.dtype, precision=observation.precision)
        return compare_observations(pairing, (observation, wanted), _EXACT)
    allowance = _at_least(tolerances.allowed(pairing.observation, observation.precision), _DIRECTIONAL)
    finite = np.isfinite(observation.value)
    allowance = replace(allowance, magnitude=float(np.abs(observation.value).max(initial=0.0, where=finite)))
    with np.errstate(invalid="ignore"):
        comparison = compare_numbers(pairing, slopes(observation.value, directions), expected, allowance)
    message = comparison.message and f"slopes along {len(directions)} directions: {comparison.message}"
    evidence = {"reference": _BUILT_IN, "directions": len(directions)}
    return [replace(comparison, worst_index=None, message=message, evidence=evidence)]  # it is not an index of the gradient


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
