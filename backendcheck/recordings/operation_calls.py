"""The operations of Keras that a computation called: what went in, what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backendcheck.vocabulary.observations import Observation


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OperationCall:
    """One call of an operation of `keras.ops`, outside any other one."""

    name: str
    """Its name, such as `argmax`."""
    inputs: Mapping[str, Observation] = field(default_factory=dict)
    """The arrays among its arguments, by the name of the argument."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The other arguments by name: numbers, text, None, and lists of these."""
    results: Mapping[str, Observation] = field(default_factory=dict)
    """What it returned: `0` for an array, `0`, `1`, … for several."""
