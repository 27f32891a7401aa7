"""What the tables of state consist of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of state. `read` returns a value to compare; `restore` takes such a value, and is None where it cannot be set.

    What a library sets for itself at its first use is not told. It is put back all the same.
    """

    name: str
    read: Callable[[], Any]
    restore: Callable[[Any], object] | None = None
    is_told: bool = True


def attribute(owner: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], object]]:
    """Reading and restoring an attribute."""
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)
