"""The classes and functions of a user's that a model of this process is made of, so that its file can be loaded elsewhere."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any


def custom_objects_of(model: Any) -> dict[str, Any]:
    """Classes and functions by the names under which the file of `model` mentions them: layers, activations, losses, metrics."""
    found: dict[str, Any] = {}
    for thing in _things(model):
        cls = thing if inspect.isfunction(thing) or inspect.isclass(thing) else type(thing)
        if str(getattr(cls, "__module__", "")).partition(".")[0] in ("keras", "builtins", "numpy"):
            continue
        for name in (cls.__name__, _registered_name(cls)):
            if name:
                found[name] = cls
    return found


def _registered_name(cls: Any) -> str:
    """The name under which it was registered with Keras, which the file has instead of its own."""
    import sys

    keras = sys.modules.get("keras")
    try:
        return str(keras.saving.get_registered_name(cls)) if keras is not None else ""
    except Exception:  # noqa: BLE001 - then its own name has to do
        return ""


def _things(model: Any) -> Iterator[Any]:
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else getattr(model, "layers", ())  # noqa: SLF001
    for layer in layers:
        yield layer
        for value in vars(layer).values():
            if inspect.isfunction(value) or hasattr(value, "get_config"):
                yield value
    compiled = getattr(getattr(model, "_compile_config", None), "config", None) or {}
    for value in compiled.values():
        yield from _compiled_things(value)


def _compiled_things(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _compiled_things(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _compiled_things(one)
    elif inspect.isfunction(value) or inspect.isclass(value) or hasattr(value, "get_config"):
        yield value
        if inspect.isfunction(getattr(value, "fn", None)):
            yield value.fn
