"""The user's own classes and functions in a model of this process, which another process needs to load its file."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from backendcheck.nests import leaves


def custom_objects_of(model: Any) -> dict[str, Any]:
    """Layers, activations, losses and metrics that are not part of Keras, by their names in the file of `model`."""
    objects: dict[str, Any] = {}
    for value in _parts_of_model(model):
        cls = value if inspect.isfunction(value) or inspect.isclass(value) else type(value)
        if str(getattr(cls, "__module__", "")).partition(".")[0] in ("keras", "builtins", "numpy"):
            continue
        for name in (cls.__name__, _registered_name(cls)):
            if name:
                objects[name] = cls
    return objects


def _registered_name(cls: Any) -> str:
    """The name it was registered under with Keras; the file has that name instead of the class name."""
    import sys

    keras = sys.modules.get("keras")
    try:
        return str(keras.saving.get_registered_name(cls)) if keras is not None else ""
    except Exception:  # noqa: BLE001 - use the class name
        return ""


def _parts_of_model(model: Any) -> Iterator[Any]:
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else getattr(model, "layers", ())  # noqa: SLF001
    for layer in layers:
        yield layer
        for value in vars(layer).values():
            if inspect.isfunction(value) or hasattr(value, "get_config"):
                yield value
    compiled = getattr(getattr(model, "_compile_config", None), "config", None) or {}
    for value in compiled.values():
        yield from _parts_of_compiled(value)


def _parts_of_compiled(value: Any) -> Iterator[Any]:
    for _, part in leaves(value):
        if inspect.isfunction(part) or inspect.isclass(part) or hasattr(part, "get_config"):
            yield part
            if inspect.isfunction(getattr(part, "fn", None)):
                yield part.fn
