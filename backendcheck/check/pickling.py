"""What cannot be imported by name (a function of a notebook, a closure) on its way to the worker processes.

By cloudpickle, which carries functions and classes by value. The parcel lies in a directory of this user's alone, for as long
as the question takes; what is recorded and kept is never pickled.

Values that belong to a backend are taken out of it: a tensor travels as an array, an object with a Keras configuration as its
class and that, so that each worker makes its own.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.errors import UsageError
from backendcheck.files import write_atomically

_BACKENDS = ("tensorflow", "jax", "jaxlib", "torch")


def pack(things: Mapping[str, Any], path: Path) -> None:
    """Write `things` to `path`, to be read by `backendcheck.record.unpickling.unpacked`.

    Raises:
        UsageError: if one of them cannot travel, saying which and why.
    """
    for name, thing in things.items():
        try:
            _pickled({name: thing})
        except Exception as error:
            kind = type(thing).__name__
            message = (
                f"{name}: this {kind} cannot be sent to the processes of the backends ({type(error).__name__}: {error}). "
                "Put it into a module that can be imported, or build it inside a function."
            )
            raise UsageError(message) from error
    write_atomically(path, _pickled(dict(things)))
    path.chmod(0o600)


def _pickled(things: Mapping[str, Any]) -> bytes:
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, thing: Any) -> Any:
            reduced = _without_backend(thing)
            return super().reducer_override(thing) if reduced is NotImplemented else reduced

    content = io.BytesIO()
    Pickler(content).dump(dict(things))
    return content.getvalue()


def _without_backend(thing: Any) -> Any:
    cls = type(thing)
    root = cls.__module__.partition(".")[0]
    if root in _BACKENDS and hasattr(thing, "__array__") and hasattr(thing, "shape"):
        return _in_worker, ("tensor", _array(thing))
    if root == "keras" and hasattr(thing, "assign") and hasattr(thing, "numpy"):  # a keras.Variable
        return _in_worker, ("variable", np.asarray(thing.numpy()), thing.name, bool(thing.trainable))
    if hasattr(thing, "get_config") and hasattr(cls, "from_config") and not hasattr(thing, "weights"):
        try:
            return _made, (_of_any_backend(cls), thing.get_config())  # a loss, a metric, an optimizer, an initializer
        except Exception:  # noqa: BLE001 - then it travels with whatever it holds
            return NotImplemented
    return NotImplemented


def _of_any_backend(cls: type) -> type:
    """The class that Keras has on every backend, where this one is for one backend (optimizers are)."""
    return next(one for one in cls.__mro__ if not one.__module__.startswith("keras.src.backend."))


def _array(tensor: Any) -> np.ndarray:
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if "bfloat16" in str(tensor.dtype):
            tensor = tensor.float()
    return np.asarray(tensor)


# Called by name in the worker, where keras is loaded. Only there may the room of the worker be imported.


def _in_worker(function: str, *arguments: Any) -> Any:
    return getattr(importlib.import_module("backendcheck.record.unpickling"), function)(*arguments)


def _made(cls: Any, config: Mapping[str, Any]) -> Any:
    return cls.from_config(dict(config))
