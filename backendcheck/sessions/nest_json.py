"""Nests of arrays as JSON, exactly: for two processes of one machine that talk in lines."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np


def encode(value: Any) -> Any:
    """What `json.dumps` takes; arrays, tuples and dicts are marked."""
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return {"$text": [list(value.shape), [str(item) for item in value.ravel().tolist()]]}
        array = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("=")).reshape(value.shape)
        return {"$array": [array.dtype.str, list(array.shape), base64.b64encode(array.tobytes()).decode()]}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {"$dict": [[encode(key), encode(entry)] for key, entry in value.items()]}
    if isinstance(value, tuple):
        return {"$tuple": [encode(item) for item in value]}
    if isinstance(value, list):
        return [encode(item) for item in value]
    return value


def decode(value: Any) -> Any:
    """What `encode` was given."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    ((mark, content),) = value.items()
    if mark == "$text":
        array = np.empty(len(content[1]), dtype=object)
        array[:] = content[1]
        return array.reshape(content[0])
    if mark == "$array":
        return np.frombuffer(base64.b64decode(content[2]), np.dtype(content[0])).reshape(content[1]).copy()
    if mark == "$tuple":
        return tuple(decode(item) for item in content)
    return {decode(key): decode(entry) for key, entry in content}
