"""``.npz`` and ``.npy`` files. Objects in them are never unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.data.read import Data, ReadOptions, check_lengths
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.nests import named_leaves
from backendcheck.text.escape import decoded
from backendcheck.text.words import error_line

_WEIGHT, _NAMES = "sample_weight", "class_names"


def read_arrays(path: Path, options: ReadOptions) -> Data:
    """Read a ``.npz``, or the ``.npy`` of the inputs and the one of the labels."""
    if path.suffix.lower() == ".npz":
        if options.labels is not None:
            expected = f"expected the labels inside {path}. Leave --labels out"
            message = f"--labels {options.labels}: only for an .npy of inputs; {expected}."
            raise UsageError(message)
        return _of_archive(path, _loaded(path), options)
    x = _loaded(path)[""]
    y = _loaded(options.labels)[""] if options.labels is not None else None
    if not options.as_found:
        check_lengths(str(path), {"x": x, **({"y": y} if y is not None else {})})
    return Data(x=x, y=y, source=str(path))


def _loaded(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; the single array of an ``.npy`` is under ``""``."""
    if not path.is_file():
        message = f"{path}: file not found; expected an .npy or .npz file."
        raise UsageError(message)
    try:
        with path.open("rb") as file:  # NumPy leaves a damaged file open
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return {"": content}
            return {name: _member(path, content, name) for name in content.files}
    except (UnreadableInput, UsageError):
        raise
    except MemoryError as error:
        message = f"{path}: not enough memory to read it. Use fewer examples."
        raise UnreadableInput(message) from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, SyntaxError) as error:
        if "pickle" in str(error).lower() and not path.read_bytes()[:8].startswith((b"\x93NUMPY", b"PK")):
            problem = "not a NumPy file"
        elif "allow_pickle" in str(error):
            problem = "Python objects, which are never unpickled; expected numbers, bools or text"
        else:
            problem = f"damaged, or not a NumPy file ({error_line(error)})"
        message = f"{path}: {problem}. Save it again: np.savez(path, x=x, y=y)."
        raise UnreadableInput(message) from error


def _member(path: Path, content: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(content[name])
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        message = (
            f"{path}: {name} holds Python objects, which are never unpickled; expected numbers, bools or text. "
            "Give all rows the same length, without None."
        )
        raise UnreadableInput(message) from error


def _of_archive(path: Path, arrays: dict[str, np.ndarray], options: ReadOptions) -> Data:
    left = dict(arrays)
    names = _class_names(path, left)
    x = _part(left, "x", options.inputs)
    y = _part(left, "y", options.outputs)
    weight = _part(left, _WEIGHT, ())
    if x is None and y is None:
        expected = f"x and y, or {', '.join((*options.inputs, *options.outputs))}" if options.inputs else "x and y"
        message = f"{path}: no inputs or labels; expected the arrays {expected}, got {', '.join(sorted(arrays)) or 'none'}."
        raise UsageError(message)
    if left:
        known = ["x", "y", _WEIGHT, _NAMES, *options.inputs, *options.outputs]
        message = f"{path}: unknown arrays {', '.join(sorted(left))}; expected {', '.join(known)}."
        raise UsageError(message)
    if not options.as_found:
        check_lengths(str(path), _by_name(x=x, y=y, sample_weight=weight))
    return Data(x=x, y=y, sample_weight=weight, class_names=names, source=str(path))


def _part(left: dict[str, np.ndarray], prefix: str, names: tuple[str, ...]) -> Any:
    """Take x, y or the weights out of `left`: by that name, by ``x/<name>``, or by the names of the model's inputs or outputs."""
    if prefix in left:
        return left.pop(prefix)
    if nested := {name.removeprefix(f"{prefix}/"): name for name in left if name.startswith(f"{prefix}/")}:
        return {short: left.pop(name) for short, name in nested.items()}
    arrays = {name: left.pop(name) for name in names if name in left}
    if len(names) == 1 and arrays:
        return arrays[names[0]]
    return arrays or None


def _class_names(path: Path, left: dict[str, np.ndarray]) -> Any:
    arrays = {name: left.pop(name) for name in list(left) if name == _NAMES or name.startswith(f"{_NAMES}/")}
    for name, array in arrays.items():
        if array.ndim != 1 or array.dtype.kind not in "US":
            message = f"{path}: invalid {name}; expected a list of texts, got dtype {array.dtype} and shape {array.shape}."
            raise UnreadableInput(message)
    texts = {name: [decoded(text) for text in array.tolist()] for name, array in arrays.items()}
    if _NAMES in texts:
        return texts[_NAMES]
    return {name.removeprefix(f"{_NAMES}/"): names for name, names in texts.items()} or None


def _by_name(**parts: Any) -> dict[str, np.ndarray]:
    return {name: leaf for name, leaf in named_leaves(parts).items() if leaf is not None}
