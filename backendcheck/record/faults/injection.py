"""Fault injection: replace functions of Keras, count what that changes, and put the originals back."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np

Function = Callable[..., Any]


class FaultInjection:
    """A context in which the functions that a fault concerns are replaced.

    n_altered: calls in which a number changed.
    n_same: calls in which no number changed.
    n_traced: calls under a compiler or a differentiation, where the tensors have no numbers.
    n_conflicts: replaced functions that other code had replaced again before their removal.
    """

    def __init__(self, inject: Inject) -> None:
        self.n_altered = self.n_same = self.n_traced = self.n_conflicts = 0
        self._inject = inject
        self._undo: list[tuple[Any, str, Any, bool, Any]] = []

    def notes(self) -> dict[str, int]:
        """The counts, under their keys in the notes beside the recordings of a fault."""
        return {
            "n_altered": self.n_altered, "n_same": self.n_same, "n_traced": self.n_traced, "n_unsettled": self.n_conflicts,
        }  # fmt: skip

    def __enter__(self) -> Self:
        try:
            self._inject(self)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _remove(self) -> None:
        while self._undo:
            owner, name, before, was_defined, replacement = self._undo.pop()
            self.n_conflicts += vars(owner).get(name) is not replacement
            if was_defined:
                setattr(owner, name, before)
            else:
                with contextlib.suppress(AttributeError):
                    delattr(owner, name)

    def replace(self, owner: Any, name: str, make: Callable[[Function], Function]) -> None:
        """Replace the function `name` of a module or a class with ``make(original)``."""
        original = getattr(owner, name)
        replacement = functools.wraps(original)(make(original))
        self._undo.append((owner, name, vars(owner).get(name), name in vars(owner), replacement))
        setattr(owner, name, replacement)

    def change_result(self, owner: Any, name: str, change: Function) -> None:
        """Have the function return ``change(result, *arguments)``."""

        def make(original: Function) -> Function:
            def changed(*args: Any, **kwargs: Any) -> Any:
                before = original(*args, **kwargs)
                return self.counted(before, change(before, *args, **kwargs))

            return changed

        self.replace(owner, name, make)

    def change_argument(self, owner: Any, name: str, change: Function) -> None:
        """Hand the function ``change(first argument, *other arguments)`` as its first argument."""

        def make(original: Function) -> Function:
            def changed(first: Any, *args: Any, **kwargs: Any) -> Any:
                return original(self.counted(first, change(first, *args, **kwargs)), *args, **kwargs)

            return changed

        self.replace(owner, name, make)

    def counted(self, before: Any, after: Any) -> Any:
        """Return `after`, and count whether it differs from `before`."""
        if after is before:
            self.n_same += 1
            return after
        left, right = numbers(before), numbers(after)
        if left is None or right is None:
            self.n_traced += 1
        elif left.shape == right.shape and np.array_equal(left, right, equal_nan=left.dtype.kind in "fc"):
            self.n_same += 1
        else:
            self.n_altered += 1
        return after


def numbers(tensor: Any) -> np.ndarray | None:
    """The numbers of a tensor, or None while a compiler or a differentiation traces the call."""
    try:
        return np.asarray(keras.ops.convert_to_numpy(tensor))
    except Exception:  # noqa: BLE001 - each backend raises an exception of its own for this
        return None


Inject = Callable[[FaultInjection], None]
