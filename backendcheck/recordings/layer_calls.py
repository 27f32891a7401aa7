"""What `locate` records of a model: each call of each layer, what went in, what came out, and what a replay of it gave.

The arrays lie among the observations of a recording under names made here: ``<key>//output/0``. A key is the path of the layer,
by the layers that called it, with the number of the call behind it from the second on; no layer's name holds a slash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backendcheck.vocabulary.observations import Observation

LOSS = "/loss"  # the key of the loss: no layer has it, for no path begins with a slash

INPUT, OUTPUT, UPSTREAM = "input", "output", "upstream"
# Of a replay: outputs, and gradients by inputs (``0``) and by weights (``dense/kernel``).
REPLAYED_OUTPUT, REPLAYED_BY_INPUT, REPLAYED_BY_WEIGHT = "replayed output", "replayed by input", "replayed by weight"
# The same layer with the inputs of its own backend once more: what differs there is no function of its inputs.
AGAIN = "output again"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCall:
    """One call of a layer, of an operation between layers, of the model itself, or of the loss.

    `path` is the key without the number of the call. `within` is the key of the call that it is a part of, empty for the
    outermost. `precision` is the float type that it computes in. `arguments` is the nest of its arguments, ``{"array": 0}``
    standing for the first input array. `raised` is the exception that it threw, `problem` the reason why it cannot be replayed.
    """

    key: str
    path: str
    type: str
    within: str = ""
    precision: str = "float32"
    arguments: Any = None
    raised: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTrace:
    """The calls of one pass, in the order in which they began.

    `teacher` is the backend whose inputs were replayed, `replays` maps the key of each of its calls to what went wrong with the
    replay, empty if nothing. `unseen` are paths whose calls were traced, so that they had no values.
    """

    calls: tuple[LayerCall, ...]
    teacher: str = ""
    replays: Mapping[str, str] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()


def named(key: str, part: str, which: int | str) -> str:
    """The name of one array of a call."""
    return f"{key}//{part}/{which}"


def parts(observations: Mapping[str, Observation], key: str, part: str) -> dict[str, Observation]:
    """The arrays of one part of a call: ``{"0": …}`` for outputs, by path for weights."""
    prefix = named(key, part, "")
    return {name.removeprefix(prefix): seen for name, seen in observations.items() if name.startswith(prefix)}
