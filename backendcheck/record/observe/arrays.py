"""Conversions between NumPy arrays, tensors of the backend, and the lists and nests that users write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from backendcheck import nests
from backendcheck.nests import with_slashes
from backendcheck.record.backends import backend_module
from backendcheck.record.observe.errors import InvalidCase, NotRecordable
from backendcheck.record.observe.precision import session_precision
from backendcheck.vocabulary.observations import Observation

# --- from a backend to NumPy -----------------------------------------------------------------------------------


def as_observation(value: Any, *, where: str) -> Observation:
    """`value` as it will be recorded: from a tensor, an array, a number, a bool, a string, or a list of those.

    Raises:
        NotRecordable: for anything else, naming `where`.
    """
    if _is_backend_tensor(value):
        dtype = keras.backend.standardize_dtype(value.dtype) if not _is_text_tensor(value) else "text"
        array = _tensor_to_numpy(value)
        precision = dtype
    else:
        try:
            array = np.asarray(value)
        except (ValueError, TypeError) as error:
            message = f"{where}: cannot be recorded ({error}); expected an array, got {type(value).__name__}."
            raise NotRecordable(message) from error
        dtype = array.dtype.name
        # A Python float or a float64 array does not tell the precision in which its numbers were computed.
        precision = session_precision() if dtype == "float64" else dtype
    if array.dtype.kind in "SUOT":
        return Observation(value=_text(array, where), dtype="text", precision="text")
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16" and "float8" not in array.dtype.name:
        message = (
            f"{where}: dtype {array.dtype} cannot be recorded; expected numbers, bools or text. "
            "Split complex numbers into real and imaginary parts."
        )
        raise NotRecordable(message)
    if array.dtype.kind == "V" or array.dtype.name.startswith(("bfloat16", "float8")):
        array = array.astype(np.float32)  # exact: every bfloat16 is a float32
    return Observation(value=array, dtype=dtype, precision=precision)


def _is_backend_tensor(value: Any) -> bool:
    return isinstance(value, keras.Variable) or keras.ops.is_tensor(value)


def _is_text_tensor(value: Any) -> bool:
    return "string" in str(getattr(value, "dtype", ""))


def _tensor_to_numpy(value: Any) -> np.ndarray:
    if isinstance(value, keras.Variable):
        value = value.value
    if _is_text_tensor(value):
        return np.asarray(value.numpy(), dtype=object)
    if hasattr(value, "to_dense") and not hasattr(value, "numpy"):
        value = value.to_dense()
    if keras.backend.backend() == "torch":
        value = value.detach()
        if str(value.dtype) == "torch.bfloat16":  # NumPy has no bfloat16 for torch to convert to
            value = value.float()
    elif keras.backend.backend() == "tensorflow" and keras.backend.standardize_dtype(value.dtype) == "bfloat16":
        value = keras.ops.cast(value, "float32")  # TensorFlow returns a NumPy scalar for (), not an array
    return np.asarray(keras.ops.convert_to_numpy(value))


def _text(array: np.ndarray, where: str) -> np.ndarray:
    def decoded(item: Any) -> str:
        if isinstance(item, bytes):
            return item.decode("utf-8", errors="backslashreplace")
        if isinstance(item, str):
            return str(item)
        message = f"{where}: holds {type(item).__name__}; expected numbers, bools, text, or arrays of one of them."
        raise NotRecordable(message)

    text = np.empty(array.shape, dtype=object)
    text.ravel()[:] = [decoded(item) for item in array.ravel().tolist()]
    return text if array.ndim else np.array(decoded(array.item()), dtype=object)


def leaves(nest: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a nest of dicts, lists and tuples with their slash-separated paths, in the order of the nest.

    A list of plain numbers, bools or strings is one leaf (an array). A list of anything else is a level of the nest.
    """
    for keys, leaf in nests.leaves(nest, is_leaf=_is_array):
        yield with_slashes((path, *keys) if path else keys), leaf


def _is_array(nest: Any) -> bool:
    return nests.is_leaf(nest) or (not isinstance(nest, Mapping) and is_plain(nest))


def is_plain(value: Any) -> bool:
    """Whether a list is an array in Python: at every depth it holds only numbers, bools and strings."""
    if isinstance(value, list | tuple):
        return all(is_plain(item) for item in value)
    return isinstance(value, int | float | str | bytes | np.generic)


# --- from users to a backend -----------------------------------------------------------------------------------


