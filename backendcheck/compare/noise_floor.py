"""How large healthy noise is: each leg held against its own noise recordings, by the tolerance of every comparison.

A diagnosis: it shows whether a tolerance has room above the noise, or a difference is anything but noise, and it changes no
verdict. What could not be measured is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backendcheck.case import Tolerance
from backendcheck.compare.arrays import Comparison, compare_numbers, compare_observations
from backendcheck.compare.backends import inside_only
from backendcheck.compare.tolerances import NORM_WISE, Allowed
from backendcheck.recordings.legs import Leg
from backendcheck.recordings.noise import JITTERED, KINDS, MEASURES, Noise, NoiseFloor, magnitude
from backendcheck.recordings.recording import Recording
from backendcheck.text.words import first_line
from backendcheck.vocabulary.findings import FindingKind
from backendcheck.vocabulary.observations import Observation, quantity_of


def with_noise(
    case: str, comparisons: Sequence[Comparison], legs: Sequence[Leg]
) -> tuple[tuple[Comparison, ...], tuple[str, ...]]:
    """The comparisons of a case with their noise floors, and what could not be measured, in words.

    Comparisons of structure have no floor, and neither has anything else if no leg has noise recordings.
    """
    measured: dict[str, dict[str, Recording]] = {}
    notes: list[str] = []
    for leg in legs:
        base = leg.recordings.get(case)
        if leg.noise and base is not None and base.observations:
            usable = measured[leg.label] = {}
            for name, recordings in leg.noise.items():
                if problem := _unusable(base, recordings.get(case)):
                    notes.append(f"noise floor: {name} on {leg.label} {problem}")
                    continue
                if lacking := _lacking(base, recordings[case]):
                    notes.append(f"noise floor: {name} on {leg.label} lacks {', '.join(lacking)}")
                if MEASURES[name] != "jitter" or _moved(recordings[case]):
                    usable[name] = recordings[case]
    if not any(measured.values()):
        return tuple(comparisons), tuple(notes)
    bases = {leg.label: leg.recordings[case] for leg in legs if leg.label in measured}
    known: dict[tuple[str, str, Tolerance | None], list[Noise]] = {}
    found = []
    for comparison in comparisons:
        if comparison.tolerance is None and comparison.origin != "exact":
            found.append(comparison)
            continue
        seen = []
        for label in dict.fromkeys(side.partition(":")[0] for side in comparison.sides):
            key = (label, comparison.observation, comparison.tolerance)
            if label in measured and key not in known:
                known[key] = _noises(label, bases[label], measured[label], comparison)
            seen += known.get(key, [])
        floor = {kind: max((one for one in seen if one.kind == kind), key=magnitude, default=None) for kind in KINDS}
        found.append(replace(comparison, noise=NoiseFloor(by_kind=floor)) if seen else comparison)
    return tuple(found), tuple(notes)


def _moved(recording: Recording) -> bool:
    return any(name.startswith(JITTERED) for name in recording.digests)


def _unusable(base: Recording, noisy: Recording | None) -> str:
    """Why a noise recording says nothing of the noise of `base`; empty if it does."""
    if noisy is None:
        return "has no recording of it"
    if not noisy.was_observed:
        return f"{noisy.status}: {noisy.problem}" if noisy.problem else noisy.status
    stages = {one.stage: one for one in base.raised}
    new = next((one for one in noisy.raised if one.stage not in stages), None)
    if new is not None:
        return f"raised {new.type} in stage {new.stage}, where the leg did not: {first_line(new.message)}"
    if len(noisy.raised) < len(base.raised):
        return f"did not raise {base.raised[0].type} in stage {base.raised[0].stage}, as the leg did"
    if base.file_digest != noisy.file_digest:
        return "is of another version of the case file"
    fed = {name: digest for name, digest in noisy.digests.items() if not name.startswith(JITTERED)}
    if other := [name for name in sorted({*fed, *base.digests}) if fed.get(name) != base.digests.get(name)]:
        return f"was fed something else: {', '.join(other[:4])}"
    return ""


def _lacking(base: Recording, noisy: Recording) -> list[str]:
    """What a leg has seen and its noise recording has not, though it looked for it."""
    return [name for name in base.observations if name not in noisy.observations and not inside_only(name)]


def _noises(label: str, base: Recording, noisy: Mapping[str, Recording], comparison: Comparison) -> list[Noise]:
    """The noise of one observation of one leg, by each of its noise recordings that has it."""
    seen = base.observations.get(comparison.observation)
    if seen is None:
        return []
    found = []
    for name, recording in noisy.items():
        other = recording.observations.get(comparison.observation)
        kind = MEASURES[name]
        if other is None or (kind == "float64" and not _gained_precision(seen, other)):
            continue
        one = _held(comparison, seen, other)
        message = f"under {kind} {one.message}" if one.kind not in (None, FindingKind.VALUE, FindingKind.ORDER) else ""
        found.append(
            Noise(
                kind=kind, leg=label, max_abs=one.max_abs, excess=None if message else one.excess, n_elements=one.n_elements,
                n_different=one.n_different, message=message,
            )
        )  # fmt: skip
    return found


def _gained_precision(seen: Observation, other: Observation) -> bool:
    return seen.is_float and seen.precision != "float64" and other.precision == "float64"


def _held(comparison: Comparison, seen: Observation, other: Observation) -> Comparison:
    """Both arrays by the tolerance of `comparison`. NaN and Inf at the same places are no noise."""
    sides = ("the leg", "its repetition")
    norm_wise = quantity_of(comparison.observation) in NORM_WISE
    tolerance = comparison.tolerance or Tolerance(rtol=0.0, atol=0.0)
    allowance = Allowed(tolerance=tolerance, origin=comparison.origin, norm_wise=norm_wise)
    numbers = not seen.is_text and not other.is_text and (seen.is_float or other.is_float)
    if numbers and comparison.tolerance is not None and seen.value.shape == other.value.shape:  # in whatever float type
        common: dict[str, Any] = {
            "oracle": comparison.oracle, "observation": comparison.observation, "left": sides[0], "right": sides[1]
        }  # fmt: skip
        return compare_numbers(common, seen.value, other.value, allowance, seen.value)
    return compare_observations(comparison.oracle, comparison.observation, sides, (seen, other), allowance)[-1]
