"""Initial weights drawn by NumPy, so that every backend starts from the same ones.

The same seed gives different weights on different backends, so each variable that the model created as trainable is
drawn from a generator keyed by the seed and the variable's path.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from backendcheck.record.observe.arrays import digest, observed

# How far biases, scales and other one-dimensional weights are moved from the constant they start at: enough that two
# of them never coincide, and little against the 1 of a scale.
_SHIFT = 0.05


def named_weights(model: Any) -> list[tuple[str, Any]]:
    """Every weight of `model` that holds a float, with its path; a repeated path gets a number behind it.

    The integer state of random generators is left out: it belongs to the backend.
    """
    seen: Counter[str] = Counter()
    named = []
    for variable in model.weights:
        path = getattr(variable, "path", None) or variable.name
        seen[path] += 1
        if "float" in str(variable.dtype):
            named.append((path if seen[path] == 1 else f"{path}:{seen[path]}", variable))
    return named


def created_trainable(model: Any) -> set[int]:
    """The ids of the variables that their layers made as trainable weights, frozen since or not."""
    ids: set[int] = set()
    for layer in _layers(model):
        ids.update(id(variable) for variable in getattr(layer, "_trainable_variables", ()))
    ids.update(id(variable) for variable in model.trainable_variables)
    return ids


def _layers(model: Any) -> Iterator[Any]:
    yield from model._flatten_layers() if hasattr(model, "_flatten_layers") else [model, *model.layers]  # noqa: SLF001


def draw(path: str, built: np.ndarray, seed: int) -> np.ndarray:
    """The seeded initial value of a weight: same shape and dtype as `built`, the same on every backend.

    Matrices and kernels are Glorot uniform (Glorot and Bengio 2010), limit sqrt(6 / (fan_in + fan_out)). Vectors and
    scalars stay within 0.05 of the constant they were built with, so that a scale stays near 1 and a bias near 0; those
    that were built at random are drawn around 0.
    """
    key = hashlib.sha256(f"{seed}\0{path}\0{built.shape}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(key[:16], "little"))
    if built.ndim >= 2:  # noqa: PLR2004 - matrices and up
        receptive = math.prod(built.shape[:-2])
        limit = math.sqrt(6.0 / max(1, receptive * (built.shape[-2] + built.shape[-1])))
        return generator.uniform(-limit, limit, built.shape).astype(built.dtype)
    constant = built.size > 0 and bool(np.all(built == built.flat[0]))
    center = np.asarray(built.flat[0] if constant else 0.0, np.float64)
    return (center + generator.uniform(-_SHIFT, _SHIFT, built.shape)).astype(built.dtype)


def seed_weights(model: Any, seed: int) -> None:
    """Draw every weight that was created as trainable; leave statistics and adapted state as they were built."""
    drawn = created_trainable(model)
    for path, variable in named_weights(model):
        if id(variable) in drawn:
            built = observed(variable, where=path)
            variable.assign(draw(path, built.value, seed))


def weight_digests(model: Any, dtype: str | None = None) -> dict[str, str]:
    """A digest for each weight created as trainable: legs that differ here are not comparable.

    With `dtype` those in float64 are digested as that.
    """
    drawn = created_trainable(model)
    values = {path: observed(variable, where=path).value for path, variable in named_weights(model) if id(variable) in drawn}
    if dtype is not None:
        values = {path: value.astype(dtype) if value.dtype == np.float64 else value for path, value in values.items()}
    return {f"weights/{path}": digest(value) for path, value in values.items()}


def state_fingerprints(model: Any) -> dict[str, tuple[float, float]]:
    """Mean and root mean square of the other weights, such as statistics adapted from data on the backend.

    Those may differ by rounding, so they have no digest; a random constant gives itself away by far more.
    """
    drawn = created_trainable(model)
    prints = {}
    for path, variable in named_weights(model):
        if id(variable) not in drawn:
            value = observed(variable, where=path).value.astype(np.float64)
            if value.size:
                prints[path] = (float(value.mean()), float(np.sqrt(np.mean(value**2))))
    return prints
