"""Plain values as Python source that evaluates to exactly these values, whatever text they contain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from backendcheck.text.escape import visible

_INDENT = 4
_LINE = 118  # characters a row of an array may take
_LARGEST = 200_000  # characters of one array: more cannot be read by a person and is slow to compile
_LONGEST_LINE = 1000  # characters of a line that a person reads
_USUAL_DTYPES = ("float64", "int64", "bool")  # what np.array makes of Python's floats, ints and bools


class NotWritable(TypeError):
    """A value that cannot be written as source, such as a closure over a tensor."""


def source_of(value: Any, *, largest: int = _LARGEST) -> str:
    """`value` (numbers, text, None, arrays, and nests of them) as an expression; arrays need ``np``.

    Raises:
        NotWritable: if it is, or holds, anything else.
    """
    if value is None or type(value) in (bool, int, str, bytes):
        return repr(value)
    if type(value) is float:
        return _number(value)
    if isinstance(value, np.ndarray):
        return array_source(value, largest=largest)
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return f"np.{value.dtype.name.replace('bool', 'bool_')}({_number(value.item())})"
    if isinstance(value, np.str_):
        return repr(str(value))
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{source_of(key)}: {source_of(item, largest=largest)}" for key, item in value.items()) + "}"
    if type(value) is tuple:
        return "(" + ", ".join(source_of(item, largest=largest) for item in value) + ("," if len(value) == 1 else "") + ")"
    if type(value) is list:
        return "[" + ", ".join(source_of(item, largest=largest) for item in value) + "]"
    if type(value) is range:
        return repr(value)
    message = f"{type(value).__name__} cannot be written as source"
    raise NotWritable(message)


def array_source(array: np.ndarray, *, largest: int = _LARGEST) -> str:
    """An array as a NumPy call that returns its values with its dtype.

    Raises:
        NotWritable: if its dtype is not numeric, bool or text, or it is too large to read.
    """
    dtype_kind = array.dtype.kind
    if dtype_kind == "O" and not all(isinstance(item, str) for item in array.ravel().tolist()):
        message = "an array of objects that are not text cannot be written as source"
        raise NotWritable(message)
    if dtype_kind not in "biufUO" or array.dtype.name == "bfloat16":
        message = f"an array of dtype {array.dtype} cannot be written as source"
        raise NotWritable(message)
    array = array.astype(array.dtype.newbyteorder("="))
    name = "object" if dtype_kind == "O" else array.dtype.name
    dtype = "" if name in _USUAL_DTYPES or dtype_kind == "U" else ", dtype=object" if dtype_kind == "O" else f', dtype="{name}"'
    if array.size == 0 or (array.size > 8 and dtype_kind in "biuf" and not np.isnan(array.ravel()[0]) and _constant(array)):  # noqa: PLR2004
        shape = str(array.shape) if array.ndim != 1 else str(array.shape[0])
        empty = array.size == 0 or array.ravel()[0] == 0
        filling = f"np.zeros({shape}" if empty else f"np.full({shape}, {_item(array.ravel()[0])}"
        return f"{filling}{f', dtype={name!r}' if name in ('int64', 'bool') else dtype})"
    if array.ndim == 0:
        return f"np.array({_item(array[()])}{dtype})"
    text = _rows(array, _INDENT)
    if len(text) > largest:
        message = f"an array of {array.size} numbers is too large to be written as source"
        raise NotWritable(message)
    return f"np.array({text}{dtype})"


def _constant(array: np.ndarray) -> bool:
    first = array.ravel()[0]
    return bool(np.all(array == first)) and not (first == 0 and np.any(np.signbit(array.astype(np.float64))))


def _rows(array: Any, indent: int) -> str:
    if array.ndim == 0:
        return _item(array.item() if isinstance(array, np.str_) else array[()])
    parts = [_rows(row, indent + 1) for row in array]
    line = f"[{', '.join(parts)}]"
    if len(line) + indent <= _LINE - 20 and "\n" not in line:  # room for the name before it
        return line
    if array.ndim > 1:
        return "[\n" + "".join(f"{' ' * indent}{part},\n" for part in parts) + " " * (indent - 1 if indent > _INDENT else 0) + "]"
    lines, current = [], ""
    for part in parts:
        if current and len(current) + len(part) + indent > _LINE:
            lines.append(current.rstrip())
            current = ""
        current += f"{part}, "
    lines.append(current.rstrip(" ,"))
    return "[" + ("\n" + " " * indent).join(lines) + "]"


def _item(item: Any) -> str:
    if isinstance(item, str):
        return repr(str(item))
    if isinstance(item, np.floating) and np.isfinite(item):
        return str(item.astype(np.float64)) if item.dtype.itemsize > 8 else _shortest(item)  # noqa: PLR2004 - beyond float64
    return _number(item.item() if isinstance(item, np.generic) else item)


def _shortest(item: np.floating) -> str:
    """The shortest decimal that rounds to this number in its own dtype; np.array(..., dtype) rounds it back."""
    text = str(item)
    return text if float(item.dtype.type(float(text))) == float(item) else repr(float(item))


def _number(value: Any) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return "np.nan"
        if math.isinf(value):
            return "np.inf" if value > 0 else "-np.inf"
    return repr(value)


def shortened(text: str) -> str:
    """`text` with long lines cut; the number of characters that were cut stands in their place."""
    return "\n".join(
        line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} … {len(line) - _LONGEST_LINE} more characters"
        for line in text.splitlines()
    )


def in_comment(text: str) -> str:
    """`text` as lines of a comment; no character in it can end the comment."""
    lines = text.splitlines() or [""]
    return "\n".join(f"# {visible(line)}".rstrip() for line in lines)
