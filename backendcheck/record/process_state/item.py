"""What the tables of state consist of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of state. `read` returns a value to compare; `restore` takes such a value, and is None where it cannot be set."""

    name: str
    read: Callable[[], Any]
    restore: Callable[[Any], object] | None = None
