"""Read the objects that `backendcheck.check.pickling` wrote, in the worker."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import keras
import numpy as np


def unpickled(path: str) -> dict[str, Any]:
    """The pickled objects of a case by name.

    Raises:
        RuntimeError: if the file is gone, because it is deleted when the check ends.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        message = "this case uses functions from a Python process that has ended. Run check_function() again."
        raise RuntimeError(message) from error
    objects: dict[str, Any] = pickle.loads(content)  # noqa: S301 - written a moment ago by the process that started this one
    return objects


def tensor(array: np.ndarray) -> Any:
    """A tensor of the current backend."""
    return keras.ops.convert_to_tensor(array)


def variable(array: np.ndarray, name: str, trainable: bool) -> Any:
    """A variable of the current backend."""
    return keras.Variable(array, name=name, trainable=trainable)
