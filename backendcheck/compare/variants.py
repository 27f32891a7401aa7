"""The paths and order oracles: each variant is compared with the recording of its own backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from backendcheck.compare.arrays import compare_observations
from backendcheck.compare.backends import not_compared
from backendcheck.compare.findings import Comparison, Finding, Pairing, error_words, what_came_instead
from backendcheck.compare.numbers import equal_numbers, is_finite
from backendcheck.compare.tolerances import Override, Tolerances
from backendcheck.recordings.recording import Recording, Variant
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import MASK_PATHS, Observation, Quantity, quantity_of
from backendcheck.vocabulary.relations import broken
from backendcheck.vocabulary.sides import Side
from backendcheck.vocabulary.stages import recorded_in

_MASKS = (Quantity.MASK, Quantity.LAYER_MASK)


def compare_variants(recordings: Mapping[str, Recording], overrides: Sequence[Override] = ()) -> list[Comparison]:
    """Compare every variant of each leg with what the leg recorded; the right side is named ``jax:evaluate``."""
    comparisons: list[Comparison] = []
    for leg, recording in recordings.items():
        tolerances, finite = Tolerances.of(recording, overrides), _Finite(recording.observations)
        for variant in recording.variants:
            comparisons += _compare_raised(leg, recording, variant)
            comparisons += _compare_observations(leg, recording, variant, tolerances, finite)
    return comparisons


class _Finite(dict[str, bool]):
    """Whether an observation has numbers, and all are finite. Each is compared with many variants, and looked at once."""

    def __init__(self, observations: Mapping[str, Observation]) -> None:
        self._observations = observations

    def __missing__(self, name: str) -> bool:
        observation = self._observations[name]
        self[name] = observation.is_float and observation.value.size > 0 and is_finite(observation.value)
        return self[name]


def _compare_observations(
    leg: str, recording: Recording, variant: Variant, tolerances: Tolerances, finite: Mapping[str, bool]
) -> Iterator[Comparison]:
    oracle, sides = variant.oracle, (Side(leg), Side.of(leg, variant.path))
    for name, observation in variant.observations.items():
        base = recording.observations.get(name)
        if base is None or not_compared(name, recording):
            continue  # what is missing was raised, which is a finding of its own
        allowance = tolerances.allowed(name, base.precision, observation.precision)
        if base.value is observation.value and base.dtype == observation.dtype and finite[name]:
            yield equal_numbers(oracle, name, sides, base.value.size, allowance)
            continue
        pairing = Pairing(oracle=oracle, observation=name, left=sides[0], right=sides[1])
        for comparison in compare_observations(pairing, (base, observation), allowance, recording.reference.get(name)):
            if not isinstance(comparison, Finding):
                yield comparison
                continue
            # NaN on every path is the subject of the agreement oracle, and numbers that Keras returns as Python floats have
            # no dtype of their own.
            alike = comparison.kind is FindingKind.NON_FINITE and _same_non_finite(base.value, observation.value)
            if comparison.kind is not FindingKind.DTYPE and not alike:
                yield _in_words(comparison)


def _in_words(finding: Finding) -> Finding:
    """The finding; where a relation is broken or a mask is lost, its message says so first."""
    path, sentence = finding.right.path, ""
    if finding.oracle is Oracle.ORDER:
        sentence = broken(path, finding.observation)
    elif path in MASK_PATHS and finding.kind is FindingKind.VALUE and quantity_of(finding.observation) in _MASKS:
        sentence = f"another mask than that of the layers reaches the {path}"
    return replace(finding, message=f"{sentence}: {finding.message}") if sentence else finding


def _same_non_finite(left: object, right: object) -> bool:
    return bool(np.array_equal(np.asarray(left, np.float64), np.asarray(right, np.float64), equal_nan=True))


def _compare_raised(leg: str, recording: Recording, variant: Variant) -> Iterator[Finding]:
    """An error on one path and a number on the other."""
    raised, base_raised = variant.raised, recording.raised
    if raised is not None and not base_raised:
        message = f"{error_words(raised, f' through {variant.path}')}; {what_came_instead(recording)} as recorded"
    elif raised is None and base_raised and variant.observations and _covers_what_raised(recording, variant):
        error = base_raised[0]
        message = f"{error_words(error, f' in stage {error.stage}')}; a number through {variant.path}"
    else:
        return
    pairing = Pairing(oracle=variant.oracle, observation="raised", left=Side(leg), right=Side.of(leg, variant.path))
    yield pairing.structural(FindingKind.RAISED, message)


def _covers_what_raised(recording: Recording, variant: Variant) -> bool:
    """Whether the variant has a value from a stage that raised in the recording. Otherwise both stopped or went on alike."""
    stages = {raised.stage for raised in recording.raised}
    added = {recorded_in(name) for name in variant.observations if name not in recording.observations}
    return bool(stages & added)
