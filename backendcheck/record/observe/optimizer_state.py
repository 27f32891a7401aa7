"""The variables of an optimizer, named by the weight that each belongs to and by what it holds.

Keras numbers optimizers, and joins the path of a weight and the name of what is kept for it with underscores. The names here are
the same on every backend and in every version: ``dense/kernel/momentum``, ``iteration``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backendcheck.record.observe.arrays import as_observation
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.weights import named_weights

_NUMBERED = re.compile(r"variable(_\d+)?|.*_\d+")  # names that Keras gives by itself


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OptimizerVariable:
    """A variable of an optimizer.

    Attributes:
        name: as its observation has it, without ``train/optimizer/``.
        variable: the `keras.Variable`.
        path: the path of the weight that it belongs to; empty if it belongs to none.
        slot: what it holds, such as ``momentum``.
    """

    name: str
    variable: Any
    path: str
    slot: str


def named_state(optimizer: Any, model: Any) -> list[OptimizerVariable]:
    """Every variable of the optimizer of `model`. A repeated name gets a number at its end."""
    paths = {id(variable): path for path, variable in named_weights(model)}
    counts: Counter[str] = Counter()
    named = []
    for prefix, part in parts_of(optimizer):
        owners = _owners(part, paths)
        variables = part._variables if hasattr(part, "_variables") else getattr(part, "variables", ())  # noqa: SLF001
        for variable in variables:
            path, slot = owners.get(id(variable)) or (_owner_by_name(variable, paths.values()), "")
            slot = _slot(variable, path, slot)
            name = f"{prefix}{path}/{slot}" if path else f"{prefix}{slot}"
            counts[name] += 1
            name = name if counts[name] == 1 else f"{name}:{counts[name]}"
            named.append(OptimizerVariable(name=name, variable=variable, path=path, slot=slot))
    return named


def parts_of(optimizer: Any) -> Iterator[tuple[str, Any]]:
    """The optimizer, and those inside of it, each with the prefix of its variables."""
    yield "", optimizer
    if (inner := getattr(optimizer, "inner_optimizer", None)) is not None:
        yield from ((f"inner_optimizer/{prefix}", part) for prefix, part in parts_of(inner))
    several = getattr(optimizer, "optimizers", None)
    for number, part in enumerate(several if isinstance(several, list | tuple) else ()):
        yield f"optimizers/{number}/", part


def _owners(optimizer: Any, paths: Mapping[int, str]) -> dict[int, tuple[str, str]]:
    """The path of the weight, and the attribute, of each variable in a list with one for each weight; or the attribute alone."""
    trained = list(getattr(optimizer, "_trainable_variables", ()))
    owners = {}
    for attribute, value in list(vars(optimizer).items()):
        name = attribute.strip("_")
        if _is_variable(value):
            owners[id(value)] = ("", name)
        elif isinstance(value, list | tuple) and len(value) == len(trained) and name not in ("variables", "trainable_variables"):
            for weight, variable in zip(trained, value, strict=True):
                if _is_variable(variable) and id(weight) in paths and variable is not weight:
                    owners[id(variable)] = (paths[id(weight)], name)
    return owners


def _is_variable(value: Any) -> bool:
    return hasattr(value, "assign") and hasattr(value, "path")  # the class has another name in Keras 3.4


def _owner_by_name(variable: Any, paths: Iterable[str]) -> str:
    """The path that the name of a variable begins with, where an optimizer keeps its variables in no list; empty for none."""
    own = _own_name(variable)
    return max((path for path in paths if own.startswith(_joined(path))), key=len, default="")


def _slot(variable: Any, path: str, attribute: str) -> str:
    own = _own_name(variable)
    if path and own.startswith(_joined(path)):
        return own.removeprefix(_joined(path))
    of_weight = path.partition(":")[0].rpartition("/")[2]  # Adafactor gives its variables the name of the weight
    if own and own != of_weight and not _NUMBERED.fullmatch(own):
        return own
    return attribute or re.sub(r"_\d+$", "", own)


def _own_name(variable: Any) -> str:
    return str(getattr(variable, "name", "")).removesuffix(":0").rpartition("/")[2]


def _joined(path: str) -> str:
    return f"{path.partition(':')[0].replace('/', '_')}_"


def add_optimizer_state(optimizer: Any, model: Any, trace: Trace) -> None:
    """Add the state of the optimizer. Counters have another width on each backend, which is not a difference."""
    for entry in named_state(optimizer, model):
        observation = as_observation(entry.variable, where=entry.name)
        value: Any = observation.value.astype(np.int64) if observation.value.dtype.kind in "iu" else entry.variable
        trace.add(f"train/optimizer/{entry.name}", value)
