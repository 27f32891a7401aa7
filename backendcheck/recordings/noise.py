"""The noise floor in words and values: which recordings measure it, where they lie, what they say of one comparison.

Numerical noise shows when a backend computes the same thing once more: as it is (``repeat``), with its inputs moved by
one unit in the last place (``jitter``), in float64 (``float64``). Those recordings lie beside the legs, in
``DIR/.noise/<recording>/<backend>``, and are never compared as legs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backendcheck.vocabulary.leg_names import backend_in

FOLDER = ".noise"
SOURCES = ("repeat", "jitter", "float64")
# Each recording that is made, and the source of noise that it shows. There are two directions of jitter: one may cancel in a sum.
MEASURES = {"repeat": "repeat", "jitter-1": "jitter", "jitter-2": "jitter", "float64": "float64"}
# Keras computes in float64 throughout on TensorFlow alone; elsewhere it returns float64 that was computed in float32.
_FLOAT64 = "tensorflow"

# Before the digest of an input that was moved; everything else a noise recording is fed is as in its leg.
JITTERED = "jittered/"


def recordings_for(backend: str) -> tuple[str, ...]:
    """The noise recordings that a backend is to have."""
    return tuple(name for name, source in MEASURES.items() if source != "float64" or backend_in(backend) == _FLOAT64)


def noise_path(leg: Path, name: str) -> Path:
    """Where the noise recording `name` of the leg in directory `leg` lies."""
    return leg.parent / FOLDER / name / leg.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What one source of noise does to an observation of one leg.

    `excess` is the largest |difference| / allowed, by the tolerance of the comparison that it belongs to; None where that is
    exact, and where the noise has changed more than values, which `message` says. `n_different` counts elements outside it.
    """

    source: str
    leg: str
    max_abs: float | None
    excess: float | None
    n_elements: int
    n_different: int
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseFloor:
    """The noise of a comparison by source, of the two legs the noisier one; None where it was not or could not be measured."""

    by_source: Mapping[str, Noise | None]

    @property
    def largest(self) -> Noise | None:
        """The noise that moves it most; None if nothing was measured."""
        return max(filter(None, self.by_source.values()), key=magnitude, default=None)


def magnitude(noise: Noise) -> tuple[bool, float, int, float]:
    """A sort key: more than values, then the share of the tolerance, then elements, then size."""
    return bool(noise.message), noise.excess or 0.0, noise.n_different, noise.max_abs or 0.0


def headroom(noise: Noise) -> float | None:
    """How many times the noise goes into the tolerance; None without noise, or without a tolerance of values."""
    return None if noise.message or not noise.excess or not math.isfinite(noise.excess) else 1.0 / noise.excess


def multiple(excess: float | None, noise: Noise) -> float | None:
    """A difference of this excess as a multiple of the noise, in the norm of the tolerance; None where that has no meaning."""
    room = headroom(noise)
    return None if room is None or excess is None or not math.isfinite(excess) else excess * room
