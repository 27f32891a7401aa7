"""``.npz`` and ``.npy`` files. Objects in them are never unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.data.read import Data, Wanted, check_lengths
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.nests import named_leaves
from backendcheck.text.escape import decoded

_WEIGHT, _NAMES = "sample_weight", "class_names"


def read_arrays(path: Path, wanted: Wanted) -> Data:
    """Read a ``.npz``, or the ``.npy`` of the inputs and the one of the labels."""
    if path.suffix.lower() == ".npz":
        if wanted.labels is not None:
            message = f"--labels {wanted.labels}: goes with an .npy of inputs; {path} is expected to hold its labels itself."
            raise UsageError(message)
        return _of_archive(path, _loaded(path), wanted)
    x = _loaded(path)[""]
    y = _loaded(wanted.labels)[""] if wanted.labels is not None else None
    if not wanted.as_found:
        check_lengths(str(path), {"x": x, **({"y": y} if y is not None else {})})
    return Data(x=x, y=y, source=str(path))


def _loaded(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; of an ``.npy``, under no name."""
    if not path.is_file():
        message = f"{path}: no such file; expected an .npy or .npz file."
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
        message = f"{path}: does not fit into memory. Take fewer examples."
        raise UnreadableInput(message) from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, SyntaxError) as error:
        if "pickle" in str(error).lower() and not path.read_bytes()[:8].startswith((b"\x93NUMPY", b"PK")):
            what = "is no NumPy file"
        elif "allow_pickle" in str(error):
            what = "holds Python objects, which are never unpickled; expected numbers, bools or text"
        else:
            what = f"is damaged or no NumPy file ({type(error).__name__}: {str(error)[:120]})"
        message = f"{path}: {what}. Save it again: np.savez(path, x=x, y=y)."
        raise UnreadableInput(message) from error


def _member(path: Path, content: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(content[name])
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        message = (
            f"{path}: {name} holds Python objects, which are never unpickled; expected numbers, bools or text. "
            "Are its rows of one length, without None?"
        )
        raise UnreadableInput(message) from error


def _of_archive(path: Path, arrays: dict[str, np.ndarray], wanted: Wanted) -> Data:
    left = dict(arrays)
    names = _class_names(path, left)
    x = _part(left, "x", wanted.inputs)
    y = _part(left, "y", wanted.outputs)
    weight = _part(left, _WEIGHT, ())
    if x is None and y is None:
        expected = f"x and y, or {', '.join((*wanted.inputs, *wanted.outputs))}" if wanted.inputs else "x and y"
        message = f"{path}: holds {', '.join(sorted(arrays)) or 'nothing'}; expected the arrays {expected}."
        raise UsageError(message)
    if left:
        known = ["x", "y", _WEIGHT, _NAMES, *wanted.inputs, *wanted.outputs]
        message = f"{path}: {', '.join(sorted(left))} is none of the arrays that are looked for; expected {', '.join(known)}."
        raise UsageError(message)
    if not wanted.as_found:
        check_lengths(str(path), _by_name(x=x, y=y, sample_weight=weight))
    return Data(x=x, y=y, sample_weight=weight, class_names=names, source=str(path))


def _part(left: dict[str, np.ndarray], prefix: str, names: tuple[str, ...]) -> Any:
    """One of x, y and the weights, taken out of `left`: under its own name, by ``x/<name>``, or by the names of the model."""
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
            message = f"{path}: {name} has dtype {array.dtype} and shape {array.shape}; expected a list of text."
            raise UnreadableInput(message)
    texts = {name: [decoded(text) for text in array.tolist()] for name, array in arrays.items()}
    if _NAMES in texts:
        return texts[_NAMES]
    return {name.removeprefix(f"{_NAMES}/"): names for name, names in texts.items()} or None


def _by_name(**parts: Any) -> dict[str, np.ndarray]:
    return {name: leaf for name, leaf in named_leaves(parts).items() if leaf is not None}
