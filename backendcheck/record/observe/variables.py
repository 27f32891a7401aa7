"""The state a case begins with, kept so that every look at the case begins there.

Layers count, average and draw: a look that starts where another has ended sees other numbers, and the difference would be the
harness's own. What holds state beside the weights: statistics, counters, random generators, and variables inside a loss.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from backendcheck.record.observe.arrays import observed

_DEEPEST = 4  # objects within objects: a loss that holds a layer that holds a variable


class State:
    """The values of variables at one moment."""

    def __init__(self, variables: Iterable[Any]) -> None:
        by_identity = {id(variable): variable for variable in variables}
        self._kept = {key: (one, observed(one, where=_path(one)).value) for key, one in by_identity.items()}

    def __bool__(self) -> bool:
        return bool(self._kept)

    def __contains__(self, variable: Any) -> bool:
        return id(variable) in self._kept

    def value(self, variable: Any) -> np.ndarray:
        """What the variable held."""
        return self._kept[id(variable)][1]

    def put_back(self) -> None:
        """Have every variable hold that again."""
        for variable, value in self._kept.values():
            variable.assign(value)

    def moved(self) -> list[str]:
        """The paths of the variables that hold something else by now."""
        return [
            _path(variable)
            for variable, value in self._kept.values()
            if not np.array_equal(observed(variable, where=_path(variable)).value, value, equal_nan=value.dtype.kind == "f")
        ]


def _path(variable: Any) -> str:
    return str(getattr(variable, "path", None) or variable.name)


def variables_of(model: Any) -> list[Any]:
    """Every variable of a model, with those that layers hold and Keras does not track, as the states of its stateful RNNs."""
    found = {id(one): one for one in model.variables}
    for layer in model._flatten_layers():  # noqa: SLF001 - nested ones, too
        for attribute in list(vars(layer).values()):
            found |= {id(one): one for one in _nested_variables(attribute)}
    return list(found.values())


def _nested_variables(attribute: Any) -> Iterator[Any]:
    if isinstance(attribute, keras.Variable):
        yield attribute
    elif isinstance(attribute, list | tuple | dict):
        for one in attribute.values() if isinstance(attribute, dict) else attribute:
            yield from _nested_variables(one)


def variables_within(thing: Any) -> list[Any]:
    """Every `keras.Variable` that a loss, or a nest of losses, holds: in attributes, in layers, in the closure of a function.

    Keras does not track those, so no model knows of them.
    """
    seen: set[int] = set()
    return list({id(one): one for one in _variables_within(thing, seen, _DEEPEST)}.values())


def _variables_within(thing: Any, seen: set[int], depth: int) -> Iterator[Any]:
    if id(thing) in seen or depth < 0 or thing is None or isinstance(thing, str | bytes | int | float | np.ndarray):
        return
    seen.add(id(thing))
    if isinstance(thing, keras.Variable):
        yield thing
    elif isinstance(thing, keras.Layer | keras.metrics.Metric):
        yield from thing.variables
    elif isinstance(thing, keras.random.SeedGenerator):
        yield thing.state
    else:
        for part in _parts(thing):
            yield from _variables_within(part, seen, depth - 1)


def _parts(thing: Any) -> list[Any]:
    if isinstance(thing, Mapping):
        return list(thing.values())
    if isinstance(thing, list | tuple | set):
        return list(thing)
    if inspect.ismethod(thing):
        return [thing.__self__]
    if inspect.isfunction(thing):
        return [cell.cell_contents for cell in thing.__closure__ or () if _is_full(cell)]
    if inspect.isclass(thing) or inspect.ismodule(thing) or inspect.isbuiltin(thing):
        return []
    return list(getattr(thing, "__dict__", {}).values())


def _is_full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - asking is what raises where a name was never bound
    except ValueError:
        return False
    return True
