"""How each fault of `backendcheck.vocabulary.faults` is planted into the backend that is running, by name."""

from __future__ import annotations

from collections.abc import Callable

from backendcheck.record.faults import labels, losses, operations, weights
from backendcheck.record.faults import paths as doors
from backendcheck.record.faults.injection import Plant
from backendcheck.vocabulary.faults import UNPLANTED

__all__ = ["PLANTS", "Plant", "planted"]

PLANTS: dict[str, Callable[[Plant], None]] = {
    **operations.PLANTS,
    **labels.PLANTS,
    **losses.PLANTS,
    **weights.PLANTS,
    **doors.PLANTS,
    UNPLANTED: lambda _: None,
}


def planted(name: str) -> Plant:
    """The fault `name`, to be entered as a context; it is in force until the context ends."""
    return Plant(name, PLANTS[name])
