"""Seeing every call of a Keras layer or operation while a model runs.

All of them, those of nested models and of layers that no model lists too, come through ``keras.Operation.__call__`` with their
arguments cast and their masks filled in; it is replaced while a pass is watched. What Keras functions compute directly inside a
`call` is part of the call around it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(slots=True, eq=False)
class Call:
    """A call that is going on: `key` names it (see `layer_call`), `within` the one around it."""

    key: str
    path: str
    within: str
    operation: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@contextmanager
def watched(visit: Callable[[Call, Callable[[], Any]], Any]) -> Iterator[None]:
    """While entered, `visit` is called in place of every call, with a function that goes on with it; it returns the output."""
    original = keras.Operation.__call__
    stack: list[Call] = []
    counts: Counter[str] = Counter()

    def seen(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if any(isinstance(leaf, keras.KerasTensor) for leaf in keras.tree.flatten((args, kwargs))):
            return original(operation, *args, **kwargs)  # shapes are being worked out, nothing is computed
        around = stack[-1] if stack else None
        # The outermost is the model itself; the paths of what it calls begin below it.
        path = f"{around.path}/{operation.name}" if around is not None and len(stack) > 1 else str(operation.name)
        counts[path] += 1
        key = path if counts[path] == 1 else f"{path} (call {counts[path]})"
        within = around.key if around is not None else ""
        call = Call(key=key, path=path, within=within, operation=operation, args=args, kwargs=kwargs)
        stack.append(call)
        try:
            return visit(call, lambda: original(operation, *args, **kwargs))
        finally:
            stack.pop()

    keras.Operation.__call__ = seen
    try:
        yield
    finally:
        keras.Operation.__call__ = original
