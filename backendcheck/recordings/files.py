"""What is on disk: one safetensors file per case and backend, one environment.json per backend.

Format history
    1  first version

A recording is self-contained: the comparison needs neither the case file nor a backend. Files are written to a
temporary name and renamed, carry a checksum of their own, and nothing in them is ever unpickled.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from backendcheck.case import Tolerance
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import check_regular, files_below, read_text, write_atomically
from backendcheck.recordings.codec import Codec, Form, shared
from backendcheck.recordings.environment import Environment
from backendcheck.recordings.paths import RECORDINGS, SUFFIX, recording_path, recording_paths
from backendcheck.recordings.recording import Recording
from backendcheck.text.words import error_line
from backendcheck.vocabulary.observations import Observation, ReferenceValue
from backendcheck.vocabulary.shards import Shard, parse_shard

FORMAT = 1
ENVIRONMENT = "environment.json"
ACCESS = "Check its owner and its permissions"  # what to do about a file that is there and may not be read
INJECTED = "faults"  # the directory of the legs that were recorded with a fault injected
INJECTION_NOTES = "planted"  # beside the recordings of an injected fault: what it altered, one JSON object a case and a line


@functools.lru_cache(maxsize=256)
def _name(value: Any) -> str:
    """The name of a dtype, of which there are few."""
    return shared(_text(value))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        message = f"expected str, got {value!r:.80}"
        raise TypeError(message)
    return value


class _Arrays:
    """The arrays of one file by their keys. Equal arrays are stored once."""

    def __init__(self, tensors: Mapping[str, np.ndarray] | None = None) -> None:
        self.tensors = dict(tensors or {})
        self._keys: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def store(self, value: np.ndarray) -> dict[str, Any]:
        if value.dtype == object:
            return {"text": value.ravel().tolist(), "shape": list(value.shape)}
        # Contiguous and in the byte order of this machine, which is what comes back from the file.
        array = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("=")).reshape(value.shape)
        content = (array.dtype.str, array.shape, array.tobytes())
        if content not in self._keys:
            self._keys[content] = f"t{len(self.tensors)}"  # names are free text, the keys of a safetensors file are not
            self.tensors[self._keys[content]] = array
        return {"tensor": self._keys[content]}

    def load(self, entry: Mapping[str, Any]) -> np.ndarray:
        if "tensor" in entry:
            return self.tensors[entry["tensor"]]
        value = np.empty(len(entry["text"]), dtype=object)
        value[:] = [_text(text) for text in entry["text"]]
        return value.reshape(entry["shape"])


def _observation(entry: Mapping[str, Any], arrays: _Arrays) -> Observation:
    return Observation(value=arrays.load(entry), dtype=_name(entry["dtype"]), precision=_name(entry["precision"]))


_OF_REFERENCE = ("value", "defined", "directions", "allowed")
# The types in a recording that are not plain JSON.
RECORDING = Codec({
    np.ndarray: Form(
        encode=lambda value, arrays: arrays.store(value),
        decode=lambda entry, arrays: arrays.load(entry),
        text='`{"tensor": KEY}` with the key of a tensor of the file; `{"text": [...], "shape": [...]}` for text',
    ),
    Observation: Form(
        encode=lambda value, arrays: {"dtype": value.dtype, "precision": value.precision, **arrays.store(value.value)},
        decode=_observation,
        text="as an array, with `dtype` and `precision`",
    ),
    ReferenceValue: Form(
        encode=lambda value, arrays: {
            key: arrays.store(array) for key in _OF_REFERENCE if (array := getattr(value, key)) is not None
        },
        decode=lambda entry, arrays: ReferenceValue(
            **{key: arrays.load(array) for key, array in entry.items() if array is not None}
        ),
        text="`value`, `defined`, `directions` and `allowed` as arrays; all but the first may be left out",
    ),
    Tolerance: Form(
        encode=lambda value, _: [value.rtol, value.atol], decode=lambda entry, _: Tolerance(*entry), text="`[rtol, atol]`"
    ),
})  # fmt: skip


def as_bytes(recording: Recording) -> bytes:
    """The content of the file of a recording."""
    arrays = _Arrays()
    text = json.dumps({"format": FORMAT, **RECORDING.encode(recording, arrays)}, allow_nan=True)
    # A safetensors file cannot be without tensors in every version, and a checksum wants at least one.
    tensors = arrays.tensors or {"none": np.zeros(1, np.uint8)}
    content: bytes = safetensors.numpy.save(tensors, metadata={"backendcheck": text, "sha256": _checksum(text, tensors)})
    return content


def from_bytes(content: bytes) -> Recording:
    """The recording that `as_bytes` wrote, from a process of this machine."""
    n_layout = int.from_bytes(content[:8], "little")
    return _as_written(content[8 : 8 + n_layout], bytearray(content[8 + n_layout :]))


def write_recording(leg: Path, recording: Recording, *, distinct: bool = False) -> str:
    """Write `recording` below the directory of a leg, in place of an earlier one; returns the SHA-256 of the file.

    `distinct` says that the id of another case differs from that of this one only in upper and lower case.
    """
    content = as_bytes(recording)
    target = recording_path(leg, recording.case, distinct=distinct)
    write_atomically(target, content)
    _remove_others(leg, recording.case, target)
    return hashlib.sha256(content).hexdigest()


def move_recording(source: Path, leg: Path, case: str, *, distinct: bool = False) -> None:
    """Move the recording of `case` from below one directory to below that of a leg, at once, in place of an earlier one."""
    target = recording_path(leg, case, distinct=distinct)
    target.parent.mkdir(parents=True, exist_ok=True)
    recording_path(source, case, distinct=distinct).replace(target)
    _remove_others(leg, case, target)


def _remove_others(leg: Path, case: str, target: Path) -> None:
    """Remove the recording of `case` from where an earlier version has put it."""
    for path in recording_paths(leg, case):
        if path != target and path.is_file() and not path.samefile(target) and _is_of(case, path):
            path.unlink()


def recording_files(leg: Path) -> list[Path]:
    """The files below the directory of a leg that should be recordings.

    Raises:
        UnreadableInput: if a folder cannot be listed.
    """
    try:
        return files_below(leg / RECORDINGS, SUFFIX)
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise _unreadable(Path(error.filename or leg), what, ACCESS) from error


def is_written(leg: Path, case: str) -> bool:
    """Whether there is a file where the recording of `case` would be, which need not be of that case."""
    return any(path.is_file() for path in recording_paths(leg, case))


def read_if_written(leg: Path, case: str) -> Recording | None:
    """The recording of `case` below the directory of a leg, read once; None before it is written.

    Raises:
        UnreadableInput: if the file is damaged, or from a later version.
    """
    recordings = (read_recording(path) for path in recording_paths(leg, case) if path.is_file())
    return next((recording for recording in recordings if recording.case == case), None)


def find_recording(leg: Path, case: str) -> Path | None:
    """The file with the recording of `case` below the directory of a leg; None before it is written.

    A damaged file counts: reading it says what is wrong.
    """
    return next((path for path in recording_paths(leg, case) if path.is_file() and _is_of(case, path)), None)


def _is_of(case: str, path: Path) -> bool:
    """Whether a file holds `case`, not one whose name is the same where upper and lower case are."""
    try:
        return read_recording(path).case == case
    except UnreadableInput:
        return True


def _checksum(text: str, tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for key in sorted(tensors):
        tensor = tensors[key]
        digest.update(f"\0{key}\0{tensor.dtype.str}\0{tensor.shape}\0".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def read_recording_of(path: Path, digests: Collection[str]) -> tuple[Recording, str]:
    """Read one recording of a leg, and the SHA-256 of its file; `digests` are those on the list of the leg.

    A file on the list is as it was written. So its own checksum need not be computed as well, nor its layout be checked.

    Raises:
        UnreadableInput: if the file is damaged, truncated or from a later version, naming it and what to do.
    """
    digest = ""
    try:
        check_regular(path)
        size = path.stat().st_size
        with path.open("rb", buffering=0) as file:
            prefix = file.read(8)
            layout = file.read(min(int.from_bytes(prefix, "little"), size))
            data = bytearray(max(0, size - len(prefix) - len(layout)))
            whole = file.readinto(data) == len(data) and not file.read(1)
        sha256 = hashlib.sha256(prefix + layout)
        sha256.update(data)
        digest = sha256.hexdigest()
        if whole and digest in digests and sys.byteorder == "little":
            return _as_written(layout, data), digest
    except Exception:  # noqa: BLE001, S110 - whatever is wrong, the other way to read a file says it
        pass
    return read_recording(path), digest


_TYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "U64": np.uint64, "I32": np.int32, "U32": np.uint32,
    "I16": np.int16, "U16": np.uint16, "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_, "C64": np.complex64,
}  # fmt: skip


def _as_written(layout: bytes, data: bytearray) -> Recording:
    """The recording in a file that is not damaged; any exception for one of another format."""
    entries = json.loads(layout)
    header = json.loads(entries.pop("__metadata__")["backendcheck"])
    if header["format"] != FORMAT:
        raise ValueError(header["format"])
    tensors = {}
    for key, entry in entries.items():
        (first, end), kind = entry["data_offsets"], np.dtype(_TYPES[entry["dtype"]])
        tensors[key] = np.frombuffer(data, kind, (end - first) // kind.itemsize, first).reshape(entry["shape"])
    return _recording(header, tensors)


def read_recording(path: Path) -> Recording:
    """Read one recording.

    Raises:
        UnreadableInput: if the file is damaged, truncated or from a later version, naming it and what to do.
    """
    try:
        check_regular(path)
        with path.open("rb"):
            pass  # safetensors says of a file that it may not open that it does not exist
        with safetensors.safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            if "backendcheck" not in metadata:
                raise _unreadable(path, "is a safetensors file, but not a recording", "Remove it from the directory")
            header = json.loads(metadata["backendcheck"])
            _check_format(path, header)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except UnreadableInput:
        raise
    except PermissionError as error:
        raise _unreadable(path, f"cannot be read ({error.strerror})", ACCESS) from error
    except Exception as error:  # safetensors raises its own classes and a damaged header raises anything
        raise _unreadable(path, f"is damaged or truncated ({error_line(error)})", "Record the case again") from error
    if metadata.get("sha256") != _checksum(metadata["backendcheck"], tensors):
        raise _unreadable(path, "is damaged: its checksum does not match its content", "Record the case again")
    try:
        return _recording(header, tensors)
    except Exception as error:  # whatever a wrong field raises
        message = f"does not hold what format {FORMAT} prescribes ({error_line(error)})"
        raise _unreadable(path, message, "Record the case again") from error


def _recording(header: dict[str, Any], tensors: Mapping[str, np.ndarray]) -> Recording:
    recording = RECORDING.decode(Recording, _without_format(header), _Arrays(tensors))
    expect, names = recording.expect or {}, recording.class_names
    if not _are_texts(expect.get("type_names") or []) or not isinstance(expect.get("match") or "", str):
        message = f"expect: expected type_names and match, got {expect!r:.80}"
        raise TypeError(message)
    if not all(map(_are_texts, names.values() if isinstance(names, dict) else [names])):
        message = f"class_names: expected names, or names by output, got {names!r:.80}"
        raise TypeError(message)
    if not all(isinstance(loss, dict) for loss in recording.losses.values()):
        message = f"losses: expected an object for each output, got {recording.losses!r:.80}"
        raise TypeError(message)
    return recording


def _are_texts(names: Any) -> bool:
    return names is None or (isinstance(names, list) and all(isinstance(name, str) for name in names))


def _without_format(header: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in header.items() if key != "format"}


def _check_format(path: Path, header: Mapping[str, Any]) -> None:
    version = header.get("format")
    if not isinstance(version, int) or version < 1:
        raise _unreadable(path, f"has no format version (got {version!r})", "Record again")
    if version > FORMAT:
        what = f"has format {version}, written by a later backendcheck; this one reads up to {FORMAT}"
        raise _unreadable(path, what, "Upgrade backendcheck here, or record again with this version")


def _unreadable(path: Path, what: str, remedy: str) -> UnreadableInput:
    return UnreadableInput(f"{path}: {what}. {remedy}.")


def _shard(text: Any) -> Shard:
    try:
        return parse_shard(text)
    except UsageError as error:
        raise ValueError(str(error)) from None


SHARD = Form(encode=lambda shard, _: str(shard), decode=lambda text, _: _shard(text), text="`K/N`")
ENVIRONMENT_FILE = Codec({Shard: SHARD})


def write_environment(leg: Path, environment: Environment) -> None:
    """Write `environment.json` into the directory of a leg."""
    body = {"format": FORMAT, **ENVIRONMENT_FILE.encode(environment)}
    body["sha256"] = _json_checksum(body)
    write_atomically(leg / ENVIRONMENT, (json.dumps(body, indent=2) + "\n").encode(), durable=True)


def _json_checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def read_environment(leg: Path) -> Environment:
    """Read `environment.json` from the directory of a leg.

    Raises:
        UnreadableInput: if it is missing, damaged or from a later version.
    """
    path = leg / ENVIRONMENT
    try:
        body = json.loads(read_text(path))
        if not isinstance(body, dict):
            raise _unreadable(path, "is not a JSON object", "Record this backend again")
        _check_format(path, body)
        expected = body.pop("sha256", None)
        if expected != _json_checksum(body):
            raise _unreadable(path, "is damaged: its checksum does not match its content", "Record this backend again")
        return ENVIRONMENT_FILE.decode(Environment, _without_format(body))
    except OSError as error:
        remedy = ACCESS if isinstance(error, PermissionError) else "Record this backend again"
        raise _unreadable(path, f"cannot be read ({error.strerror or error})", remedy) from error
    except UnreadableInput:
        raise
    except Exception as error:  # a damaged file raises anything
        raise _unreadable(path, f"is damaged ({error_line(error)})", "Record this backend again") from error
