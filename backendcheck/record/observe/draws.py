"""Random numbers: what draws them while it is watched, and whether a result depends on them.

The proof is a second look in the same process, with all seeds moved on. A result that then differs depends on random numbers, and
no two backends draw the same ones. State alone is not random: a look starts from the same state as the one before.
"""

from __future__ import annotations

import importlib
import inspect
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import keras
import numpy as np

from backendcheck.record.backends import backend_module
from backendcheck.record.observe.generators import generators_within, host_state, is_equal, set_host_state, state_of
from backendcheck.vocabulary.observations import Observation

KERAS_OPS = (
    "normal", "uniform", "categorical", "randint", "truncated_normal", "dropout", "shuffle", "gamma", "binomial", "beta",
)  # fmt: skip
_SEEDS = "keras.src.random.seed_generator"
_SAME = 1e-6  # relative to the largest element: above rounding of the same ops, far below the effect of other random numbers
_MOST_LOOKS = 4  # that a result with few values, such as an accuracy, is not equal by chance
_LONGEST_S = 0.3  # for the looks at one thing; the first is always taken


@dataclass(slots=True, eq=False)
class Draws:
    """What drew random numbers while it was watched.

    host: Python's or NumPy's global generator, which every backend seeds alike.
    backend: an op of `keras.random`, or the global generator of the backend.
    unseeded: a generator without a seed, or one that is held by the code and goes on from call to call.
    generators: the seed generators that were passed to ops of `keras.random`, each with its state before, by id.
    has_new_global: whether Keras made its global seed generator.
    default_seeds: the seeds that Keras chose for layers and initializers, in order.
    start, backend_start: the states of Python's and NumPy's generators and of those of the backend before.
    """

    start: tuple[Any, Any]
    backend_start: Any
    host: bool = False
    backend: bool = False
    unseeded: bool = False
    generators: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    has_new_global: bool = False
    default_seeds: list[int] = field(default_factory=list)
    python: Any = None

    def __bool__(self) -> bool:
        return self.host or self.backend or self.unseeded


_watching: list[Draws] = []
_offset = 0  # added to the seeds of `keras.random` during a look
_replayed: Iterator[int] | None = None  # the default seeds of Keras during a look


# --- watching --------------------------------------------------------------------------------------------------


@contextmanager
def watched(*holders: Any) -> Iterator[Draws]:
    """A context that notes who draws random numbers. Generators are searched for inside `holders`, too."""
    held = list(generators_within(holders))
    before, backend_before = [state_of(generator) for generator in held], backend_module().random_state()
    draws = Draws(start=host_state(), backend_start=backend_before)
    draws.python = draws.start[0]
    _watching.append(draws)
    try:
        with _hooks() if len(_watching) == 1 else ExitStack():
            yield draws
    finally:
        _watching.remove(draws)
        python, numpy = host_state()
        draws.host |= python != draws.python or not is_equal(numpy, draws.start[1])
        draws.backend |= not is_equal(backend_module().random_state(), backend_before)
        draws.unseeded |= any(not is_equal(state_of(generator), state) for generator, state in zip(held, before, strict=True))


@contextmanager
def _hooks() -> Iterator[None]:
    """Have the entry points of random numbers report to those who watch."""
    seeds, ops = importlib.import_module(_SEEDS), keras_random()
    draw_seed = seeds.draw_seed
    with ExitStack() as stack:
        for module in _modules_with_draw_seed(draw_seed):
            stack.enter_context(replaced(module, "draw_seed", lambda seed: _moved(draw_seed(seed))))
        if hasattr(seeds, "python_random"):
            stack.enter_context(replaced(seeds, "python_random", _DefaultSeeds()))
        for name in KERAS_OPS:
            if hasattr(ops, name) and not hasattr(getattr(ops, name), "is_fixed"):
                stack.enter_context(replaced(ops, name, _reporting(getattr(ops, name))))
        for module, name in ((os, "urandom"), (random, "_urandom")):
            stack.enter_context(replaced(module, name, _entropy(getattr(module, name))))
        yield


@contextmanager
def replaced(module: Any, name: str, replacement: Any) -> Iterator[None]:
    """A context in which a name of a module stands for something else."""
    original = getattr(module, name)
    setattr(module, name, replacement)
    try:
        yield
    finally:
        if getattr(module, name) is replacement:
            setattr(module, name, original)


def keras_random() -> Any:
    """The module of the backend with the ops of `keras.random`."""
    return importlib.import_module(f"keras.src.backend.{keras.backend.backend()}.random")


@cache
def _modules_with_draw_seed(draw_seed: Any) -> list[Any]:
    modules = [module for key, module in list(sys.modules.items()) if key.startswith("keras.src.")]
    return [module for module in modules if module.__dict__.get("draw_seed") is draw_seed]


_signature = cache(inspect.signature)


def _moved(seed: Any) -> Any:
    return seed + _offset if _offset else seed


