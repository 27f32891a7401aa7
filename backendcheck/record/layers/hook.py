"""A hook on every call of a Keras layer or operation while a model runs.

All calls, also those of nested models and of layers that the model does not list, go through ``keras.Operation.__call__`` with
their arguments cast and their masks filled in. It is replaced while a pass is watched. What Keras functions compute directly
inside a `call` is part of the call around it.
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
    """A call in progress.

    key: its name, see `recordings.layer_calls`.
    path: the key without the number of the call.
    within: the key of the call around it; empty for the outermost.
    """

    key: str
    path: str
    within: str
    operation: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@contextmanager
def watched(visit: Callable[[Call, Callable[[], Any]], Any]) -> Iterator[None]:
    """While entered, each call becomes ``visit(call, proceed)``. `proceed` makes the call; `visit` returns the output."""
    original = keras.Operation.__call__
    stack: list[Call] = []
    counts: Counter[str] = Counter()

    def watched_call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if any(isinstance(leaf, keras.KerasTensor) for leaf in keras.tree.flatten((args, kwargs))):
            return original(operation, *args, **kwargs)  # only shapes are inferred here, nothing is computed
        outer = stack[-1] if stack else None
        # The outermost call is the model itself. The paths of the calls inside start below it.
        path = f"{outer.path}/{operation.name}" if outer is not None and len(stack) > 1 else str(operation.name)
        counts[path] += 1
        key = path if counts[path] == 1 else f"{path} (call {counts[path]})"
        within = outer.key if outer is not None else ""
        call = Call(key=key, path=path, within=within, operation=operation, args=args, kwargs=kwargs)
        stack.append(call)
        try:
            return visit(call, lambda: original(operation, *args, **kwargs))
        finally:
            stack.pop()

    keras.Operation.__call__ = watched_call
    try:
        yield
    finally:
        keras.Operation.__call__ = original
