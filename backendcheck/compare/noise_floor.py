"""The numerical noise of each comparison: a leg compared with its own noise recordings, by the same tolerance.

This shows whether a tolerance has room above the noise, and whether a difference can be noise. It changes no verdict. Notes say
what could not be measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from backendcheck.case import Tolerance
from backendcheck.compare.arrays import compare_observations
from backendcheck.compare.backends import inside_only
from backendcheck.compare.findings import Comparison, Finding, Pairing
from backendcheck.compare.numbers import compare_numbers
from backendcheck.compare.tolerances import NORM_WISE, Allowed
from backendcheck.recordings.legs import Leg
from backendcheck.recordings.noise import JITTERED, MEASURES, SOURCES, Noise, NoiseFloor, magnitude
from backendcheck.recordings.recording import Recording
from backendcheck.text.words import first_line
from backendcheck.vocabulary.findings import FindingKind
from backendcheck.vocabulary.observations import Observation, Quantity, quantity_of
from backendcheck.vocabulary.sides import Side


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
    cache: dict[tuple[str, str, Tolerance | None], list[Noise]] = {}
    with_floor = []
    for comparison in comparisons:
        if comparison.tolerance is None and comparison.origin != "exact":
            with_floor.append(comparison)
            continue
        noises = []
        for leg_label in dict.fromkeys(side.leg for side in comparison.sides):
            key = (leg_label, comparison.observation, comparison.tolerance)
            if leg_label in measured and key not in cache:
                cache[key] = _noises(leg_label, bases[leg_label], measured[leg_label], comparison)
            noises += cache.get(key, [])
        floor = {
            source: max((noise for noise in noises if noise.source == source), key=magnitude, default=None) for source in SOURCES
        }
        with_floor.append(replace(comparison, noise=NoiseFloor(by_source=floor)) if noises else comparison)
    return tuple(with_floor), tuple(notes)


def _moved(recording: Recording) -> bool:
    return any(name.startswith(JITTERED) for name in recording.digests)


def _unusable(base: Recording, noisy: Recording | None) -> str:
    """Why a noise recording says nothing of the noise of `base`; empty if it does."""
    if noisy is None:
        return "has no recording of it"
    if not noisy.was_observed:
        return f"{noisy.status}: {noisy.problem}" if noisy.problem else noisy.status
    stages = {error.stage for error in base.raised}
    new = next((error for error in noisy.raised if error.stage not in stages), None)
    if new is not None:
        return f"raised {new.type} in stage {new.stage}, where the leg did not: {first_line(new.message)}"
    if len(noisy.raised) < len(base.raised):
        return f"did not raise {base.raised[0].type} in stage {base.raised[0].stage}, as the leg did"
    if base.file_digest != noisy.file_digest:
        return "is of another version of the case file"
    digests = {name: digest for name, digest in noisy.digests.items() if not name.startswith(JITTERED)}
    if differing := [name for name in sorted({*digests, *base.digests}) if digests.get(name) != base.digests.get(name)]:
        return f"had other inputs: {', '.join(differing[:4])}"
    return ""


def _lacking(base: Recording, noisy: Recording) -> list[str]:
    """What a leg recorded and its noise recording did not. A noise recording saves no model, and text has no noise."""
    return [
        name for name in base.observations
        if name not in noisy.observations and not inside_only(name) and quantity_of(name) is not Quantity.SAVED
    ]  # fmt: skip


def _noises(label: str, base: Recording, noisy: Mapping[str, Recording], comparison: Comparison) -> list[Noise]:
    """The noise of one observation of one leg, by each of its noise recordings that has it."""
    observation = base.observations.get(comparison.observation)
    if observation is None:
        return []
    noises = []
    for name, recording in noisy.items():
        repeated = recording.observations.get(comparison.observation)
        source = MEASURES[name]
        if repeated is None or (source == "float64" and not _gained_precision(observation, repeated)):
            continue
        moved = _compare_again(comparison, observation, repeated)
        structural = isinstance(moved, Finding) and moved.kind not in (FindingKind.VALUE, FindingKind.ORDER)
        noises.append(
            Noise(
                source=source, leg=label, max_abs=moved.max_abs, excess=None if structural else moved.excess,
                n_elements=moved.n_elements, n_different=moved.n_different,
                message=f"under {source} {moved.message}" if structural else "",
            )
        )  # fmt: skip
    return noises


def _gained_precision(observation: Observation, repeated: Observation) -> bool:
    return observation.is_float and observation.precision != "float64" and repeated.precision == "float64"


def _compare_again(comparison: Comparison, observation: Observation, repeated: Observation) -> Comparison:
    """Both arrays by the tolerance of `comparison`. NaN and Inf at the same places are not noise."""
    pairing = Pairing(
        oracle=comparison.oracle, observation=comparison.observation, left=Side("the leg"), right=Side("its repetition")
    )
    norm_wise = quantity_of(comparison.observation) in NORM_WISE
    tolerance = comparison.tolerance or Tolerance(rtol=0.0, atol=0.0)
    allowance = Allowed(tolerance=tolerance, origin=comparison.origin, norm_wise=norm_wise)
    numbers = not observation.is_text and not repeated.is_text and (observation.is_float or repeated.is_float)
    if numbers and comparison.tolerance is not None and observation.value.shape == repeated.value.shape:  # in any float type
        return compare_numbers(pairing, observation.value, repeated.value, allowance, observation.value)
    return compare_observations(pairing, (observation, repeated), allowance)[-1]
