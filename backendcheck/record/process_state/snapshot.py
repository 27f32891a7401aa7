"""The state of the process at one moment, read again after each case and put back."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backendcheck.record.process_state import hooks, interpreter, numeric
from backendcheck.record.process_state.item import Item

_LIBRARIES = ("jax", "tensorflow", "torch")  # each has a module here, used once a process has imported the library


@dataclass(frozen=True, slots=True)
class Change:
    """A piece of state that was left changed, and whether it is now as it was."""

    name: str
    restored: bool

    def __str__(self) -> str:
        return f"{self.name} ({'put back' if self.restored else 'cannot be put back'})"


class ProcessState:
    """The state of this process at one moment. It is read again after each case, and put back."""

    def __init__(self) -> None:
        self._items: list[Item] = [*hooks.items(), *interpreter.items(), *numeric.items()]
        self._values: dict[str, Any] = {}
        self._libraries: set[str] = set()
        self.accept()

    def accept(self) -> None:
        """Take everything as it is now."""
        self._add_libraries()
        self._values = {item.name: _read(item) for item in self._items}

    def changes(self) -> list[str]:
        """The names of what differs from the values taken."""
        return [item.name for item in self._items if item.is_told and _read(item) != self._values[item.name]]

    def read(self) -> dict[str, Any]:
        """All values as they are now."""
        return {item.name: _read(item) for item in self._items}

    def take(self, values: dict[str, Any]) -> None:
        """Take these values, to which the state is put back from now on."""
        self._values |= values

    def restore(self) -> list[Change]:
        """Put everything back; returns what differed."""
        changes = []
        for item in self._items:
            before = self._values[item.name]
            if _read(item) == before:
                continue
            if item.restore is not None:
                with contextlib.suppress(Exception):  # what a case has done to a library may go wrong in any way
                    item.restore(before)
            if item.is_told:
                changes.append(Change(item.name, restored=_read(item) == before))
        self._add_libraries()
        return changes

    def _add_libraries(self) -> None:
        for name in _LIBRARIES:
            if name in sys.modules and name not in self._libraries:
                with contextlib.suppress(Exception):  # a library that is only half imported
                    items: Sequence[Item] = importlib.import_module(f"backendcheck.record.process_state.{name}").items()
                    self._libraries.add(name)
                    self._items += items
                    self._values |= {item.name: _read(item) for item in items}


def _read(item: Item) -> Any:
    try:
        return item.read()
    except Exception as error:  # noqa: BLE001 - state that cannot be read has changed, unless it never could be
        return f"cannot be read: {type(error).__name__}"
