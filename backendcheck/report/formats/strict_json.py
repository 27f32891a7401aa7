"""Strict JSON in ASCII, whatever the values are."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def dumped(value: Any) -> str:
    """`value` in one line."""
    try:
        text = json.dumps(value, allow_nan=False, separators=(", ", ": "))
        if "\\ud" not in text:  # a surrogate, which may be a lone one
            return text
    except (TypeError, ValueError):
        pass  # NumPy, sets, NaN: strict JSON cannot contain them
    return json.dumps(plain(value), allow_nan=False, separators=(", ", ": "))


def plain(value: Any) -> Any:
    """`value` as strict JSON: NaN and Infinity as text, lone surrogates escaped, arrays as lists."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist()) if not isinstance(value, np.void) else str(value)
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(str(item)) for item in value)
    if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(item) for item in value]
    return plain(str(value))
