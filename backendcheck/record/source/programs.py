"""A case as programs that need Keras and NumPy alone, best first: written from its objects, else cut out of its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from backendcheck.case import FunctionCase, LossCase, ModelCase
from backendcheck.record.observe.arrays import as_arrays, map_nest, observed
from backendcheck.record.observe.as_compiled import declared, says_as_compiled
from backendcheck.record.observe.dataset_case import DrawnCase
from backendcheck.record.observe.weights import named_weights, seed_weights
from backendcheck.record.source.case_function import case_programs, differentiated
from backendcheck.record.source.dependencies import Slice
from backendcheck.record.source.expressions import expression, loss_expression
from backendcheck.record.source.model import model_code
from backendcheck.text.literals import NotWritable, source_of


def programs_of(
    function: Callable[..., Any], arguments: Mapping[str, Any], seed: int, made: Any, seen: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The programs, and the reasons why others could not be written."""
    found: list[dict[str, Any]] = []
    reasons: list[str] = []
    if isinstance(made, FunctionCase | LossCase | ModelCase):
        try:
            if isinstance(made, ModelCase):
                found.append(_of_model(made, seed))
            else:
                found.append(_of_loss(made) if isinstance(made, LossCase) else _of_function(made))
        except (NotWritable, RecursionError) as error:
            reasons.append(str(error))
    if isinstance(made, ModelCase) and says_as_compiled(made):
        if not found:
            reasons.append("the source says 'as compiled', which stands for what its file holds")
        return found, reasons
    if isinstance(made, DrawnCase):
        if not found:
            reasons.append("its data is a data set, which a script would have to make")
        return found, reasons
    try:
        found += case_programs(function, arguments, seed, made, seen)
    except NotWritable as error:
        reasons.append(str(error))
    return found, reasons


def _of_loss(made: LossCase) -> dict[str, Any]:
    slice_ = Slice()
    loss = loss_expression(made.loss, slice_)
    given = {"y_true": made.y_true, "y_pred": made.y_pred, "sample_weight": made.sample_weight}
    return {
        "kind": "loss", "form": "objects", "code": {"loss": loss},
        "arrays": {name: _as_fit_casts(as_arrays(value, 1)) for name, value in given.items() if value is not None},
        **_collected(slice_),
    }  # fmt: skip


def _of_function(made: FunctionCase) -> dict[str, Any]:
    slice_ = Slice()
    code = {"function": expression(made.function, slice_)}
    return {
        "kind": "function", "form": "objects", "code": code, "arrays": {"inputs": _as_fit_casts(as_arrays(made.inputs))},
        "parameters": differentiated(made), **_collected(slice_),
    }  # fmt: skip


def _optimizer(optimizer: Any, slice_: Slice, *, loaded: bool) -> str:
    """An optimizer as source. One that was loaded may be of one backend alone, and is loaded again, on every backend."""
    if loaded and type(optimizer).__module__.startswith("keras.src.backend."):
        return f"keras.saving.deserialize_keras_object({source_of(keras.saving.serialize_keras_object(optimizer))})"
    return expression(optimizer, slice_)


def _as_fit_casts(nest: Any) -> Any:
    """float64 as Keras takes it: in the float type of the session."""
    floatx = keras.config.floatx()
    return map_nest(lambda array: array.astype(floatx) if array.dtype == np.float64 else array, nest)


def _collected(slice_: Slice) -> dict[str, Any]:
    return {"imports": list(slice_.imports), "definitions": slice_.text(), "foreign": sorted(slice_.foreign)}


def _of_model(made: ModelCase, seed: int) -> dict[str, Any]:
    slice_ = Slice()
    loaded = bool(says_as_compiled(made))
    made = declared(made)
    model = model_code(made.model, slice_)
    code = {"loss": expression(made.loss, slice_)}
    for name in ("loss_weights", "metrics", "weighted_metrics", "class_weight"):
        if (value := getattr(made, name)) is not None:
            code[name] = expression(value, slice_)
    if made.optimizer is not None:
        code["optimizer"] = f"lambda: {_optimizer(made.optimizer, slice_, loaded=loaded)}"
    n_outputs = len(getattr(made.model, "outputs", None) or ()) if not isinstance(made.y, Mapping) else None
    n_inputs = len(getattr(made.model, "inputs", None) or ())
    arrays: dict[str, Any] = {"x": as_arrays(made.x, 1 if n_inputs == 1 else None), "y": as_arrays(made.y, n_outputs)}
    if made.sample_weight is not None:
        arrays["sample_weight"] = as_arrays(made.sample_weight, n_outputs)
    arrays = _as_fit_casts(arrays)
    if made.weights == "seeded":
        seed_weights(made.model, seed)
    stateful = len(named_weights(made.model)) != len(made.model.weights)
    weights = [np.asarray(observed(one, where="weight").value) for one in made.model.weights]
    if stateful:
        message = "the model holds the state of a random generator"
        raise NotWritable(message)
    return {
        "kind": "model", "form": "objects", "code": code, "arrays": arrays, "model": model, "weights": weights,
        "options": {"epochs": int(made.epochs), "batch_size": None if made.batch_size is None else int(made.batch_size)},
        **_collected(slice_),
    }  # fmt: skip
