"""Perturbations that noise recordings apply to a case: inputs moved by one unit in the last place, or everything in float64."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from backendcheck.record.observe.arrays import digests, map_nest
from backendcheck.record.observe.trace import Trace
from backendcheck.recordings.noise import JITTERED, MEASURES

_SINGLE = "float32"  # the float type of the leg that a float64 recording is compared with


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbation:
    """How the noise recording `name` changes the data of a case. Without a name it changes nothing."""

    name: str = ""

    @property
    def source(self) -> str:
        return MEASURES.get(self.name, "")

    def prepare_session(self) -> None:
        """Change the settings that a case file may read when it is imported."""
        if self.source == "float64":
            keras.config.set_floatx("float64")

    @property
    def settings(self) -> dict[str, str]:
        """Settings that mark the recording, so that it is not compared as a leg."""
        return {"noise": self.name} if self.source in ("jitter", "float64") else {}

    def inputs(self, name: str, nest: Any, trace: Trace, *, seed: int, precision: str | None = None, codes: bool = False) -> Any:
        """The nest of arrays `name` as this recording feeds it. `trace` gets the digests of the arrays that changed.

        `precision` is the coarser float type that the model rounds its inputs to, if any. With `codes`, whole numbers do not
        change: among the inputs of a model they may be ids or padding, and a changed id is not noise.
        """
        if self.source != "jitter" or nest is None:
            return self.rounded(nest)
        key = hashlib.sha256(f"{self.name}\0{seed}\0{name}".encode()).digest()
        generator = np.random.default_rng(int.from_bytes(key[:16], "little"))
        floatx = keras.config.floatx()
        moved = _map_floats(lambda leaf: jittered(leaf, generator, fed_as=floatx, computed_in=precision, codes=codes), nest)
        before, after = digests(name, nest), digests(name, moved)
        trace.digests |= {f"{JITTERED}{path}": digest for path, digest in after.items() if digest != before[path]}
        return moved

    def rounded(self, nest: Any) -> Any:
        """The nest with its floats rounded to float32, so that float64 starts from the same numbers as float32."""
        if self.source != "float64" or nest is None:
            return nest
        return _map_floats(lambda array: array.astype(_SINGLE).astype(array.dtype), nest)

    def rounded_each(self, nests: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        """The same for each of several nests."""
        return None if nests is None else tuple(self.rounded(nest) for nest in nests)

    def round_weights(self, model: Any) -> str | None:
        """Round the weights in the same way. Returns the dtype in which their digests equal those of the leg, or None."""
        if self.source != "float64":
            return None
        for variable in model.weights:
            if variable.dtype == "float64":
                value = np.asarray(keras.ops.convert_to_numpy(variable))
                variable.assign(value.astype(_SINGLE).astype(value.dtype))
        return _SINGLE


def _map_floats(function: Callable[[np.ndarray], np.ndarray], nest: Any) -> Any:
    return map_nest(lambda leaf: function(leaf) if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f" else leaf, nest)


_SIGNIFICANT_BITS = {"float32": 24, "float16": 11, "bfloat16": 8}


def jittered(
    array: np.ndarray, generator: np.random.Generator, *, fed_as: str, computed_in: str | None = None, codes: bool = False
) -> np.ndarray:
    """Every element of a float array moved by one unit in the last place, up or down at random; same shape and dtype.

    The unit is that of the type that the backend computes in: float64 data is fed in the float type of the session (`fed_as`),
    and a model may compute in a coarser type (`computed_in`). NaN and Inf do not change. With `codes`, whole numbers do not.
    """
    fed = array.astype(fed_as) if array.dtype == np.float64 else array
    up = generator.integers(0, 2, fed.shape).astype(bool)
    with np.errstate(all="ignore"):  # NaN, Inf and the largest finite number keep their value below
        bits = _SIGNIFICANT_BITS.get(computed_in or "")
        if bits is not None and bits <= np.finfo(fed.dtype).nmant:
            unit = np.ldexp(np.ones_like(fed), np.frexp(fed)[1] - bits)
            moved = np.where(up, fed + unit, fed - unit)
        else:
            moved = np.nextafter(fed, np.where(up, np.inf, -np.inf).astype(fed.dtype))
        stays = ~np.isfinite(fed) | ~np.isfinite(moved)
        if codes:
            stays |= fed == np.round(fed)
    result: np.ndarray = np.where(stays, array, moved.astype(array.dtype)).astype(array.dtype)
    return result
