"""The reference for a training step: what the documented rule of the optimizer makes of the recorded gradients.

It exists where training is one step that starts from the recorded gradients. If the step differs from it, the optimizer is called
by hand with these gradients, as a path of its own. Where that path differs from the rule as well, the rule is at fault; where it
does not, `fit` has other gradients.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from backendcheck import reference
from backendcheck.record.observe.fits import add_trained_weights
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.optimizer_state import OptimizerVariable, named_state, parts_of
from backendcheck.record.observe.raised import as_raised
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.weights import named_weights
from backendcheck.reference import NoReference, OptimizerSpec, Weight
from backendcheck.text.words import first_line
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import OPTIMIZER_BY_HAND, Quantity, ReferenceValue, quantity_of

_FULL = ("float32", "float64")
_MOST_WEIGHTS = 1_000_000
_NONE = "no reference for the update"


def add_update_references(under_test: ModelUnderTest, trace: Trace) -> None:
    """Add the reference of ``train/weight/<path>`` and ``train/optimizer/<name>`` after one step to `trace`.

    `trace.notes` says what has no reference, and why.
    """
    try:
        values, doubts = _expected(under_test, trace)
    except NoReference as error:
        trace.notes.append(f"{_NONE}: {str(error).rstrip('.')}")
        return
    except Exception as error:  # noqa: BLE001 - a private attribute of another version of Keras, or an optimizer of the user
        raised = as_raised("reference", error)
        trace.notes.append(f"{_NONE}: {raised.type}: {first_line(raised.message)}")
        return
    trace.notes += [f"the reference for the update is not complete: {doubt.rstrip('.')}" for doubt in doubts]
    trace.reference_values |= values
    if _differs(values, trace):
        _observe_by_hand(under_test, trace)


def _expected(under_test: ModelUnderTest, trace: Trace) -> tuple[dict[str, ReferenceValue], list[str]]:
    if reason := next((trace.not_compared[pattern] for pattern in ("*", "train/*") if pattern in trace.not_compared), ""):
        raise NoReference(reason)
    model = under_test.model
    optimizer, initial = model.optimizer, under_test.initial_optimizer
    if initial is None:
        raise NoReference("the optimizer builds itself when it trains")
    state = named_state(optimizer, model)
    before = {entry.name: np.asarray(initial.value(entry.variable)) for entry in state}
    weights = _weights(under_test, trace, state, before)
    scalars = {entry.name: float(before[entry.name]) for entry in state if not entry.path and before[entry.name].size == 1}
    types = {weight.value.dtype for weight in weights}
    epsilon = max(float(np.finfo(dtype).eps) for dtype in types)
    in_double = [_as_double(weight) for weight in weights]
    expected_weights, expected_slots, updated = reference.expected_update(spec_of(optimizer, model), in_double, scalars, epsilon)
    constrained = {path for path, variable in named_weights(model) if getattr(variable, "constraint", None) is not None}
    if constrained:
        updated.doubt(f"constraints change {', '.join(sorted(constrained))}")
    names = {(entry.path, entry.slot): entry.name for entry in state if entry.path}
    if any(getattr(part, "use_ema", False) for _, part in parts_of(optimizer)):
        updated.doubt("after training, the optimizer replaces weights by averages, and what these start from is not documented")
        expected_weights = {}
    expected = {f"train/weight/{path}": value for path, value in expected_weights.items() if path not in constrained}
    for key, value in expected_slots.items():
        path, _, slot = key.rpartition("/")
        if slot != "average" or path not in constrained:
            expected[f"train/optimizer/{names[path, slot]}"] = value
    values = {
        name: ReferenceValue(value=value.value, defined=value.defined, allowed=np.asarray(value.allowed))
        for name, value in expected.items()
        if name in trace.observations and value.defined.any()
    }
    if missing := sorted(expected.keys() - values.keys()):
        updated.doubt(f"rounding decides {', '.join(missing)}")
    for name, number in updated.scalars.items():
        if f"train/optimizer/{name}" in trace.observations:
            dtype = trace.observations[f"train/optimizer/{name}"].value.dtype
            values[f"train/optimizer/{name}"] = ReferenceValue(value=np.asarray(number, dtype))
    return values, updated.doubts


def _weights(
    under_test: ModelUnderTest, trace: Trace, state: Sequence[OptimizerVariable], before: Mapping[str, np.ndarray]
) -> list[Weight]:  # fmt: skip
    model = under_test.model
    trainable = {id(variable) for variable in model.trainable_variables}
    weights = []
    for path, variable in named_weights(model):
        if id(variable) not in trainable:
            continue
        gradient = trace.observations.get(f"gradient/{path}")
        if gradient is None:
            message = f"there is no gradient by {path}"
            raise NoReference(message)
        if gradient.precision not in _FULL or gradient.dtype not in _FULL:
            message = f"the gradient by {path} is computed in {gradient.precision}"
            raise NoReference(message)
        if getattr(variable, "overwrite_with_gradient", False):
            message = f"{path} is replaced by its gradient, as in float8"
            raise NoReference(message)
        slots = {entry.slot: before[entry.name] for entry in state if entry.path == path}
        value = np.asarray(under_test.initial.value(variable))
        weights.append(
            Weight(path=path, value=value, gradient=gradient.value, slots=slots, decays=decays(model.optimizer, variable))
        )
    if sum(weight.value.size for weight in weights) > _MOST_WEIGHTS:
        message = f"the model has more than {_MOST_WEIGHTS} weights"
        raise NoReference(message)
    return weights


def _as_double(weight: Weight) -> Weight:
    return Weight(
        path=weight.path, value=weight.value.astype(np.float64), gradient=weight.gradient.astype(np.float64),
        slots={name: slot.astype(np.float64) for name, slot in weight.slots.items()}, decays=weight.decays,
    )  # fmt: skip


def decays(optimizer: Any, variable: Any) -> bool:
    """Whether `exclude_from_weight_decay` left a weight in. It takes variables, and parts of the names of weights."""
    for _, part in parts_of(optimizer):
        pattern = getattr(part, "_exclude_from_weight_decay_pattern", None)
        if pattern is not None and re.search(pattern, variable.name):
            return False
        excluded = getattr(part, "_exclude_from_weight_decay", None) or ()
        if excluded and part._var_key(variable) in excluded:  # noqa: SLF001 - Keras keeps the keys alone
            return False
    return True


def spec_of(optimizer: Any, model: Any) -> OptimizerSpec:
    """The optimizer and its options.

    Raises:
        NoReference: unless it is of Keras.
    """
    several = getattr(optimizer, "optimizers", None)
    name = _name(optimizer)
    if name != "MultiOptimizer":
        config = json.loads(json.dumps(optimizer.get_config(), default=float))
        return OptimizerSpec(name=name, options=config)
    paths = {id(variable): path for path, variable in named_weights(model)}
    parts = [
        {
            "class_name": _name(part),
            "config": json.loads(json.dumps(part.get_config(), default=float)),
            "paths": [paths[id(weight)] for weight in getattr(part, "_trainable_variables", ())],
        }
        for part in several or ()
    ]
    return OptimizerSpec(name=name, options={"optimizers": parts})


def _name(optimizer: Any) -> str:
    """The name of the class in Keras. On PyTorch, it is a subclass with the same name."""
    name = type(optimizer).__name__
    public = getattr(keras.optimizers, name, None)
    if public is None or not isinstance(optimizer, public) or not type(optimizer).__module__.startswith("keras.src."):
        message = f"{name} is not an optimizer of Keras"
        raise NoReference(message)
    return name


# --- the optimizer by hand -------------------------------------------------------------------------------------


def _differs(values: Mapping[str, ReferenceValue], trace: Trace) -> bool:
    for name, expected in values.items():
        apart = np.abs(trace.observations[name].value.astype(np.float64) - expected.value)
        within = apart <= (0.0 if expected.allowed is None else float(expected.allowed))  # NaN is not within anything
        if not np.all(within | (False if expected.defined is None else ~expected.defined)):
            return True
    return False


def _observe_by_hand(under_test: ModelUnderTest, trace: Trace) -> None:
    """Call the optimizer with the recorded gradients, from the state before training."""
    model = under_test.model
    paths = {id(variable): path for path, variable in named_weights(model)}
    if not under_test.restore_initial():
        return
    with trace.variant(Oracle.PATHS, OPTIMIZER_BY_HAND) as variant:
        variables = model.trainable_variables
        gradients = [trace.observations[f"gradient/{paths[id(variable)]}"].value for variable in variables]
        tensors = [keras.ops.convert_to_tensor(gradient) for gradient in gradients]
        model.optimizer.apply(tensors, variables)
        model.optimizer.finalize_variable_values(variables)
        add_trained_weights(under_test, variant)
        trained = {f"train/weight/{paths[id(variable)]}" for variable in variables}
        for name in list(variant.observations):
            if quantity_of(name) is Quantity.TRAIN_WEIGHT and name not in trained:
                del variant.observations[name]  # statistics of layers, which `fit` changes and an optimizer does not
    under_test.restore_initial()
