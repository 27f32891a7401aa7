"""What one update starts from, and what it gives: the optimizer, its weights with their gradients, and its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backendcheck.reference.spec import Array, NoReference


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSpec:
    """A Keras optimizer: the name of its class, such as ``"Adam"``, and its options, as `get_config` gives them."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weight:
    """A weight before the update.

    Attributes:
        path: its path, such as ``dense/kernel``.
        value: the weight.
        gradient: the gradient of the loss by it.
        slots: the state that the optimizer keeps for it, by name: ``momentum``, ``velocity``, …
        decays: False if it was excluded from weight decay.
    """

    path: str
    value: Array
    gradient: Array
    slots: Mapping[str, Array] = field(default_factory=dict)
    decays: bool = True


@dataclass(slots=True, kw_only=True, eq=False)
class Update:
    """The weights and the state after one update. What is left out has no documented value; `doubts` says why.

    Attributes:
        weights: by path.
        slots: by path and name, as in `Weight`.
        scalars: the state that belongs to no weight: ``iteration``, ``learning_rate``, …
        doubts: what the documentation leaves open, once each.
    """

    weights: dict[str, Array] = field(default_factory=dict)
    slots: dict[str, dict[str, Array]] = field(default_factory=dict)
    scalars: dict[str, float] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)

    def doubt(self, text: str) -> None:
        if text not in self.doubts:
            self.doubts.append(text)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """The circumstances in which a rule updates one weight.

    Attributes:
        where: the name of the optimizer, which begins error messages.
        options: the options of the optimizer.
        rate: the learning rate.
        n: the number of this update, from 1.
        path: the path of the weight.
        reading: which of two readings of the documentation to take, 0 or 1, where it leaves a choice.
    """

    where: str
    options: Mapping[str, Any]
    rate: float
    n: int
    path: str
    reading: int = 0

    def number(self, name: str) -> float:
        """The option `name`.

        Raises:
            NoReference: if it is not a number, for example a function.
        """
        value = self.options.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            message = f"{self.where}: {name} is {value!r}; expected a number, because a reference needs one."
            raise NoReference(message)
        return float(value)


def slot_of(weight: Weight, name: str, where: str) -> Array:
    """One array of the state of a weight.

    Raises:
        NoReference: if it is missing, as in another version of Keras.
    """
    value = weight.slots.get(name)
    if value is None:
        message = f"{where}: the state has no {name} for {weight.path}; expected the state that this version of Keras keeps."
        raise NoReference(message)
    return value
