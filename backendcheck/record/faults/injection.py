"""A fault while it is in force: functions of Keras replaced, what they changed counted, everything put back at the end."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np


class Plant:
    """A context in which the functions that a fault concerns are replaced.

    `n_altered` counts calls in which a number was really changed, `n_same` those in which nothing was, `n_traced` those under a
    compiler or a differentiation, where there are no numbers to look at. `n_unsettled` functions were not found as the
    plant left them when it was taken out: somebody else had replaced them meanwhile.
    """

    def __init__(self, name: str, plant: Callable[[Plant], None]) -> None:
        self.name = name
        self.n_altered = self.n_same = self.n_traced = self.n_unsettled = 0
        self._plant = plant
        self._undo: list[tuple[Any, str, Any, bool, Any]] = []

    @property
    def reached(self) -> bool:
        """Whether a number was changed, or may have been in a compiled function."""
        return self.n_altered + self.n_traced > 0

    def __enter__(self) -> Self:
        try:
            self._plant(self)
        except BaseException:
            self._take_out()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._take_out()

    def _take_out(self) -> None:
        while self._undo:
            owner, name, before, own, replacement = self._undo.pop()
            self.n_unsettled += vars(owner).get(name) is not replacement
            if own:
                setattr(owner, name, before)
            else:
                with contextlib.suppress(AttributeError):
                    delattr(owner, name)

    def replace(self, owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Put ``make(original)`` in the place of the function `name` of a module or a class."""
        original = getattr(owner, name)
        replacement = functools.wraps(original)(make(original))
        self._undo.append((owner, name, vars(owner).get(name), name in vars(owner), replacement))
        setattr(owner, name, replacement)

    def result(self, owner: Any, name: str, change: Callable[..., Any]) -> None:
        """Have the function return ``change(result, *arguments)``."""

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def changed(*args: Any, **kwargs: Any) -> Any:
                before = original(*args, **kwargs)
                return self.altered(before, change(before, *args, **kwargs))

            return changed

        self.replace(owner, name, make)

    def argument(self, owner: Any, name: str, change: Callable[..., Any]) -> None:
        """Hand the function ``change(first argument, *other arguments)`` as its first argument."""

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def changed(first: Any, *args: Any, **kwargs: Any) -> Any:
                return original(self.altered(first, change(first, *args, **kwargs)), *args, **kwargs)

            return changed

        self.replace(owner, name, make)

    def altered(self, before: Any, after: Any) -> Any:
        """Count whether `after` differs from `before`; returns `after`."""
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
    """The numbers of a tensor; None where there are none yet, because a compiler or a differentiation traces the call."""
    try:
        return np.asarray(keras.ops.convert_to_numpy(tensor))
    except Exception:  # noqa: BLE001 - each backend has an exception of its own for it
        return None
