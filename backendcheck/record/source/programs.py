"""A case as programs that need only Keras and NumPy, best first: written from its objects, or cut out of its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from backendcheck.case import FunctionCase, LossCase, ModelCase
from backendcheck.record.observe.arrays import as_arrays, as_observation, map_nest
from backendcheck.record.observe.declarations import MaterializedCase, as_compiled_options, with_compiled_options
from backendcheck.record.observe.weights import named_weights, seed_weights
from backendcheck.record.source.case_function import case_programs, differentiated, options_of_fit
from backendcheck.record.source.dependencies import Slice
from backendcheck.record.source.expressions import expression, loss_expression
from backendcheck.record.source.model import model_code
from backendcheck.text.literals import NotWritable, source_of


def programs_of(
    function: Callable[..., Any], arguments: Mapping[str, Any], seed: int, case: Any, variables: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The programs of a case, and the reasons why other programs could not be written.

    `variables` are the local variables that the case function had at its end.
    """
    programs: list[dict[str, Any]] = []
    reasons: list[str] = []
    if isinstance(case, FunctionCase | LossCase | ModelCase):
        try:
            if isinstance(case, ModelCase):
                programs.append(_of_model(case, seed))
            else:
                programs.append(_of_loss(case) if isinstance(case, LossCase) else _of_function(case))
        except (NotWritable, RecursionError) as error:
            reasons.append(str(error))
    if isinstance(case, ModelCase) and as_compiled_options(case):
        if not programs:
            reasons.append("the source says 'as compiled', which refers to a model file")
        return programs, reasons
    if isinstance(case, MaterializedCase):
        if not programs:
            reasons.append("its data is a data set, which a script cannot write")
        return programs, reasons
    try:
        programs += case_programs(function, arguments, seed, case, variables)
    except NotWritable as error:
        reasons.append(str(error))
    return programs, reasons


def _of_loss(case: LossCase) -> dict[str, Any]:
    slice_ = Slice()
    loss = loss_expression(case.loss, slice_)
    data = {"y_true": case.y_true, "y_pred": case.y_pred, "sample_weight": case.sample_weight}
    return {
        "kind": "loss", "form": "objects", "code": {"loss": loss},
        "arrays": {name: _cast_as_fit(as_arrays(value, 1)) for name, value in data.items() if value is not None},
        **_collected(slice_),
    }  # fmt: skip


def _of_function(case: FunctionCase) -> dict[str, Any]:
    slice_ = Slice()
    code = {"function": expression(case.function, slice_)}
    return {
        "kind": "function", "form": "objects", "code": code, "arrays": {"inputs": _cast_as_fit(as_arrays(case.inputs))},
        "parameters": differentiated(case), **_collected(slice_),
    }  # fmt: skip


def _optimizer(optimizer: Any, slice_: Slice, *, loaded: bool) -> str:
    """An optimizer as source. A loaded optimizer may exist on one backend only; the source loads it again on each backend."""
    if loaded and type(optimizer).__module__.startswith("keras.src.backend."):
        return f"keras.saving.deserialize_keras_object({source_of(keras.saving.serialize_keras_object(optimizer))})"
    return expression(optimizer, slice_)


def _cast_as_fit(nest: Any) -> Any:
    """The nest with float64 cast to the float type of the session, as `fit` does."""
    floatx = keras.config.floatx()
    return map_nest(lambda array: array.astype(floatx) if array.dtype == np.float64 else array, nest)


def _collected(slice_: Slice) -> dict[str, Any]:
    return {"imports": list(slice_.imports), "definitions": slice_.text(), "foreign": sorted(slice_.foreign)}


def _of_model(case: ModelCase, seed: int) -> dict[str, Any]:
    slice_ = Slice()
    loaded = bool(as_compiled_options(case))
    case = with_compiled_options(case)
    model = model_code(case.model, slice_)
    code = {"loss": expression(case.loss, slice_)}
    for name in ("loss_weights", "metrics", "weighted_metrics", "class_weight"):
        if (value := getattr(case, name)) is not None:
            code[name] = expression(value, slice_)
    if case.optimizer is not None:
        code["optimizer"] = f"lambda: {_optimizer(case.optimizer, slice_, loaded=loaded)}"
    n_outputs = len(getattr(case.model, "outputs", None) or ()) if not isinstance(case.y, Mapping) else None
    n_inputs = len(getattr(case.model, "inputs", None) or ())
    arrays: dict[str, Any] = {"x": as_arrays(case.x, 1 if n_inputs == 1 else None), "y": as_arrays(case.y, n_outputs)}
    if case.sample_weight is not None:
        arrays["sample_weight"] = as_arrays(case.sample_weight, n_outputs)
    arrays = _cast_as_fit(arrays)
    if case.weights == "seeded":
        seed_weights(case.model, seed)
    stateful = len(named_weights(case.model)) != len(case.model.weights)
    weights = [np.asarray(as_observation(variable, where="weight").value) for variable in case.model.weights]
    if stateful:
        message = "the model holds the state of a random generator"
        raise NotWritable(message)
    return {
        "kind": "model", "form": "objects", "code": code, "arrays": arrays, "model": model, "weights": weights,
        "options": options_of_fit(case),
        **_collected(slice_),
    }  # fmt: skip
