"""From what a case returned to observations: dicts of values and losses by themselves. Models are in `observe_model`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backendcheck.case import LossCase
from backendcheck.record.observe.arrays import as_arrays, check_lengths, digests, leaves, observed
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.trace import Trace


def see_values(values: Any, trace: Trace, where: str) -> None:
    """Record a dict of arrays, or a nest of them, as ``value/<path>``, and the order of the dicts in it.

    Raises:
        InvalidCase: if it is none, or an empty one, or two of its values have one name.
    """
    if not isinstance(values, Mapping):
        message = f"{where} returned {type(values).__name__}; expected a dict of name to array."
        raise InvalidCase(message)
    if not values:
        message = f"{where} returned an empty dict, so there is nothing to compare; expected at least one name."
        raise InvalidCase(message)
    for path, leaf in leaves(values):
        if f"value/{path}" in trace.observations:
            message = f"{where}: two values have the name {path!r}; expected each name once. Rename one."
            raise InvalidCase(message)
        trace.see(f"value/{path}", leaf)
    for path, order in _orders(values):
        trace.see(f"value/{path} (order)", order)


def _orders(nest: Mapping[Any, Any]) -> list[tuple[str, list[str]]]:
    """The key order of every dict inside the dict that the case returned; its own order is the author's choice."""
    found = []
    for name, value in nest.items():
        if isinstance(value, Mapping):
            if len(value) > 1:
                found.append((str(name), [str(key) for key in value]))
            found += [(f"{name}/{path}", order) for path, order in _orders(value)]
    return found


def loss_arrays(case: LossCase, trace: Trace) -> tuple[Any, Any, Any]:
    """Labels, predictions and sample weights of a LossCase as NumPy arrays, their digests noted in `trace`.

    Raises:
        InvalidCase: if one is a dict, or they do not hold the same number of examples.
    """
    y_true, y_pred, sample_weight = as_arrays(case.y_true, 1), as_arrays(case.y_pred, 1), as_arrays(case.sample_weight, 1)
    for name, array in (("y_true", y_true), ("y_pred", y_pred), ("sample_weight", sample_weight)):
        if isinstance(array, Mapping):
            message = f"LossCase: {name} is a dict; expected one array, a LossCase has one output. Use a ModelCase."
            raise InvalidCase(message)
        if array is not None:
            trace.digests |= digests(name, array)
            trace.labels[name] = observed(array, where=name).value
    if case.expect is None:
        check_lengths("LossCase", {"y_true": y_true, "y_pred": y_pred, "sample_weight": sample_weight})
    return y_true, y_pred, sample_weight
