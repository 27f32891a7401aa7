"""What `locate` records of a model: each call of each layer, what went in, what came out, and what a replay of it gave.

The arrays lie among the observations of a recording under names made here: ``<key>//output/0``. A key is the path of the layer,
by the layers that called it, with the number of the call behind it from the second on; no layer's name holds a slash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backendcheck.recordings.codec import LATER, stored_as
from backendcheck.vocabulary.observations import Observation

LOSS = "/loss"  # the key of the loss: no layer has it, for no path begins with a slash

INPUT, OUTPUT, UPSTREAM = "input", "output", "upstream"
# Of a replay: outputs, and gradients by inputs (``0``) and by weights (``dense/kernel``).
REPLAYED_OUTPUT, REPLAYED_BY_INPUT, REPLAYED_BY_WEIGHT = "replayed output", "replayed by input", "replayed by weight"
# The same layer with the inputs of its own backend once more: what differs there does not depend on its inputs alone.
AGAIN = "output again"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCall:
    """One call of a layer, of an operation between layers, of the model itself, or of the loss."""

    key: str
    """The path of the layer, with the number of the call behind it from the second on."""
    path: str
    """The key without the number of the call."""
    type: str
    """The class of the layer."""
    within: str = ""
    """The key of the call that this one is a part of; empty for the outermost."""
    precision: str = "float32"
    """The float type that it computes in."""
    arguments: Any = None
    """The nest of its arguments. `{"array": 0}` stands for the first input array."""
    raised: str = ""
    """The exception that it raised."""
    problem: str = ""
    """Why it cannot be replayed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTrace:
    """The calls of layers in one pass."""

    calls: tuple[LayerCall, ...]
    """The calls, in the order in which they began."""
    source: str = field(default="", metadata=stored_as("teacher"))
    """The source backend: its inputs were replayed."""
    replays: Mapping[str, str] = field(default_factory=dict)
    """What went wrong with the replay of each call of the source backend, by its key; empty if nothing did."""
    raised_in_replay: tuple[str, ...] = field(default=(), metadata=LATER)
    """The keys of the calls whose replay raised."""
    unseen: tuple[str, ...] = ()
    """The paths whose calls were traced, so that they had no values."""


def named(key: str, part: str, which: int | str) -> str:
    """The name of one array of a call."""
    return f"{key}//{part}/{which}"


def parts(observations: Mapping[str, Observation], key: str, part: str) -> dict[str, Observation]:
    """The arrays of one part of a call: ``{"0": …}`` for outputs, by path for weights."""
    prefix = named(key, part, "")
    return {name.removeprefix(prefix): observation for name, observation in observations.items() if name.startswith(prefix)}
