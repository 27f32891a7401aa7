"""What a recording process reports to its parent: one line of JSON on standard output for each event."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Collected:
    """The session has found its cases."""

    n_cases: int


@dataclass(frozen=True, slots=True)
class Started:
    """A case has begun."""

    case: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A case has ended; `n_done` have."""

    case: str
    n_done: int


@dataclass(frozen=True, slots=True)
class Message:
    """Something that the user has to know, without a prefix: why nothing was recorded, or what is wrong with a case file."""

    text: str


Event = Collected | Started | Finished | Message
_TYPES: dict[str, type[Event]] = {cls.__name__.lower(): cls for cls in (Collected, Started, Finished, Message)}


def report(event: Event) -> None:
    """Write an event.

    Raises:
        BrokenPipeError: if the parent has gone.
    """
    stream = sys.__stdout__  # pytest has the other one
    if stream is not None:
        stream.write(json.dumps({"event": type(event).__name__.lower(), **asdict(event)}) + "\n")
        stream.flush()


def read_event(line: str) -> Event | None:
    """The event of a line; None if something else has written the line."""
    try:
        content: dict[str, Any] = json.loads(line)
        return _TYPES[content.pop("event")](**content)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
