"""The observation of a ValueCase and of a FunctionCase: returned values, and the gradients by the inputs of the function."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from backendcheck.case import FunctionCase, ValueCase
from backendcheck.nests import map_with_paths, with_slashes
from backendcheck.record.backends import backend_module
from backendcheck.record.observe.arrays import as_arrays, digests, leaves, map_nest, to_tensor
from backendcheck.record.observe.draws import Draws, depends_on_draws, in_words, sentence, watched
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.gradients import GradientFunction, add_gradient
from backendcheck.record.observe.operations import operations_noted
from backendcheck.record.observe.perturbation import Perturbation
from backendcheck.record.observe.precision import layers_noted, lowest_of_policy
from backendcheck.record.observe.trace import Trace
from backendcheck.vocabulary.backends import Ability
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Observation, ObservationName, Quantity
from backendcheck.vocabulary.stages import RecordingStage

_RESULT = "result"  # the name of a returned value that is not in a dict


def add_values(values: Any, trace: Trace, where: str) -> None:
    """Record a dict of arrays, or a nest of them, as ``value/<path>``, and the order of the dicts inside it.

    Raises:
        InvalidCase: if `values` is not a dict, or is empty, or two of its values have the same name.
    """
    if not isinstance(values, Mapping):
        message = f"{where} returned {type(values).__name__}; expected a dict of name to array."
        raise InvalidCase(message)
    if not values:
        message = f"{where} returned an empty dict, so there is nothing to compare; expected at least one name."
        raise InvalidCase(message)
    for path, leaf in leaves(values):
        if f"value/{path}" in trace.observations:
            message = f"{where}: two values have the name {path!r}; expected each name once. Rename one."
            raise InvalidCase(message)
        trace.add(f"value/{path}", leaf)
    for path, order in _orders(values):
        trace.add(f"value/{path} (order)", order)


def _orders(nest: Mapping[Any, Any]) -> list[tuple[str, list[str]]]:
    """The key order of every dict inside the returned dict. The order of the returned dict itself is the choice of the author."""
    orders = []
    for name, value in nest.items():
        if isinstance(value, Mapping):
            if len(value) > 1:
                orders.append((str(name), [str(key) for key in value]))
            orders += [(f"{name}/{path}", order) for path, order in _orders(value)]
    return orders


def note_draws_of_values(compute: Callable[[], Any], draws: Draws, trace: Trace) -> None:
    """Look at the values of a case again; `compute` calls it afresh. What differs from itself depends on random numbers.

    Python's and NumPy's global generators start alike on every backend, so their numbers may be compared.
    """

    def look() -> Mapping[str, Observation]:
        case, again = compute(), Trace()
        add_values(case.compute() if isinstance(case, ValueCase) else case, again, "the case")
        return again.observations

    names = depends_on_draws(draws, trace.observations, look, host=False)
    for name in sorted(names):
        trace.not_compared[glob.escape(name)] = sentence(f"the value {ObservationName.parse(name).part}")
    if draws.host:
        of_host = depends_on_draws(draws, trace.observations, look, most_looks=1) - names
        values = ", ".join(sorted(ObservationName.parse(name).part for name in of_host))
        if values:
            trace.notes.append(f"{values}: random numbers of NumPy or Python, which start from the same seed on every backend")


# --- functions -------------------------------------------------------------------------------------------------


def observe_function(
    case: FunctionCase, trace: Trace, *, seed: int, oracles: frozenset[Oracle], noise: Perturbation
) -> None:
    """Fill `trace` with the values of the function and its gradients. With the oracle ``paths``, also with its compiled values.

    Raises:
        InvalidCase: if the function returns None, or two inputs have the same name.
    """
    arrays = {name: as_arrays(value) for name, value in case.named_inputs.items()}
    if len(arrays) != len(case.inputs):
        message = f"FunctionCase: {len(case.inputs)} inputs have {len(arrays)} names; expected a name for each input. Rename one."
        raise InvalidCase(message)
    for name, nest in arrays.items():
        trace.digests |= digests(name, nest)
    arrays = {name: noise.inputs(name, nest, trace, seed=seed, codes=True) for name, nest in arrays.items()}
    call = _call_of(case)
    returned: Any = None
    with watched(case.function) as draws, trace.stage(RecordingStage.COMPUTE):
        with layers_noted() as dtypes, operations_noted(trace.operations):
            returned = call(_tensors(arrays))
        dtypes |= {np.asarray(leaf).dtype.name for _, leaf in leaves(arrays) if leaf is not None}
        trace.lower_precision(*dtypes, lowest_of_policy())
        if returned is None:
            message = "FunctionCase: the function returned None; expected an array or a nest of arrays. Is a return missing?"
            raise InvalidCase(message)
        add_values(_by_name(returned), trace, "FunctionCase: the function")
        trace.lower_precision_by(Quantity.VALUE)
    if trace.raised:
        return
    _note_draws(case, lambda: call(_tensors(arrays)), draws, trace)
    if case.gradients and trace.not_compared:
        trace.notes.append("no gradient: the function draws random numbers")
    elif case.gradients and trace.can(Ability.GRADIENT):
        _observe_gradients(call, arrays, trace, seed)
    if Oracle.PATHS in oracles:
        _observe_compiled(call, arrays, trace)


def _call_of(case: FunctionCase) -> Callable[[Mapping[str, Any]], Any]:
    """The function, called with a dict of tensors by name."""
    if isinstance(case.inputs, Mapping):
        return lambda named: case.function(**named)
    return lambda named: case.function(*named.values())


def _tensors(nest: Any) -> Any:
    return map_nest(lambda leaf: leaf if leaf is None or np.asarray(leaf).dtype.kind in "OUST" else to_tensor(leaf), nest)


def _by_name(returned: Any) -> Mapping[str, Any]:
    return returned if isinstance(returned, Mapping) else {_RESULT: returned}


def _note_draws(case: FunctionCase, call: Callable[[], Any], draws: Draws, trace: Trace) -> None:
    """Look at the function again. What differs from itself depends on random numbers."""

    def look() -> Mapping[str, Observation]:
        again = Trace()
        add_values(_by_name(call()), again, "FunctionCase: the function")
        return again.observations

    why = sentence(f"the function{in_words(case.function)}")
    trace.not_compared |= {glob.escape(name): why for name in sorted(depends_on_draws(draws, trace.observations, look))}


# --- gradients -------------------------------------------------------------------------------------------------


def _observe_gradients(call: Callable[[Mapping[str, Any]], Any], arrays: Mapping[str, Any], trace: Trace, seed: int) -> None:
    flat = {path: leaf for path, leaf in leaves(arrays) if leaf is not None}
    floats = [path for path, leaf in flat.items() if np.asarray(leaf).dtype.kind == "f"]
    weights = {
        path: _cotangent(path, observation.value.shape, seed)
        for name, observation in trace.observations.items()
        for path in [ObservationName.parse(name).rest]
        if observation.is_float
    }
    if not floats or not weights:
        trace.notes.append("no gradient: the function has no float input, or no float output")
        return

    def weighted_sum(by_path: Mapping[str, Any], rest: Mapping[str, Any]) -> Any:
        returned = call(_with_leaves(arrays, {**rest, **by_path}))
        terms = [
            keras.ops.sum(leaf * keras.ops.convert_to_tensor(weights[path], dtype=leaf.dtype))
            for path, leaf in leaves(_by_name(returned))
            if path in weights and keras.ops.is_tensor(leaf)
        ]
        if not terms:
            message = (
                f"{_inside(returned) or 'no tensor'}: the function does not return a tensor, so it cannot be differentiated, and "
                "fit cannot compile it. Use keras.ops. If it never runs in fit, set gradients=False"
            )
            raise TypeError(message)
        return sum(keras.ops.cast(term, keras.config.floatx()) for term in terms)

    if text := sorted(path for path, leaf in flat.items() if np.asarray(leaf).dtype.kind in "OUST"):
        trace.notes.append(f"no gradient: the function takes text ({', '.join(text)})")
        return
    with trace.stage(RecordingStage.GRADIENT):
        gradients = GradientFunction(
            lambda data: data["by"], lambda by, data: weighted_sum(by, data["rest"]), ()
        )
        tensors = {path: to_tensor(leaf) for path, leaf in flat.items()}
        data = {
            "by": {path: tensors[path] for path in floats},
            "rest": {path: tensor for path, tensor in tensors.items() if path not in floats},
        }
        by_input, _ = gradients(data)
        # Keras flattens a dict by sorted key.
        for path, gradient in zip(sorted(floats), by_input, strict=True):
            add_gradient(f"gradient/{path}", gradient, trace)


def _with_leaves(nest: Any, by_path: Mapping[str, Any]) -> Any:
    """`nest` with each leaf replaced by the value of its path."""
    return map_with_paths(lambda path, _: by_path.get(with_slashes(path)), nest)


def _cotangent(path: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Factors for the elements of a result, which is then summed: 1 for a scalar, else random numbers keyed by the path."""
    if not shape:
        return np.ones((), np.float32)
    key = hashlib.sha256(f"{seed}\0{path}\0{shape}".encode()).digest()
    return np.random.default_rng(int.from_bytes(key[:16], "little")).uniform(0.5, 1.5, shape).astype(np.float32)


