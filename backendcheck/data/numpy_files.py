"""``.npz`` and ``.npy`` files. Objects in them are never unpickled."""

from __future__ import annotations

import math
import os
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np

from backendcheck.data.parsing import check_claim, guarded
from backendcheck.data.read import SPLITS, Data, ReadOptions, check_lengths
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import check_regular
from backendcheck.nests import named_leaves
from backendcheck.text.escape import decoded
from backendcheck.text.words import some_of

_WEIGHT, _NAMES = "sample_weight", "class_names"
_ZIP, _NUMPY = b"PK", b"\x93NUMPY"  # the first bytes of an .npz and of an .npy file
_MOST_NAMED = 20  # arrays in a message
_SURROGATES = (0xD800, 0xDFFF)  # halves of characters, which no encoding can write
_DEFLATED = 1032  # the bytes that one byte of a deflated member can become at most


def read_arrays(path: Path, options: ReadOptions) -> Data:
    """Read a ``.npz``, or the ``.npy`` of the inputs and the one of the labels."""
    if path.suffix.lower() == ".npz":
        if options.labels is not None:
            expected = f"expected the labels inside {path}. Leave --labels out"
            message = f"--labels {options.labels}: only for an .npy of inputs; {expected}."
            raise UsageError(message)
        return _of_archive(path, _archive(path), options)
    x = _array(path)
    y = _array(options.labels) if options.labels is not None else None
    if not options.as_found:
        check_lengths(str(path), {"x": x, **({"y": y} if y is not None else {})})
    return Data(x=x, y=y, source=str(path))


def _open(path: Path, magic: bytes) -> IO[bytes]:
    """The file, open at its start; `magic` are the bytes that it should start with."""
    if not path.exists():
        message = f"{path}: file not found; expected an .npy or .npz file."
        raise UsageError(message)
    check_regular(path)
    file = path.open("rb")
    start = file.read(len(_NUMPY))
    file.seek(0)
    if start.startswith(magic):
        return file
    file.close()
    if start.startswith((_ZIP, _NUMPY)):
        wrong, right = (".npy", ".npz") if magic == _NUMPY else (".npz", ".npy")
        message = f"{path}: named {wrong}, but it is an {right} file; expected the name of its kind. Rename it."
    else:
        message = f"{path}: not a NumPy file, or damaged at its start. Save it again: np.savez(path, x=x, y=y)."
    raise UnreadableInput(message)


def _array(path: Path) -> np.ndarray:
    """The array of an ``.npy``."""
    with guarded(path, "an .npy file"), _open(path, _NUMPY) as file:
        return _read(path, "", file, os.fstat(file.fileno()).st_size)


def _archive(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` by name."""
    arrays: dict[str, np.ndarray] = {}
    with guarded(path, "an .npz file"), _open(path, _ZIP) as file, zipfile.ZipFile(file) as archive:
        left = _DEFLATED * os.fstat(file.fileno()).st_size  # members that share bytes cannot claim them twice
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name == member.filename or name in arrays:
                problem = f"holds {name!r} twice" if name in arrays else f"holds {name!r}, which is not an array"
                message = f"{path}: {problem}; expected an .npy member for each array. Save it again: np.savez(path, x=x, y=y)."
                raise UnreadableInput(message)
            with archive.open(member) as content:
                array = _read(path, name, content, min(member.file_size, left))
                content.read(1)  # the end of a member is where zipfile compares its checksum
            left -= member.file_size
            arrays[name] = array
    return arrays


def _read(path: Path, name: str, file: IO[bytes], n_bytes: int) -> np.ndarray:
    """One array, after a look at its header. `n_bytes` is how much the file has for header and values."""
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read_header(file)
    except MemoryError as error:  # the parser of Python reports deep nesting so
        message = f"{path}: damaged, or not a NumPy file (its header is nested too deep). Save it again."
        raise UnreadableInput(message) from error
    if dtype.hasobject:
        message = (
            f"{path}: {name or 'the array'} holds Python objects, which are never unpickled; expected numbers, bools or text. "
            "Save text as y.astype(str), and give all rows the same length, without None."
        )
        raise UnreadableInput(message)
    n_values = math.prod(max(int(size), 1) for size in shape)
    check_claim(
        path, name, n_values=n_values, n_bytes=math.prod(shape) * dtype.itemsize, present=max(n_bytes - file.tell(), 0)
    )
    file.seek(0)
    array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    if dtype.kind == "U" and array.size and not _is_text(array):
        message = f"{path}: {name or 'the array'} is damaged; expected text, got numbers that are not characters. Save it again."
        raise UnreadableInput(message)
    return array


def _is_text(array: np.ndarray) -> bool:
    """Whether text holds only characters. NumPy does not look, and Python fails to make a text of anything else."""
    numbers = np.frombuffer(array.tobytes(), np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    first, last = _SURROGATES
    return not np.any((numbers > sys.maxunicode) | ((numbers >= first) & (numbers <= last)))


def _of_archive(path: Path, arrays: dict[str, np.ndarray], options: ReadOptions) -> Data:
    left = dict(arrays)
    names = _class_names(path, left)
    if by_split := _by_split(left):
        return replace(_of_splits(path, by_split, options), class_names=names)
    x = _part(left, "x", options.inputs)
    y = _part(left, "y", options.outputs)
    weight = _part(left, _WEIGHT, ())
    if x is None and y is None:
        expected = f"x and y, or {', '.join((*options.inputs, *options.outputs))}" if options.inputs else "x and y"
        got = some_of(sorted(arrays), _MOST_NAMED) or "none"
        message = f"{path}: no inputs or labels; expected the arrays {expected}, got {got}."
        raise UsageError(message)
    if left:
        known = ["x", "y", _WEIGHT, _NAMES, *options.inputs, *options.outputs]
        message = f"{path}: unknown arrays {some_of(sorted(left), _MOST_NAMED)}; expected {', '.join(known)}."
        raise UsageError(message)
    if not options.as_found:
        check_lengths(str(path), _by_name(x=x, y=y, sample_weight=weight))
    return Data(x=x, y=y, sample_weight=weight, class_names=names, source=str(path))


_PARTS = MappingProxyType({
    "x": "x", "image": "x", "images": "x", "data": "x", "inputs": "x", "features": "x",
    "y": "y", "label": "y", "labels": "y", "target": "y", "targets": "y",
})  # fmt: skip


def _by_split(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The arrays by split and part, of names as in Keras's ``mnist.npz``: ``x_train``, ``y_train``, ``x_test``; or empty."""
    by_split: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        words = name.lower().split("_")
        if len(words) != 2:  # noqa: PLR2004 - part and split
            return {}
        split = next((SPLITS[word] for word in words if word in SPLITS), "")
        part = next((_PARTS[word] for word in words if word in _PARTS), "")
        if not split or not part or part in by_split.get(split, {}):
            return {}
        by_split.setdefault(split, {})[part] = array
    return by_split


def _of_splits(path: Path, by_split: Mapping[str, dict[str, np.ndarray]], options: ReadOptions) -> Data:
    """The data of one split, with the others beside it."""
    if options.split not in by_split:
        message = f"{path}: no {options.split} data; expected arrays for it beside those of {', '.join(by_split)}."
        raise UsageError(message)
    splits = {
        split: Data(x=parts.get("x"), y=parts.get("y"), source=f"{path}, {split}") for split, parts in by_split.items()
    }  # fmt: skip
    if not options.as_found:
        check_lengths(str(path), _by_name(**by_split[options.split]))
    data = splits.pop(options.split)
    return replace(data, source=str(path), splits=splits, notes=(f"{options.split} data of a file that holds several splits",))


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
