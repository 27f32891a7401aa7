"""Initial weights drawn by NumPy, so that every backend starts from the same ones.

The same seed gives different weights on different backends. Of a model case, each variable that was created as trainable gets
values from a generator with the seed and the path of the variable as its key. Of layers that a user's function builds, only
the initializers can be reached: they draw from NumPy while `numpy_initializers` is entered.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from backendcheck.record.observe.arrays import as_observation, digest

# How far biases, scales and other one-dimensional weights move from their constant: enough that two of them differ, and little
# compared with the 1 of a scale.
_SHIFT = 0.05


def named_weights(model: Any) -> list[tuple[str, Any]]:
    """Every float weight of `model` with its path. A repeated path gets a number at its end.

    The integer state of random generators is left out, because it depends on the backend.
    """
    counts: Counter[str] = Counter()
    named = []
    for variable in model.weights:
        path = getattr(variable, "path", None) or variable.name
        counts[path] += 1
        if "float" in str(variable.dtype):
            named.append((path if counts[path] == 1 else f"{path}:{counts[path]}", variable))
    return named


def created_trainable(model: Any) -> set[int]:
    """The ids of the variables that layers created as trainable weights, also of those that were frozen later."""
    ids: set[int] = set()
    for layer in _layers(model):
        ids.update(id(variable) for variable in getattr(layer, "_trainable_variables", ()))
    ids.update(id(variable) for variable in model.trainable_variables)
    return ids


def _layers(model: Any) -> Iterator[Any]:
    yield from model._flatten_layers() if hasattr(model, "_flatten_layers") else [model, *model.layers]  # noqa: SLF001


def draw(path: str, built: np.ndarray, seed: int) -> np.ndarray:
    """The seeded initial value of a weight: same shape and dtype as `built`, the same on every backend.

    In float64 it is a number that float32 holds as well: JAX, which has no float64 unless it is enabled, starts from the same.
    Matrices and kernels are Glorot uniform (Glorot and Bengio 2010), limit sqrt(6 / (fan_in + fan_out)). Vectors and scalars that
    were built as a constant stay within 0.05 of it, so that a scale stays near 1 and a bias near 0. Vectors that were built at
    random are drawn within 0.05 of 0.
    """
    key = hashlib.sha256(f"{seed}\0{path}\0{built.shape}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(key[:16], "little"))
    if built.ndim >= 2:  # noqa: PLR2004 - matrices and up
        receptive = math.prod(built.shape[:-2])
        limit = math.sqrt(6.0 / max(1, receptive * (built.shape[-2] + built.shape[-1])))
        return _held_by_single(generator.uniform(-limit, limit, built.shape), built.dtype)
    constant = built.size > 0 and bool(np.all(built == built.flat[0]))
    center = np.asarray(built.flat[0] if constant else 0.0, np.float64)
    return _held_by_single(center + generator.uniform(-_SHIFT, _SHIFT, built.shape), built.dtype)


def _held_by_single(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    return (values.astype(np.float32) if dtype == np.float64 else values).astype(dtype)


def seed_weights(model: Any, seed: int) -> None:
    """Draw every weight that was created as trainable. Statistics and adapted state stay as they were built."""
    seeded = created_trainable(model)
    for path, variable in named_weights(model):
        if id(variable) in seeded:
            built = as_observation(variable, where=path)
            variable.assign(draw(path, built.value, seed))


def weight_digests(model: Any, dtype: str | None = None) -> dict[str, str]:
    """A digest for each weight created as trainable. Legs with different digests are not comparable.

    With `dtype`, float64 weights are cast to it first. Without, those are that float32 holds as well.
    """
    seeded = created_trainable(model)
    weights = {path: variable for path, variable in named_weights(model) if id(variable) in seeded}
    values = {path: as_observation(variable, where=path).value for path, variable in weights.items()}
    for path, value in values.items():
        if value.dtype == np.float64:
            single = value.astype(np.float32)
            values[path] = value.astype(dtype) if dtype is not None else single if np.array_equal(single, value) else value
    return {f"weights/{path}": digest(value) for path, value in values.items()}


def state_fingerprints(model: Any) -> dict[str, tuple[float, float]]:
    """Mean and root mean square of the other weights, such as statistics that the backend adapted from data.

    These weights have no digest, because they may differ by rounding. A random constant differs by far more.
    """
    seeded = created_trainable(model)
    fingerprints = {}
    for path, variable in named_weights(model):
        if id(variable) not in seeded:
            value = as_observation(variable, where=path).value.astype(np.float64)
            if value.size:
                fingerprints[path] = (float(value.mean()), float(np.sqrt(np.mean(value**2))))
    return fingerprints


# --- the initializers of Keras ---------------------------------------------------------------------------------

_MODULE = "keras.src.initializers.random_initializers"  # all random initializers of Keras draw through its name `random`


@contextlib.contextmanager
def numpy_initializers() -> Iterator[None]:
    """Have the random initializers of Keras draw from NumPy. Other random numbers (dropout) still come from the backend."""
    try:
        module: Any = importlib.import_module(_MODULE)
        backend_random = module.random
    except (ImportError, AttributeError):  # another version of Keras; weights then differ between backends, and that is reported
        yield
        return
    module.random = _NumpyRandom(backend_random)
    try:
        yield
    finally:
        module.random = backend_random


class _NumpyRandom:
    """`keras.src.backend.random`, with the three distributions that initializers use drawn by NumPy."""

    def __init__(self, backend_random: Any) -> None:
        self._backend_random = backend_random

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend_random, name)

    def normal(self, shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        return self._tensor(lambda rng, size: rng.normal(mean, stddev, size), shape, dtype, seed)

    def uniform(self, shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        return self._tensor(lambda rng, size: rng.uniform(minval, maxval, size), shape, dtype, seed)

    def truncated_normal(self, shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        return self._tensor(lambda rng, size: mean + stddev * _truncated_normal(rng, size), shape, dtype, seed)

    def _tensor(self, draw: Callable[[np.random.Generator, Any], np.ndarray], shape: Any, dtype: Any, seed: Any) -> Any:
        if not isinstance(seed, int):
            # A SeedGenerator or None: its state is whole numbers, which all backends count in the same way.
            seed = [int(number) for number in np.ravel(keras.ops.convert_to_numpy(self._backend_random.draw_seed(seed)))]
        numbers = [number % 2**32 for number in (seed if isinstance(seed, list) else [seed])]
        values = draw(np.random.default_rng(numbers), tuple(shape))
        return keras.ops.convert_to_tensor(values.astype(np.float32), dtype=dtype or keras.config.floatx())


def _truncated_normal(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers; those beyond 2 are drawn again."""
    values = rng.standard_normal(size)
    while (beyond := np.abs(values) > 2.0).any():  # noqa: PLR2004 - where every backend truncates
        values = np.where(beyond, rng.standard_normal(size), values)
    return values