def _inside(returned: Any) -> str:
    """Which foreign library a function went through, by what it returned; empty if nothing shows it."""
    for _, leaf in leaves(_by_name(returned)):
        if isinstance(leaf, np.ndarray | np.generic):
            return "NumPy inside"
        if type(leaf).__module__.startswith("tensorflow.") and keras.backend.backend() != "tensorflow":
            return "tf.* inside"
    return ""


def _not_compiled(returned: Any, error: Exception) -> Exception:
    """The exception of a loss or a metric that `fit` cannot compile, named after its cause where that is certain."""
    # JAX and TensorFlow refuse to make an array of NumPy of what has no value while it is traced.
    is_numpy = "TracerArrayConversionError" in type(error).__name__ or "to a numpy array" in str(error)
    cause = _inside(returned) or ("NumPy inside" if is_numpy else "")
    return type(cause, (TypeError,), {})(f"not compilable, as fit compiles it: {error}") if cause else error


# --- paths -----------------------------------------------------------------------------------------------------


def _observe_compiled(call: Callable[[Mapping[str, Any]], Any], arrays: Mapping[str, Any], trace: Trace) -> None:
    """The values of the compiled function, as `fit` would compile it. If it cannot be compiled, that is a finding of a loss or a
    metric, which runs in `fit`, and a note for other functions.
    """
    if not backend_module().COMPILES:
        return  # `fit` runs op by op as well
    tensors = _tensors(arrays)
    flat = {path: leaf for path, leaf in leaves(tensors) if leaf is not None}
    if not flat or not all(keras.ops.is_tensor(leaf) for leaf in flat.values()):
        return
    has_text = any(observation.dtype == "text" for observation in trace.observations.values())
    names = list(flat)
    try:
        values = list(flat.values())
        program, _ = backend_module().compiled(
            lambda values: call(_with_leaves(arrays, dict(zip(names, values, strict=True)))), values
        )
        returned = program(values)
    except Exception as error:
        trace.notes.append(f"not compiled: {type(error).__name__}")
        if {"y_true", "y_pred"} <= arrays.keys() and not trace.not_compared:
            with trace.variant(Oracle.PATHS, "compiled"):
                raise _not_compiled(call(tensors), error) from error
        return
    if not has_text:
        with trace.variant(Oracle.PATHS, "compiled") as variant:
            add_values(_by_name(returned), variant, "FunctionCase: the function, compiled,")
