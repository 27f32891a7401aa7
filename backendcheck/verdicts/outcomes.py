"""Outcomes: what each backend does in a known divergence, compared with what was recorded.

An outcome is ``raises TYPE``, ``nan``, ``inf`` or a number. A number is compared within the tolerance of its observation.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backendcheck.compare.tolerances import Override, Tolerances
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.observations import Observation, ObservationName, Quantity
from backendcheck.vocabulary.sides import Side

_RAISES = re.compile(r"raises ([A-Za-z_]\w*)")
_ELEMENT = re.compile(r"(?P<name>.+)\[(?P<index>\d+(?:, ?\d+)*)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Either the type of an exception, or a number. `text` is how the file has it."""

    text: str
    raises: str = ""
    number: float = math.nan

    def __str__(self) -> str:
        return self.text


def parse_outcome(text: str) -> Outcome | None:
    """None if `text` is not an outcome."""
    if match := _RAISES.fullmatch(text.strip()):
        return Outcome(text=text, raises=match[1])
    try:
        return Outcome(text=text, number=float(text))
    except ValueError:
        return None


@functools.lru_cache(maxsize=1024)
def backend_of(side: str) -> str:
    """The backend of a side or a leg: ``jax:evaluate`` and ``jax#2`` are on ``jax``."""
    return Side(side).backend


@dataclass(frozen=True, slots=True, kw_only=True)
class _Selected:
    """The elements of an observation that an outcome speaks of, as float64."""

    name: str
    observed: Observation
    values: np.ndarray


def changed_outcomes(
    outcome: Mapping[str, Outcome], observation: str, recordings: Mapping[str, Recording], overrides: Sequence[Override] = ()
) -> list[str]:
    """What of `outcome` is not so in `recordings`, in words. Legs that did not run are left out."""
    changed = []
    for leg, recording in recordings.items():
        expected = outcome.get(backend_of(leg))
        if expected is None or _meets(expected, observation, recording, overrides):
            continue
        name = observation or default_observation(recording)
        where = f" ({name})" if name and not recording.raised else ""
        current = observed_outcome(recording, observation) or "something else"
        changed.append(f"the outcome on {leg}{where} was {expected}, it is {current}")
    return changed


def default_observation(recording: Recording) -> str:
    """The observation that an outcome speaks of where the entry names none: the loss, or the only value; empty without one."""
    if "loss" in recording.observations:
        return "loss"
    values = [name for name in recording.observations if ObservationName.parse(name).quantity is Quantity.VALUE]
    return values[0] if len(values) == 1 else ""


def observed_outcome(recording: Recording, observation: str = "") -> str:
    """The outcome of a recording as a file would have it; empty where no exception or single number says it."""
    if recording.raised:
        return f"raises {recording.raised[0].type}"
    selected = _select(recording, observation)
    if selected is None:
        return ""
    values = selected.values
    if np.isnan(values).any():
        return "nan"
    if np.isinf(values).any():
        values = values[np.isinf(values)]
    number = values.flat[0] + 0.0  # without the sign of a zero
    if not (values == number).all():
        return ""
    if not selected.observed.is_float:
        return f"{number:.0f}"
    return str(number if selected.observed.precision == "float64" else np.float32(number))


def _meets(expected: Outcome, observation: str, recording: Recording, overrides: Sequence[Override]) -> bool:
    if recording.raised or expected.raises:
        return bool(recording.raised) and recording.raised[0].type == expected.raises
    selected = _select(recording, observation)
    if selected is None:
        return False
    if math.isnan(expected.number):
        return bool(np.isnan(selected.values).any())
    if math.isinf(expected.number):
        return bool((selected.values == expected.number).any()) and not np.isnan(selected.values).any()
    if not np.isfinite(selected.values).all():
        return False
    allowance = _allowance(expected.number, selected, recording, overrides)
    return bool((np.abs(selected.values - expected.number) <= allowance).all())


def _allowance(number: float, selected: _Selected, recording: Recording, overrides: Sequence[Override]) -> np.ndarray:
    """How far each element may be from `number`. For a gradient that goes by the largest element of the whole."""
    magnitude = np.maximum(np.abs(selected.values), abs(number))
    if not selected.observed.is_float:
        return np.zeros_like(magnitude)
    tolerances = Tolerances.of(recording, overrides).allowed(selected.name, selected.observed.precision)
    if tolerances.norm_wise:
        whole = np.abs(np.asarray(selected.observed.value, dtype=np.float64))
        magnitude = np.maximum(magnitude, whole[np.isfinite(whole)].max(initial=0.0))
    return np.asarray(tolerances.tolerance.atol + tolerances.tolerance.rtol * magnitude)


def _select(recording: Recording, observation: str) -> _Selected | None:
    """None if the observation was not recorded, holds text or nothing, or has no element at the place that is named."""
    name, index = observation or default_observation(recording), None
    if name not in recording.observations and (match := _ELEMENT.fullmatch(name)):
        name, index = match["name"], tuple(int(place) for place in match["index"].split(","))
    observed = recording.observations.get(name)
    if observed is None or observed.is_text or not np.size(observed.value):
        return None
    values = np.asarray(observed.value, dtype=np.float64)
    if index is not None:
        if len(index) != values.ndim or any(place >= size for place, size in zip(index, values.shape, strict=True)):
            return None
        values = values[index].reshape(1)
    return _Selected(name=name, observed=observed, values=values)
