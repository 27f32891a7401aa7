"""Pickle objects that worker processes cannot import by name, such as a closure or a function of a notebook.

cloudpickle sends functions and classes by value. The file is in a directory that only this user can read, and is deleted after
the check. A worker checks owner, mode and digest before it reads the file. Recordings are never pickled.

Values that belong to a backend are converted. A tensor is sent as an array, an object with a Keras configuration as its class and
its configuration, so that each worker makes its own.
"""

from __future__ import annotations

import hashlib
import importlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.errors import UsageError
from backendcheck.files import write_atomically

_BACKENDS = ("tensorflow", "jax", "jaxlib", "torch")


def pickle_objects(objects: Mapping[str, Any], path: Path) -> str:
    """Write `objects` to `path`, to be read by `backendcheck.record.unpickling.unpickled`; returns the SHA-256 of the file.

    Raises:
        UsageError: if one of them cannot be pickled, with its name and the reason.
    """
    for name, value in objects.items():
        try:
            _pickled({name: value})
        except Exception as error:
            type_name = type(value).__name__
            message = (
                f"{name}: this {type_name} cannot be sent to the processes of the backends ({type(error).__name__}: {error}). "
                "Put it into a module that can be imported, or build it inside a function."
            )
            raise UsageError(message) from error
    content = _pickled(objects)
    write_atomically(path, content)
    path.chmod(0o600)
    return hashlib.sha256(content).hexdigest()


def _pickled(objects: Mapping[str, Any]) -> bytes:
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            reduced = _without_backend(obj)
            return super().reducer_override(obj) if reduced is NotImplemented else reduced

    content = io.BytesIO()
    Pickler(content).dump(dict(objects))
    return content.getvalue()


def _without_backend(value: Any) -> Any:
    """How to pickle a value of a backend without that backend; NotImplemented for other values."""
    cls = type(value)
    root = cls.__module__.partition(".")[0]
    if root in _BACKENDS and hasattr(value, "__array__") and hasattr(value, "shape"):
        return _in_worker, ("tensor", _array(value))
    if root == "keras" and hasattr(value, "assign") and hasattr(value, "numpy"):  # a keras.Variable
        return _in_worker, ("variable", np.asarray(value.numpy()), value.name, bool(value.trainable))
    if hasattr(value, "get_config") and hasattr(cls, "from_config") and not hasattr(value, "weights"):
        try:
            return _from_config, (_of_any_backend(cls), value.get_config())  # a loss, a metric, an optimizer, an initializer
        except Exception:  # noqa: BLE001 - then it is pickled as it is
            return NotImplemented
    return NotImplemented


def _of_any_backend(cls: type) -> type:
    """The base class that Keras has on every backend; optimizers have a subclass for each."""
    return next(base for base in cls.__mro__ if not base.__module__.startswith("keras.src.backend."))


def _array(tensor: Any) -> np.ndarray:
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if "bfloat16" in str(tensor.dtype):
            tensor = tensor.float()
    return np.asarray(tensor)


# Called in the worker, where keras is loaded. Only there may backendcheck.record be imported.


def _in_worker(function: str, *arguments: Any) -> Any:
    return getattr(importlib.import_module("backendcheck.record.unpickling"), function)(*arguments)


def _from_config(cls: Any, config: Mapping[str, Any]) -> Any:
    return cls.from_config(dict(config))
