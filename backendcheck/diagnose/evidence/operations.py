"""Where a value begins to differ: the first operation with equal inputs and different results, and its exact result in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backendcheck.diagnose.evidence.float_formats import rounded
from backendcheck.recordings.operation_calls import OperationCall
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.observations import Observation

Inputs = Mapping[str, np.ndarray]
_ROUNDING = 1e-5  # how far apart floats of two backends may be and count as the same


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DifferingCall:
    """One call on two legs: the same inputs and options, other results."""

    legs: tuple[str, str]
    calls: tuple[OperationCall, OperationCall]
    left: np.ndarray
    right: np.ndarray

    @property
    def call(self) -> OperationCall:
        return self.calls[0]

    @property
    def name(self) -> str:
        return self.call.name

    @property
    def options(self) -> Mapping[str, Any]:
        return self.call.options

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        return {name: observation.value for name, observation in self.call.inputs.items()}

    @property
    def apart(self) -> np.ndarray:
        return ~_equal(self.left, self.right)


def first_differing_call(legs: tuple[str, str], recordings: tuple[Recording, Recording]) -> DifferingCall | None:
    """The first call whose results differ between two legs; None without one, and if inputs or calls differ before."""
    for left, right in zip(*(recording.operations for recording in recordings), strict=False):
        if left.name != right.name or _options(left) != _options(right) or {*left.inputs} != {*right.inputs}:
            return None
        if not all(_near(observation, right.inputs[name]) for name, observation in left.inputs.items()):
            return None
        if {*left.results} != {*right.results}:
            return None
        differing = [name for name in left.results if not _near(left.results[name], right.results[name])]
        if not differing:
            continue
        if not all(_same(observation, right.inputs[name]) for name, observation in left.inputs.items()):
            return None  # what orders or rounds may amplify noise
        name = max(differing, key=lambda name: left.results[name].value.dtype.kind in "iu")  # of values and indices the indices
        values = left.results[name].value, right.results[name].value
        return None if values[0].shape != values[1].shape else DifferingCall(
            legs=legs, calls=(left, right), left=values[0], right=values[1]
        )
    return None


def _options(call: OperationCall) -> dict[str, Any]:
    """The options without the width of an integer type: a backend without 64 bits asks for 32."""
    return {
        name: str(value).rstrip("0123456789") if name == "dtype" and "int" in str(value) else value
        for name, value in call.options.items()
    }  # fmt: skip


def _same(left: Observation, right: Observation) -> bool:
    return left.value.shape == right.value.shape and bool(_equal(left.value, right.value).all())


def _near(left: Observation, right: Observation) -> bool:
    """The same but for rounding of floats."""
    if left.value.shape == right.value.shape and left.value.dtype.kind == right.value.dtype.kind == "f":
        return bool(np.isclose(left.value, right.value, rtol=_ROUNDING, atol=_ROUNDING, equal_nan=True).all())
    return _same(left, right)


def _equal(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    equal: np.ndarray = left == right
    if left.dtype.kind == right.dtype.kind == "f":
        equal = equal | (np.isnan(left) & np.isnan(right))
    return equal


# --- exact results -----------------------------------------------------------------------------------------------


def exact_result(
    call: OperationCall, inputs: Inputs | None = None, options: Mapping[str, Any] | None = None
) -> np.ndarray | None:
    """What an operation gives by its definition; None if that is not known. `inputs` and `options` replace those of the call."""
    values = {name: observation.value for name, observation in call.inputs.items()} if inputs is None else inputs
    emulation = _EMULATIONS.get(call.name)
    if emulation is None:
        return None
    try:
        with np.errstate(all="ignore"):
            result = emulation({**(call.options if options is None else options), **values})
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        return None
    return result


def _wide(value: Any) -> Any:
    """Integers in 64 bits and floats in float64, where neither wraps nor rounds."""
    array = np.asarray(value)
    return array.astype({"b": np.int64, "u": np.int64, "i": np.int64, "f": np.float64}.get(array.dtype.kind, array.dtype))


def _of_two(function: Callable[[Any, Any], Any]) -> Callable[[Mapping[str, Any]], np.ndarray]:
    return lambda a: np.asarray(function(_wide(a["x1"]), _wide(a["x2"])))


def _ordered(function: Callable[..., Any], sign: int) -> Callable[[Mapping[str, Any]], np.ndarray]:
    def emulate(arguments: Mapping[str, Any]) -> np.ndarray:
        x = np.asarray(arguments["x"])
        return np.asarray(function(sign * _wide(x), axis=arguments.get("axis")))

    return emulate


def _digitize(arguments: Mapping[str, Any]) -> np.ndarray:
    return np.asarray(np.digitize(_wide(arguments["x"]), _wide(arguments["bins"])))


def _one_hot(arguments: Mapping[str, Any]) -> np.ndarray:
    if arguments.get("axis", -1) != -1:
        raise ValueError
    classes = np.arange(int(arguments["num_classes"]))
    rows: np.ndarray = (_wide(arguments["x"])[..., None] == arguments.get("classes", classes)).astype(np.int64)
    return rows


_EMULATIONS: dict[str, Callable[[Mapping[str, Any]], np.ndarray]] = {
    "argmax": _ordered(np.argmax, 1), "argmin": _ordered(np.argmin, 1), "digitize": _digitize, "one_hot": _one_hot,
    "add": _of_two(np.add), "subtract": _of_two(np.subtract), "multiply": _of_two(np.multiply),
    "maximum": _of_two(np.maximum), "minimum": _of_two(np.minimum),
    "equal": _of_two(np.equal), "not_equal": _of_two(np.not_equal),
    "greater": _of_two(np.greater), "greater_equal": _of_two(np.greater_equal),
    "less": _of_two(np.less), "less_equal": _of_two(np.less_equal),
    "clip": lambda a: np.clip(_wide(a["x"]), _wide(a["x_min"]), _wide(a["x_max"])),
    "convert_to_tensor": lambda a: _wide(a["x"]),
    "cast": lambda a: _wide(a["x"]),
    "square": lambda a: np.square(_wide(a["x"])),
    "cumsum": lambda a: np.cumsum(_wide(a["x"]), axis=a.get("axis")),
}  # fmt: skip


# --- what may have become of the inputs --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ChangedCall:
    """A supposition about a call: its code, in words, and the result that follows from it."""

    code: str
    words: str
    result: np.ndarray


def suppositions(call: OperationCall) -> Iterator[ChangedCall]:
    """What may have become of the inputs or the result of a call, with the result by definition after that."""
    inputs = {name: observation.value for name, observation in call.inputs.items()}
    for code, words, changed, options in _changed_arguments(call, inputs):
        result = exact_result(call, changed, options)
        if result is not None:
            yield ChangedCall(code=code, words=words, result=result)
    yield from _changed_results(call)


def _changed_arguments(call: OperationCall, inputs: Inputs) -> Iterator[tuple[str, str, Inputs, Mapping[str, Any]]]:
    whole = {name: value for name, value in inputs.items() if value.dtype.kind in "iu" and value.size}
    if any((np.abs(value.astype(np.float64)) >= 2**31).any() for value in whole.values()):
        narrow = {name: value.astype(np.int32) if name in whole else value for name, value in inputs.items()}
        yield "label-wrapped", "integers kept their lower 32 bits", narrow, call.options
    for dtype, limit in (("float32", 2**24), ("float16", 2**11), ("bfloat16", 2**8)):
        if any((np.abs(value.astype(np.float64)) > limit).any() for value in whole.values()):
            floats = {name: rounded(value, dtype) if name in whole else value for name, value in inputs.items()}
            yield "label-rounded", f"integers were taken as {dtype}, which has no {_lost(whole, dtype)}", floats, call.options
    for name, number in call.options.items():
        for array in whole.values():
            limits = np.iinfo(array.dtype)
            if type(number) is int and name in _OPERANDS and not limits.min <= number <= limits.max:
                cast = int(np.asarray(number, np.int64).astype(array.dtype))
                words = f"{number} was cast to {array.dtype}, where it is {cast}"
                yield "label-wrapped", words, inputs, {**call.options, name: cast}
    tiny = np.finfo(np.float32).tiny
    floats = {name: value for name, value in inputs.items() if value.dtype == np.float32}
    if any(((value != 0) & (np.abs(value) < tiny)).any() for value in floats.values()):
        flushed = {name: np.where(np.abs(value) < tiny, 0.0, value) for name, value in floats.items()}
        yield "denormal", "numbers below the smallest normal float32 counted as 0", {**inputs, **flushed}, call.options
    if call.name in ("argmax", "argmin") and any((np.signbit(value) & (value == 0)).any() for value in floats.values()):
        # A number between -0.0 and the next one, which no comparison of the others changes.
        minus_zero = {name: np.signbit(value) & (value == 0) for name, value in floats.items()}
        below = {name: np.where(minus_zero[name], -np.finfo(np.float64).tiny, value) for name, value in floats.items()}
        yield "tie-order", "-0.0 counted as less than 0.0", {**inputs, **below}, call.options
    if call.name == "one_hot" and (labels := whole.get("x")) is not None:
        n_classes = call.options.get("num_classes")
        if (labels < 0).any():
            yield "missing-label-counted", "labels below 0 were counted as class 0", {"x": np.maximum(labels, 0)}, call.options
        if isinstance(n_classes, int) and (labels < 0).any():
            words = "labels below 0 were counted from the last class"
            yield "missing-label-counted", words, {"x": np.where(labels < 0, _wide(labels) + n_classes, labels)}, call.options
        if isinstance(n_classes, int) and n_classes - 1 > np.iinfo(labels.dtype).max:
            classes = np.arange(n_classes).astype(labels.dtype).astype(np.int64)
            words = f"the classes up to {n_classes - 1} were counted in {labels.dtype}, where they wrap around"
            yield "label-wrapped", words, inputs, {**call.options, "classes": classes}


_OPERANDS = ("x1", "x2", "x_min", "x_max")


def _lost(whole: Inputs, dtype: str) -> str:
    """The first integer that a float type does not hold."""
    for value in whole.values():
        lost = value[rounded(value, dtype) != value.astype(np.float64)]
        if lost.size:
            return str(int(lost.ravel()[0]))
    return "such integer"


def _changed_results(call: OperationCall) -> Iterator[ChangedCall]:
    """The exact result in a type that does not hold it."""
    result, exact = call.results.get("0"), exact_result(call)
    if result is None or exact is None or call.name in ("argmax", "argmin", "digitize", "one_hot"):
        return
    if exact.dtype.kind in "iu" and result.value.dtype.kind in "iu" and result.value.dtype.itemsize < 8:  # noqa: PLR2004 - int64
        words = f"the result wrapped around in {result.dtype}"
        yield ChangedCall(code="label-wrapped", words=words, result=exact.astype(result.value.dtype).astype(np.int64))
    if call.name == "convert_to_tensor" and exact.dtype.kind == "f" and result.value.dtype.kind in "iu":
        cut = exact[exact != np.trunc(exact)]
        if cut.size:
            words = f"fractions were cut off by {result.dtype}, such as that of {cut.ravel()[0]:g}"
            yield ChangedCall(code="label-truncated", words=words, result=np.trunc(exact))
    to_float = exact.dtype.kind in "iu" and result.dtype in ("float32", "float16", "bfloat16")
    if call.name in ("cast", "convert_to_tensor") and to_float:
        words = f"integers were rounded to {result.dtype}"
        yield ChangedCall(code="label-rounded", words=words, result=rounded(exact, result.dtype))


def fits(result: np.ndarray, supposed: np.ndarray | None) -> bool:
    """Whether a recorded result is exactly what was supposed."""
    return supposed is not None and result.shape == supposed.shape and bool(_equal(_wide(result), _wide(supposed)).all())


