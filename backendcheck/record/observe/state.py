"""State that a model holds beside its trained weights, saved so that every observation of a case starts from the same state.

Layers count, average and draw random numbers: statistics, counters, random generators, and variables inside a loss. An
observation that starts where another one ended would see other numbers, and the harness itself would cause the difference.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from backendcheck.record.observe.arrays import as_observation

_DEEPEST = 4  # objects within objects: a loss that holds a layer that holds a variable


class State:
    """The values of variables at one moment."""

    def __init__(self, variables: Iterable[Any]) -> None:
        by_identity = {id(variable): variable for variable in variables}
        self._saved = {
            key: (variable, as_observation(variable, where=_path(variable)).value) for key, variable in by_identity.items()
        }

    def __bool__(self) -> bool:
        return bool(self._saved)

    def __contains__(self, variable: Any) -> bool:
        return id(variable) in self._saved

    def value(self, variable: Any) -> np.ndarray:
        """The saved value of the variable."""
        return self._saved[id(variable)][1]

    def restore(self) -> None:
        """Assign the saved values to the variables."""
        for variable, value in self._saved.values():
            variable.assign(value)

    def changed(self) -> list[str]:
        """The paths of the variables whose values differ from the saved ones."""
        return [
            _path(variable)
            for variable, value in self._saved.values()
            if not np.array_equal(as_observation(variable, where=_path(variable)).value, value, equal_nan=value.dtype.kind == "f")
        ]


def _path(variable: Any) -> str:
    return str(getattr(variable, "path", None) or variable.name)


def random_state(model: Any) -> list[Any]:
    """The state of every random generator in the model. It changes when numbers are drawn."""
    states = [variable for variable in model.variables if is_random_generator(variable)]
    return [as_observation(variable, where="random state").value.tolist() for variable in states]


def is_random_generator(variable: Any) -> bool:
    """Whether the variable is the state of a random generator."""
    return "seed_generator" in variable.path


# --- variables that Keras does not list ------------------------------------------------------------------------


def variables_of(model: Any) -> list[Any]:
    """Every variable of a model, also those that layers hold and Keras does not track, such as the states of stateful RNNs."""
    variables = {id(variable): variable for variable in model.variables}
    for layer in model._flatten_layers():  # noqa: SLF001 - nested layers, too
        for attribute in list(vars(layer).values()):
            variables |= {id(variable): variable for variable in _nested_variables(attribute)}
    return list(variables.values())


def _nested_variables(attribute: Any) -> Iterator[Any]:
    if isinstance(attribute, keras.Variable):
        yield attribute
    elif isinstance(attribute, list | tuple | dict):
        for item in attribute.values() if isinstance(attribute, dict) else attribute:
            yield from _nested_variables(item)


def variables_within(loss: Any) -> list[Any]:
    """Every `keras.Variable` in a loss, or in a nest of losses: in attributes, in layers, in the closure of a function.

    Keras does not track these, so the variables of the model do not include them.
    """
    visited: set[int] = set()
    return list({id(variable): variable for variable in _variables_within(loss, visited, _DEEPEST)}.values())


def _variables_within(value: Any, visited: set[int], depth: int) -> Iterator[Any]:
    if id(value) in visited or depth < 0 or value is None or isinstance(value, str | bytes | int | float | np.ndarray):
        return
    visited.add(id(value))
    if isinstance(value, keras.Variable):
        yield value
    elif isinstance(value, keras.Layer | keras.metrics.Metric):
        yield from value.variables
    elif isinstance(value, keras.random.SeedGenerator):
        yield value.state
    else:
        for part in parts_of(value):
            yield from _variables_within(part, visited, depth - 1)


def parts_of(value: Any) -> list[Any]:
    """What an object holds: items, attributes, the object of a method, the closure of a function."""
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list | tuple | set):
        return list(value)
    if inspect.ismethod(value):
        return [value.__self__]
    if inspect.isfunction(value):
        return [cell.cell_contents for cell in value.__closure__ or () if _is_bound(cell)]
    return list(getattr(value, "__dict__", {}).values()) if has_attributes(value) else []


def has_attributes(value: Any) -> bool:
    """Whether an object has attributes of its own, as classes, modules and built-in functions have not."""
    return not (inspect.isclass(value) or inspect.ismodule(value) or inspect.isbuiltin(value))


def _is_bound(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - reading raises where the name was never bound
    except ValueError:
        return False
    return True
