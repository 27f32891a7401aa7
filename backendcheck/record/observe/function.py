"""What is to be seen of a FunctionCase: what the function returns, and its gradients by what it takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from backendcheck.case import FunctionCase
from backendcheck.record.backends import backend_module
from backendcheck.record.observe.arrays import as_arrays, digests, leaves, map_nest, or_zeros, to_tensor
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.perturbation import Perturbation
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.values import see_values
from backendcheck.vocabulary.findings import Oracle

_RESULT = "result"  # the name of what a function returns if it is no dict


def observe_function(
    case: FunctionCase, trace: Trace, *, seed: int, oracles: frozenset[Oracle], noise: Perturbation
) -> None:
    """Fill `trace` with the values of the function, its gradients, and, for ``paths``, its values once it is compiled.

    Raises:
        InvalidCase: if it returns nothing, or an input has no elements to be compared by.
    """
    arrays = {name: as_arrays(value) for name, value in case.named_inputs.items()}
    if len(arrays) != len(case.inputs):
        message = f"FunctionCase: {len(case.inputs)} inputs have {len(arrays)} names; expected a name for each. Rename one."
        raise InvalidCase(message)
    for name, nest in arrays.items():
        trace.digests |= digests(name, nest)
    arrays = {name: noise.inputs(name, nest, trace, seed=seed, codes=True) for name, nest in arrays.items()}
    call = _call_of(case)
    returned: Any = None
    with trace.stage("compute"):
        returned = call(_tensors(arrays))
        if returned is None:
            message = "FunctionCase: the function returned None; expected an array or a nest of them. Does it lack a return?"
            raise InvalidCase(message)
        see_values(_by_name(returned), trace, "FunctionCase: the function")
    if trace.raised:
        return
    if case.gradients:
        _see_gradients(call, arrays, trace, seed)
    if Oracle.PATHS in oracles:
        _see_compiled(call, arrays, trace)


def _call_of(case: FunctionCase) -> Callable[[Mapping[str, Any]], Any]:
    """The function as one of a dict of tensors by name."""
    if isinstance(case.inputs, Mapping):
        return lambda named: case.function(**named)
    return lambda named: case.function(*named.values())


def _tensors(nest: Any) -> Any:
    return map_nest(lambda leaf: leaf if leaf is None or np.asarray(leaf).dtype.kind in "OUST" else to_tensor(leaf), nest)


def _by_name(returned: Any) -> Mapping[str, Any]:
    return returned if isinstance(returned, Mapping) else {_RESULT: returned}


# --- gradients -------------------------------------------------------------------------------------------------


def _see_gradients(call: Callable[[Mapping[str, Any]], Any], arrays: Mapping[str, Any], trace: Trace, seed: int) -> None:
    flat = {path: leaf for path, leaf in leaves(arrays) if leaf is not None}
    floats = [path for path, leaf in flat.items() if np.asarray(leaf).dtype.kind == "f"]
    weights = {
        path: _cotangent(path, seen.value.shape, seed)
        for name, seen in trace.observations.items()
        for path in [name.removeprefix("value/")]
        if seen.is_float
    }
    if not floats or not weights:
        trace.notes.append("no gradient: the function takes no float array, or returns none")
        return

    def total(by_path: Mapping[str, Any], rest: Mapping[str, Any]) -> Any:
        returned = call(_with_leaves(arrays, {**rest, **by_path}))
        terms = [
            keras.ops.sum(leaf * keras.ops.convert_to_tensor(weights[path], dtype=leaf.dtype))
            for path, leaf in leaves(_by_name(returned))
            if path in weights and keras.ops.is_tensor(leaf)
        ]
        if not terms:
            message = "it returns what is no tensor; say gradients=False"
            raise TypeError(message)
        return sum(keras.ops.cast(term, keras.config.floatx()) for term in terms)

    if text := sorted(path for path, leaf in flat.items() if np.asarray(leaf).dtype.kind in "OUST"):
        trace.notes.append(f"no gradient: the function takes text ({', '.join(text)})")
        return
    with trace.stage("gradient"):
        gradients = backend_module().gradient_function(lambda data: data["by"], lambda by, data: total(by, data["rest"]), ())
        tensors = {path: to_tensor(leaf) for path, leaf in flat.items()}
        data = {
            "by": {path: tensors[path] for path in floats},
            "rest": {path: one for path, one in tensors.items() if path not in floats},
        }
        _, by_input, _ = gradients(data)
        # A dict is flattened by sorted key.
        for path, gradient in zip(sorted(floats), by_input, strict=True):
            trace.see(f"gradient/{path}", or_zeros(gradient, flat[path]))


def _with_leaves(nest: Any, by_path: Mapping[str, Any], path: str = "") -> Any:
    """`nest` with its leaves replaced by those of their paths."""
    found = dict(leaves(nest, path))
    if list(found) == [path]:
        return by_path.get(path)
    if isinstance(nest, Mapping):
        return {key: _with_leaves(one, by_path, f"{path}/{key}" if path else str(key)) for key, one in nest.items()}
    return type(nest)(_with_leaves(one, by_path, f"{path}/{index}" if path else str(index)) for index, one in enumerate(nest))


def _cotangent(path: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """What each element of a result is multiplied by before all are summed up: 1 for a number, else drawn from its path."""
    if not shape:
        return np.ones((), np.float32)
    key = hashlib.sha256(f"{seed}\0{path}\0{shape}".encode()).digest()
    return np.random.default_rng(int.from_bytes(key[:16], "little")).uniform(0.5, 1.5, shape).astype(np.float32)


# --- paths -----------------------------------------------------------------------------------------------------


def _see_compiled(call: Callable[[Mapping[str, Any]], Any], arrays: Mapping[str, Any], trace: Trace) -> None:
    """The values once more from the function compiled, as `fit` would have it, if it can be."""
    if keras.backend.backend() == "torch":
        return  # runs op by op in `fit` as well; torch.compile takes minutes
    tensors = _tensors(arrays)
    flat = {path: leaf for path, leaf in leaves(tensors) if leaf is not None}
    if not flat or not all(keras.ops.is_tensor(leaf) for leaf in flat.values()):
        return
    plain = all(seen.dtype != "text" for seen in trace.observations.values())
    names = list(flat)
    try:
        values = list(flat.values())
        program, _ = backend_module().compiled(
            lambda values: call(_with_leaves(arrays, dict(zip(names, values, strict=True)))), values
        )
        returned = program(values)
    except Exception as error:  # noqa: BLE001 - whatever it says, op by op is how such a function is used
        trace.notes.append(f"not compiled: {type(error).__name__}")
        return
    if plain:
        with trace.variant(Oracle.PATHS, "compiled") as door:
            see_values(_by_name(returned), door, "FunctionCase: the function, compiled,")