def _reporting(op: Callable[..., Any]) -> Callable[..., Any]:
    signature = _signature(op)

    def reporting(*args: Any, **kwargs: Any) -> Any:
        seed = signature.bind_partial(*args, **kwargs).arguments.get("seed")
        seed = _global_generator() if seed is None else seed
        for draws in _watching:
            draws.backend = True
            draws.has_new_global |= seed is None
            if isinstance(seed, keras.random.SeedGenerator) and id(seed) not in draws.generators:
                draws.generators[id(seed)] = (seed, _value_of(seed))
        return op(*args, **kwargs)

    return reporting


def _global_generator() -> Any:
    seeds = importlib.import_module(_SEEDS)
    return seeds.global_state.get_global_attribute(seeds.GLOBAL_SEED_GENERATOR)


def _value_of(generator: keras.random.SeedGenerator) -> Any:
    """The state of a seed generator; None while a program is traced, where it has no value."""
    try:
        return np.array(keras.ops.convert_to_numpy(generator.state.value))
    except Exception:  # noqa: BLE001 - each backend has its own
        return None


def _entropy(function: Callable[[int], bytes]) -> Callable[[int], bytes]:
    def reporting(size: int) -> bytes:
        for draws in _watching:
            draws.unseeded = True
        return function(size)

    return reporting


class _DefaultSeeds:
    """Python's `random`, as Keras asks it for the seeds of layers. No case draws these, and each look has the same."""

    def __getattr__(self, name: str) -> Any:
        return getattr(random, name)

    @staticmethod
    def randint(low: int, high: int) -> int:
        before = random.getstate()
        value = random.randint(low, high)  # noqa: S311 - as Keras does
        if _replayed is not None:
            value = next(_replayed, value)
        for draws in _watching:
            draws.host |= before != draws.python
            draws.python = random.getstate()
            draws.default_seeds.append(value)
        return value


# --- looking twice ---------------------------------------------------------------------------------------------


@contextmanager
def moved_on(draws: Draws, number: int, *, host: bool = True) -> Iterator[None]:
    """A context in which all seeds have moved on, those of NumPy and Python only with `host`. Default seeds of Keras have not.

    With 0 as `number`, all are where they were at first.
    """
    global _offset, _replayed
    state, backend = host_state(), backend_module().random_state()
    set_host_state(draws.start)
    if number:
        backend_module().seed_random_state(number)
        if host:
            random.seed(number)
            np.random.seed(number)  # noqa: NPY002
    else:
        backend_module().set_random_state(draws.backend_start)
        _rewind_generators(draws)
    _offset, _replayed = number, iter(draws.default_seeds)
    try:
        with watched():
            yield
    finally:
        _offset, _replayed = 0, None
        set_host_state(state)
        backend_module().set_random_state(backend)


def _rewind_generators(draws: Draws) -> None:
    for generator, value in draws.generators.values():
        if value is not None:
            generator.state.assign(value)
    if draws.has_new_global:
        seeds = importlib.import_module(_SEEDS)
        seeds.global_state.set_global_attribute(seeds.GLOBAL_SEED_GENERATOR, None)


Look = Callable[[], Mapping[str, Observation]]


def depends_on_draws(
    draws: Draws, first: Mapping[str, Observation], look: Look, *, host: bool = True, most_looks: int = _MOST_LOOKS
) -> set[str]:
    """The names of the observations that differ with other random numbers, and do not with the same ones.

    Empty where nothing was drawn, or where looking again raises: then nothing is proved. A generator without a seed cannot draw
    the same numbers twice.
    """
    differing: set[str] = set()
    if not draws or not first or (not host and not (draws.backend or draws.unseeded)):
        return differing
    began = time.perf_counter()
    try:
        for number in range(1, most_looks + 1):
            with moved_on(draws, number, host=host):
                differing |= _differing(first, look())
            if len(differing) == len(first) or time.perf_counter() - began > _LONGEST_S:
                break
        if differing and not draws.unseeded:
            with moved_on(draws, 0):
                differing -= _differing(first, look())
    except Exception:  # noqa: BLE001 - the first look has returned, so this one proves nothing
        return set()
    return differing


def _differing(first: Mapping[str, Observation], again: Mapping[str, Observation]) -> set[str]:
    return {name for name, observation in first.items() if not _alike(observation, again.get(name))}


def _alike(left: Observation, right: Observation | None) -> bool:
    if right is None or left.value.shape != right.value.shape:
        return False
    if not (left.is_float and right.is_float):
        return bool(np.array_equal(left.value, right.value))
    first, second = (observation.value.astype(np.float64) for observation in (left, right))
    largest = float(np.abs(first).max(initial=0.0, where=np.isfinite(first)))
    return bool(np.allclose(first, second, rtol=0.0, atol=_SAME * largest, equal_nan=True))


def sentence(who: str) -> str:
    """Why an observation is not compared, for what `who` names."""
    return f"{who} draws random numbers, which differ between backends"


def in_words(function: Any) -> str:
    """A name for a function or an object, with a space before it; empty without one that says something."""
    name = getattr(inspect.unwrap(function) if inspect.isfunction(function) else function, "__name__", "")
    return f" {name}" if name.isidentifier() else ""