def as_arrays(nest: Any, n_outputs: int | None = None, *, where: str = "the data") -> Any:
    """A nest of what users write (lists, numbers, arrays) as a nest of NumPy arrays.

    With `n_outputs` = 1 a list of arrays is one array, because the model has only one output.

    Raises:
        NotRecordable: if the examples in `where` have several shapes.
    """
    if nest is None:
        return None
    if isinstance(nest, Mapping):
        return {key: as_arrays(value, where=f"{where}[{key!r}]") for key, value in nest.items()}
    if isinstance(nest, list | tuple) and not is_plain(nest) and n_outputs != 1:
        return type(nest)(as_arrays(value, where=f"{where}[{place}]") for place, value in enumerate(nest))
    if "Ragged" in type(nest).__name__:
        raise _ragged(where, type(nest).__name__)
    if _is_backend_tensor(nest):
        return _tensor_to_numpy(nest)
    try:
        array = np.asarray(nest)
    except ValueError as error:
        raise _ragged(where, type(nest).__name__) from error
    if array.dtype == object and any(isinstance(item, list | tuple | np.ndarray) for item in array.ravel()):
        raise _ragged(where, "an array of lists")
    return array


def _ragged(where: str, what: str) -> NotRecordable:
    problem = f"{where}: holds examples of several shapes ({what}); expected one shape for all of them."
    return NotRecordable(f"{problem} Pad them to one length with keras.utils.pad_sequences, and mask the padding.")


def map_nest(function: Callable[[Any], Any], nest: Any) -> Any:
    """`function` applied to each leaf of a nest of dicts, lists and tuples."""
    if isinstance(nest, Mapping):
        return {key: map_nest(function, value) for key, value in nest.items()}
    if isinstance(nest, list | tuple):
        return type(nest)(map_nest(function, value) for value in nest)
    return function(nest)


def to_tensor(array: Any) -> Any:
    """A tensor as `model.fit` would make it from `array`: float64 becomes the float type of the session.

    The tensor has its own memory, because some losses write into their weights, and PyTorch shares memory with NumPy.
    """
    if array is None:
        return None
    values = np.asarray(array)
    copy = np.array(values, keras.config.floatx() if values.dtype == np.float64 else values.dtype)
    return keras.ops.convert_to_tensor(copy)


def is_text(array: Any) -> bool:
    """Whether an array of NumPy holds text."""
    values = np.asarray(array)
    return values.dtype.kind in "UST" or (values.dtype == object and all(isinstance(item, str | bytes) for item in values.flat))


def as_fed(nest: Any) -> Any:
    """A nest of arrays as the methods of a model take it. A nest that holds text becomes tensors on TensorFlow, which has text.

    All of its leaves do, because some methods refuse a mixture.
    """
    if not backend_module().HAS_TEXT or not any(leaf is not None and is_text(leaf) for _, leaf in leaves(nest)):
        return nest
    return map_nest(to_tensor, nest)


def digests(name: str, nest: Any) -> dict[str, str]:
    """A digest of dtype, shape and content for each array of a nest, by path below `name`."""
    return {path: digest(np.asarray(leaf)) for path, leaf in leaves(nest, name) if leaf is not None}


def digest(array: np.ndarray) -> str:
    """A digest of dtype, shape and content."""
    if array.dtype.kind in "OUS":
        content = repr(array.ravel().tolist()).encode("utf-8", "surrogatepass")
    else:
        content = np.ascontiguousarray(array).tobytes()
    return hashlib.sha256(f"{array.dtype.name}{array.shape}".encode() + content).hexdigest()[:32]


def scalar(loss: Any) -> Any:
    """A loss as one number: the values of an unreduced loss are summed, so that it has one gradient."""
    return loss if len(loss.shape) == 0 else keras.ops.sum(loss)


def check_lengths(where: str, arrays: Mapping[str, Any]) -> None:
    """Check that all arrays hold the same number of examples.

    Raises:
        InvalidCase: naming the first two that do not.
    """
    first: tuple[str, int] | None = None
    for name, nest in arrays.items():
        for path, leaf in leaves(nest, name):
            if leaf is None or np.ndim(leaf) == 0:
                continue
            if first is None:
                first = (path, len(leaf))
            elif len(leaf) != first[1]:
                message = (
                    f"{where}: {path} has {len(leaf)} examples, {first[0]} has {first[1]}; expected the same number in each. "
                    "If backends must reject this, add expect=Raises()."
                )
                raise InvalidCase(message)
