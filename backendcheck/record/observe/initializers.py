"""Random initial weights of layers, wherever they are built, drawn by NumPy: the same on every backend.

The seed of an initializer means other numbers on each backend. What a ModelCase builds is drawn anew by `weights`; of layers that
somebody's function builds, only the initializers are within reach.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

_MODULE = "keras.src.initializers.random_initializers"  # where all of Keras's random initializers draw through `random`


@contextlib.contextmanager
def drawn_by_numpy() -> Iterator[None]:
    """Have Keras's random initializers draw from NumPy; what a layer draws later (dropout) is the backend's, as ever."""
    try:
        module: Any = importlib.import_module(_MODULE)
        drawing = module.random
    except (ImportError, AttributeError):  # another Keras: weights then differ between backends, which is seen
        yield
        return
    module.random = _Draws(drawing)
    try:
        yield
    finally:
        module.random = drawing


class _Draws:
    """`keras.src.backend.random` with the three distributions that initializers draw from by NumPy."""

    def __init__(self, drawing: Any) -> None:
        self._drawing = drawing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._drawing, name)

    def normal(self, shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        return self._drawn(lambda rng, size: rng.normal(mean, stddev, size), shape, dtype, seed)

    def uniform(self, shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        return self._drawn(lambda rng, size: rng.uniform(minval, maxval, size), shape, dtype, seed)

    def truncated_normal(self, shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        return self._drawn(lambda rng, size: mean + stddev * _truncated(rng, size), shape, dtype, seed)

    def _drawn(self, draw: Callable[[np.random.Generator, Any], np.ndarray], shape: Any, dtype: Any, seed: Any) -> Any:
        if not isinstance(seed, int):
            # A SeedGenerator, or none: its state is whole numbers, which all backends count alike.
            seed = [int(number) for number in np.ravel(keras.ops.convert_to_numpy(self._drawing.draw_seed(seed)))]
        numbers = [number % 2**32 for number in (seed if isinstance(seed, list) else [seed])]
        values = draw(np.random.default_rng(numbers), tuple(shape))
        return keras.ops.convert_to_tensor(values.astype(np.float32), dtype=dtype or keras.config.floatx())


def _truncated(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers, those beyond two drawn again."""
    values = rng.standard_normal(size)
    while (beyond := np.abs(values) > 2.0).any():  # noqa: PLR2004 - where every backend cuts it off
        values = np.where(beyond, rng.standard_normal(size), values)
    return values
