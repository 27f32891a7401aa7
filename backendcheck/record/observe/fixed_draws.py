"""The random numbers of `keras.random`, drawn alike on every backend, so that a model with dropout can be compared in training.

Each number is a hash of the seed of the case, the state of the seed generator and the place of the number. The hash uses whole
numbers alone, which every backend computes exactly, so it needs no callback: it works op by op, traced, compiled, and under XLA.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.random.seed_generator import draw_seed  # before it is watched: fixed numbers are no longer random

from backendcheck.record.backends import backend_module
from backendcheck.record.observe.draws import keras_random, replaced
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.state import is_random_generator

_GOLDEN = 0x9E3779B9 - 2**32  # constants of Murmur3, as signed numbers
_MIX = (0x85EBCA6B - 2**32, 0xC2B2AE35 - 2**32)
_LARGEST = 2**31 - 1
_SALT = 0x5BD1E995  # apart from each other, what one op draws more than once
_TRIES = 8  # for a normal number within two standard deviations: all of them fail once in 5e10

# Earlier versions of Keras have the operators alone. On OpenVINO these are for truth values, whatever they are given.
_xor, _and = getattr(ops, "bitwise_xor", operator.xor), getattr(ops, "bitwise_and", operator.and_)

NOT_FIXED = ("gamma", "binomial", "beta")


@contextmanager
def fixed_draws(seed: int) -> Iterator[None]:
    """A context in which the ops of `keras.random` draw the same numbers on every backend.

    Raises:
        InvalidCase: on leaving, if one was called that cannot.
    """
    refused: list[str] = []
    fixed = _Fixed(seed % _LARGEST, refused)
    module = keras_random()
    with ExitStack() as stack:
        for name in ("normal", "uniform", "categorical", "randint", "truncated_normal", "dropout", "shuffle"):
            stack.enter_context(replaced(module, name, _fixed(getattr(fixed, name), getattr(module, name))))
        for name in NOT_FIXED:
            if hasattr(module, name):
                stack.enter_context(replaced(module, name, _fixed(fixed.refuse(name), getattr(module, name))))
        try:
            yield
        finally:
            if refused:  # Keras and the backend may have made an exception of their own of it
                raise InvalidCase(refused[0]) from None


def number_generators(variables: Sequence[Any]) -> None:
    """Start each seed generator from its number in the model, because the seeds that they were built with need not be alike."""
    for number, variable in enumerate(filter(is_random_generator, variables), 1):
        variable.assign(np.array([number, 0]))


def _fixed(op: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    def drawing(*args: Any, **kwargs: Any) -> Any:
        if backend_module().is_symbolic():
            return original(*args, **kwargs)
        return op(*args, **kwargs)

    drawing.is_fixed = True  # type: ignore[attr-defined]
    return drawing


class _Fixed:
    """The ops of `keras.random`, with its parameters."""

    def __init__(self, seed: int, refused: list[str]) -> None:
        self.seed = seed
        self.refused = refused

    def refuse(self, name: str) -> Callable[..., Any]:
        def refusing(*_: Any, **__: Any) -> Any:
            self._refuse(f"keras.random.{name} cannot be drawn alike on every backend; expected other ops of keras.random")

        return refusing

    def _refuse(self, what: str) -> None:
        message = f"ModelCase: random='fixed': {what}. Leave random='fixed' out."
        self.refused.append(message)
        raise InvalidCase(message)

    # --- whole numbers ----------------------------------------------------------------------------------------

    def _keys(self, seed: Any) -> tuple[Any, Any]:
        if seed is None:
            self._refuse("keras.random was called without a seed; expected a keras.random.SeedGenerator, or a number as seed")
        state = ops.mod(draw_seed(seed), _LARGEST)
        first, second = ops.unstack(ops.cast(state, "int32"), num=2)
        return first, second

    def _bits(self, keys: tuple[Any, Any], shape: Sequence[Any], salt: int = 0) -> Any:
        """Random int32, each a hash of its place."""
        is_known = all(isinstance(n, int) for n in shape)
        size = math.prod(shape) if is_known else ops.prod(ops.stack([ops.cast(n, "int32") for n in shape]))
        bits = ops.arange(size, dtype="int32") * _GOLDEN + (self.seed + salt * _SALT) % _LARGEST
        for key in keys:
            bits = _mixed(_mixed(bits) + key * _GOLDEN)
        return ops.reshape(bits, tuple(shape))

    def _unit(self, keys: tuple[Any, Any], shape: Sequence[Any], salt: int = 0) -> Any:
        """Uniform in [0, 1), multiples of 2**-24, which float32 holds exactly."""
        return ops.cast(_shifted(self._bits(keys, shape, salt), 8), "float32") * 2.0**-24

    def _normals(self, keys: tuple[Any, Any], shape: Sequence[Any], salt: int = 0) -> Any:
        """By Box and Muller."""
        radius = ops.sqrt(-2.0 * ops.log(1.0 - self._unit(keys, shape, 2 * salt)))
        return radius * ops.cos(2.0 * math.pi * self._unit(keys, shape, 2 * salt + 1))

    # --- distributions ----------------------------------------------------------------------------------------

    def uniform(self, shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        unit = ops.cast(self._unit(self._keys(seed), tuple(shape)), dtype or keras.config.floatx())
        return unit * (maxval - minval) + minval

    def normal(self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        normals = ops.cast(self._normals(self._keys(seed), tuple(shape)), dtype or keras.config.floatx())
        return normals * stddev + mean

    def truncated_normal(self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        keys = self._keys(seed)
        normals = ops.clip(self._normals(keys, tuple(shape)), -2.0, 2.0)
        for salt in range(1, _TRIES):
            normals = ops.where(ops.abs(normals) < 2.0, normals, ops.clip(self._normals(keys, tuple(shape), salt), -2.0, 2.0))  # noqa: PLR2004
        return ops.cast(normals, dtype or keras.config.floatx()) * stddev + mean

    def randint(self, shape: Any, minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None) -> Any:
        low, high = ops.cast(minval, "int32"), ops.cast(maxval, "int32")
        return ops.cast(low + ops.mod(_shifted(self._bits(self._keys(seed), tuple(shape)), 1), high - low), dtype)

    def categorical(self, logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
        n, n_classes = ops.shape(logits)
        unit = self._unit(self._keys(seed), (n, num_samples, n_classes)) + 2.0**-25
        gumbel = -ops.log(-ops.log(unit))
        return ops.cast(ops.argmax(ops.expand_dims(ops.cast(logits, "float32"), 1) + gumbel, axis=-1), dtype)

    def dropout(self, inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
        if rate in (0.0, 1.0):
            return inputs if rate == 0.0 else ops.zeros_like(inputs)
        shape = ops.shape(inputs)
        if noise_shape is not None:
            shape = tuple(whole if noise is None else noise for whole, noise in zip(shape, noise_shape, strict=True))
        # Whole numbers, because backends round the rate differently before they compare it.
        is_kept = _shifted(self._bits(self._keys(seed), shape), 8) >= math.ceil(float(rate) * 2**24)
        return ops.where(is_kept, inputs / (1.0 - rate), ops.zeros_like(inputs))

    def shuffle(self, x: Any, axis: int = 0, seed: Any = None) -> Any:
        return ops.take(x, ops.argsort(self._bits(self._keys(seed), (ops.shape(x)[axis],))), axis=axis)


def _mixed(bits: Any) -> Any:
    """The finalizer of Murmur3: each bit of the result depends on all bits."""
    for distance, factor in ((16, _MIX[0]), (13, _MIX[1])):
        bits = _xor(bits, _shifted(bits, distance)) * factor
    return _xor(bits, _shifted(bits, 16))


def _shifted(bits: Any, distance: int) -> Any:
    """Shifted right, filled with zeros."""
    return _and(backend_module().shift_right(bits, distance), 2 ** (32 - distance) - 1)
