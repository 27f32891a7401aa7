"""The random generators of a process: their states, and those that objects and functions hold."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType
from typing import Any

import keras
import numpy as np

from backendcheck.record.observe.state import has_attributes, parts_of

_DEEPEST = 4  # objects within objects


def host_state() -> tuple[Any, Any]:
    return random.getstate(), np.random.get_state()  # noqa: NPY002 - the generator that user code shares


def set_host_state(state: tuple[Any, Any]) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])  # noqa: NPY002


def is_equal(left: Any, right: Any) -> bool:
    if isinstance(left, tuple) and all(isinstance(item, int) for item in left):
        return bool(left == right)  # a state of Python's generator, of 625 numbers
    if isinstance(left, tuple | list) and isinstance(right, tuple | list):
        return len(left) == len(right) and all(map(is_equal, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(is_equal(left[key], right[key]) for key in left)
    return bool(np.array_equal(left, right))


def _is_generator(value: Any) -> bool:
    return isinstance(value, np.random.Generator | np.random.RandomState | random.Random)


def state_of(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state() if isinstance(generator, np.random.RandomState) else generator.getstate()


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.setstate(state)


@contextmanager
def rewound(*holders: Any) -> Iterator[Callable[[], None]]:
    """A context with a function that puts the generators inside `holders` back to where they are now."""
    states = [(generator, state_of(generator)) for generator in generators_within(holders)]

    def rewind() -> None:
        for generator, state in states:
            _set_state(generator, state)

    yield rewind


def generators_within(value: Any) -> Iterator[Any]:
    """NumPy's and Python's generators inside objects: in attributes, closures, and the globals that functions name."""
    found: dict[int, Any] = {}
    visited: set[int] = set()

    def visit(value: Any, depth: int) -> None:
        if value is None or depth < 0 or id(value) in visited or isinstance(value, str | bytes | int | float | np.ndarray):
            return
        visited.add(id(value))
        if _is_generator(value):
            found[id(value)] = value
        else:
            for part in _parts(value):
                visit(part, depth - 1)

    visit(value, _DEEPEST + 1)
    return iter(found.values())


def _parts(value: Any) -> list[Any]:
    if isinstance(value, keras.Variable):
        return []
    parts = parts_of(value)
    if inspect.ismethod(value):
        return [*parts, value.__func__]
    if inspect.isfunction(value):
        named = [value.__globals__.get(name) for name in _names(value.__code__)]
        return [*parts, *named, *(value.__defaults__ or ()), getattr(value, "__wrapped__", None)]
    if isinstance(value, Mapping | list | tuple | set) or not has_attributes(value):
        return parts
    if is_of_library(value):  # a wrapper of a user's function, or thousands of objects
        return [part for part in parts if inspect.isfunction(part)]
    return [*parts, *(part for part in vars(type(value)).values() if inspect.isfunction(part))]


def is_of_library(value: Any) -> bool:
    """Whether the class of `value` is of Keras or a backend."""
    return type(value).__module__.startswith(("keras.", "tensorflow.", "torch.", "jax"))


def _names(code: CodeType) -> set[str]:
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)
