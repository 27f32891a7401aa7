"""The paths and order oracles: each variant is compared with the recording of its own backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from backendcheck.compare.arrays import compare_observations
from backendcheck.compare.backends import not_compared
from backendcheck.compare.findings import Comparison, Finding, Pairing, error_words, what_came_instead
from backendcheck.compare.numbers import equal_numbers, is_finite
from backendcheck.compare.tolerances import Override, Tolerances
from backendcheck.recordings.recording import Recording, Variant
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import MASK_PATHS, Quantity, quantity_of
from backendcheck.vocabulary.relations import broken
from backendcheck.vocabulary.sides import Side
from backendcheck.vocabulary.stages import recorded_in

_MASKS = (Quantity.MASK, Quantity.LAYER_MASK)


def compare_variants(recordings: Mapping[str, Recording], overrides: Sequence[Override] = ()) -> list[Comparison]:
    """Compare every variant of each leg with what the leg recorded; the right side is named ``jax:evaluate``."""
    comparisons: list[Comparison] = []
    for leg, recording in recordings.items():
        side, tolerances, equal = Side(leg), Tolerances.of(recording, overrides), _Equal(recording)
        for variant in recording.variants:
            sides = (side, _side_of(leg, variant.path))
            if variant.raised is not None or recording.raised:
                comparisons += _compare_raised(sides, recording, variant)
            comparisons += _compare_observations(sides, recording, variant, tolerances, equal)
    return comparisons


_side_of = cache(Side.of)  # a run has few of them, and looks at each in every case


class _Equal(dict[str, bool]):
    """Whether an array of a recording is compared, and equal to itself: numbers, all finite.

    It is compared with many variants, of which most have the same array: it is looked at once.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def __missing__(self, name: str) -> bool:
        value = self._recording.observations[name].value
        is_float = self._recording.observations[name].is_float
        self[name] = is_float and value.size > 0 and is_finite(value) and not not_compared(name, self._recording)
        return self[name]


def _compare_observations(
    sides: tuple[Side, Side], recording: Recording, variant: Variant, tolerances: Tolerances, equal: Mapping[str, bool]
) -> Iterator[Comparison]:
    oracle, bases = variant.oracle, recording.observations
    for name, observation in variant.observations.items():
        base = bases.get(name)
        if base is None:
            continue  # what is missing was raised, which is a finding of its own
        if base.value is observation.value and base.dtype == observation.dtype and equal[name]:
            allowance = tolerances.allowed(name, base.precision, observation.precision)
            yield equal_numbers(oracle, name, sides, base.value.size, allowance)
            continue
        if not_compared(name, recording):
            continue
        allowance = tolerances.allowed(name, base.precision, observation.precision)
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


def _compare_raised(sides: tuple[Side, Side], recording: Recording, variant: Variant) -> Iterator[Finding]:
    """An error on one path and a number on the other."""
    raised, base_raised = variant.raised, recording.raised
    if raised is not None and not base_raised:
        message = f"{error_words(raised, f' through {variant.path}')}; {what_came_instead(recording)} as recorded"
    elif raised is None and base_raised and variant.observations and _covers_what_raised(recording, variant):
        error = base_raised[0]
        message = f"{error_words(error, f' in stage {error.stage}')}; a number through {variant.path}"
    else:
        return
    pairing = Pairing(oracle=variant.oracle, observation="raised", left=sides[0], right=sides[1])
    yield pairing.structural(FindingKind.RAISED, message)


def _covers_what_raised(recording: Recording, variant: Variant) -> bool:
    """Whether the variant has a value from a stage that raised in the recording. Otherwise both stopped or went on alike."""
    stages = {raised.stage for raised in recording.raised}
    added = {recorded_in(name) for name in variant.observations if name not in recording.observations}
    return bool(stages & added)
