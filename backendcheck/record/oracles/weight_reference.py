"""The reference for the gradients by the weights of a small model: finite differences, in float64, along a few directions.

The backend computes the forward pass in float64, and the built-in reference computes the loss. The gradient code of the backend,
which is checked here, does not take part. Where such a pass or such a loss does not exist, a note says why.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from backendcheck.compare.tolerances import default_tolerance
from backendcheck.record.observe import outputs
from backendcheck.record.observe.arrays import as_observation, leaves, map_nest
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.raised import as_raised
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.weights import named_weights
from backendcheck.record.oracles.float64 import DOUBLE, NoDouble, forward_pass, in_double
from backendcheck.recordings.recording import Recording
from backendcheck.reference import NoReference, directional
from backendcheck.reference.directions import of_unit_length, random_directions
from backendcheck.reference.of_recording import DeclaredLoss, declared_loss
from backendcheck.text.words import first_line
from backendcheck.vocabulary.observations import Observation, ObservationName, Quantity, ReferenceValue, of_output
from backendcheck.vocabulary.states import Status

# Weights times positions (an example, or one of its steps or pixels): about the number of multiplications in a pass. Each
# variable takes a dozen passes.
_MOST_WORK = 10_000_000


def add_weight_references(under_test: ModelUnderTest, trace: Trace, seed: int) -> None:
    """Add the right slopes of ``gradient/<variable path>`` to `trace.reference_values`. The model does not change.

    `trace.notes` says which variables have no reference, and why.
    """
    trainable = {id(variable) for variable in under_test.model.trainable_variables}
    variables = {path: variable for path, variable in named_weights(under_test.model) if id(variable) in trainable}
    if not any(f"gradient/{path}" in trace.observations for path in variables):
        return
    began = time.perf_counter()
    try:
        without_reference = _add_slopes(under_test, trace, variables, seed)
    except (NoDouble, NoReference) as error:
        trace.notes.append(f"no reference for the gradients by weights: {str(error).rstrip('.')}")
    except Exception as error:  # noqa: BLE001 - an exception in float64 is not a finding, because the case does not use float64
        raised = as_raised("reference", error)
        why = f"in float64, the forward pass raised {raised.type}: {first_line(raised.message)}"
        trace.notes.append(f"no reference for the gradients by weights: {why}")
    else:
        if without_reference:
            trace.notes.append(
                f"no reference for the gradient by {', '.join(without_reference)}: in float64 the loss does not depend on it, or "
                "its slope cannot be distinguished from kinks and rounding"
            )
    finally:
        trace.timings_s["reference"] = time.perf_counter() - began


def _add_slopes(under_test: ModelUnderTest, trace: Trace, variables: Mapping[str, Any], seed: int) -> list[str]:
    """Fill `trace.reference_values`. Returns the paths of the variables that have no reference."""
    model = under_test.model
    declared = _declared(under_test, trace)
    _check_size(under_test, variables)
    weights = dict(named_weights(model))
    values = [as_observation(variable, where=path).value.astype(DOUBLE) for path, variable in weights.items()]
    x = map_nest(_in_double, under_test.x)
    without_reference = []
    with in_double(model), np.errstate(all="ignore"):
        forward = forward_pass(model, x, list(weights.values()), values)
        if not under_test.predict_differs:
            _check_predictions(_predictions(model, forward(values)), trace)
        for place, path in enumerate(weights):
            if path not in variables or f"gradient/{path}" not in trace.observations:
                continue

            def losses(value: np.ndarray, place: int = place) -> np.ndarray:
                return _losses(declared, _predictions(model, forward([*values[:place], value, *values[place + 1 :]])))

            directions = random_directions(seed, path, values[place].shape)
            slopes = directional(losses, values[place], of_unit_length(directions))
            if slopes.smooth.any():
                value = ReferenceValue(value=slopes.value[slopes.smooth], directions=directions[slopes.smooth])
                trace.reference_values[f"gradient/{path}"] = value
            else:
                without_reference.append(path)
    return without_reference


def _declared(under_test: ModelUnderTest, trace: Trace) -> dict[str, tuple[float, DeclaredLoss]]:
    """Weight and declared loss by output.

    Raises:
        NoReference: unless the total is a weighted sum of losses with a reference.
    """
    model = under_test.model
    if under_test.overrides("compute_loss"):
        raise NoReference("the model overrides compute_loss")
    if under_test.changed_state:
        raise NoReference("the forward pass changes the state of the model, and gradients may flow through that state")
    if not trace.losses:
        raise NoReference("no output declares a loss")
    settings = {"epsilon": repr(keras.config.epsilon()), "floatx": keras.config.floatx()}
    recording = Recording(
        case="", backend="", run="", status=Status.RECORDED, observations=trace.observations, labels=trace.labels,
        losses=trace.losses, settings=settings,
    )  # fmt: skip
    names = [name.output for name in map(ObservationName.parse, trace.observations) if name.quantity is Quantity.PREDICTIONS]
    factors = outputs.matched(
        under_test.case.loss_weights, outputs.declared_names(model, names), what="loss_weights", repeat=len(names) == 1
    )
    by_output = {}
    for name in trace.losses:
        declared = declared_loss(recording, name)
        of = f" of {name}" if name else ""
        if declared is None:
            raise NoReference(f"there is no reference for the loss{of}, {trace.losses[name]['name']}")
        if declared.spec.reduction is None:
            raise NoReference(f"the loss{of} has no reduction")
        if declared.saturated:
            raise NoReference(f"the predictions{of} are too close to 0 or 1 for float32")
        declared.loss()  # raises where labels have no documented loss
        by_output[name] = (float(factors.get(name, 1.0)), declared)
    return by_output


def _losses(declared: Mapping[str, tuple[float, DeclaredLoss]], named: Mapping[str, np.ndarray]) -> np.ndarray:
    """The terms of the training loss, (n_outputs + 1,): the weighted loss of each output, and the losses that layers add."""
    losses = [factor * replace(loss, y_pred=named[name]).loss() for name, (factor, loss) in declared.items()]
    return np.asarray([*losses, float(named[_ADDED])])


_ADDED = "losses that layers add"  # no output name contains spaces


def _predictions(model: Any, computed: tuple[Any, Any]) -> dict[str, np.ndarray]:
    """The results of a forward pass by output, and the losses that layers added under `_ADDED`."""
    named = {**outputs.by_output(computed[0], model), _ADDED: computed[1]}
    return {name: as_observation(tensor, where=name).value for name, tensor in named.items()}


def _check_predictions(named: Mapping[str, np.ndarray], trace: Trace) -> None:
    """Check that a forward pass was in float64, and that it equals the recorded one within rounding.

    Raises:
        NoDouble: if it was not.
    """
    for name, value in named.items():
        if value.dtype != np.float64:
            raise NoDouble(f"it returns {value.dtype} instead of float64")
        recorded: Observation | None = trace.observations.get(of_output("predictions", name))
        if recorded is None:
            continue
        tolerance = default_tolerance(Quantity.GRADIENT, recorded.precision)
        largest = np.abs(value).max(initial=0.0)
        if recorded.value.shape != value.shape or not np.all(np.abs(recorded.value - value) <= tolerance.rtol * (1.0 + largest)):
            raise NoDouble("its predictions in float64 differ from the recorded ones")


def _check_size(under_test: ModelUnderTest, variables: Mapping[str, Any]) -> None:
    """Check that the model is small.

    Raises:
        NoReference: if finite differences would take long.
    """
    n_weights = sum(int(np.prod(variable.shape, dtype=int)) for variable in variables.values())
    n_positions = max(int(np.prod(leaf.shape if leaf.dtype.kind != "f" else leaf.shape[:-1])) for _, leaf in leaves(under_test.x))
    if n_weights * n_positions > _MOST_WORK:
        size = f"{n_weights} weights on {n_positions} examples, steps or pixels"
        raise NoReference(f"{size} are more than {_MOST_WORK:.0e} products, the limit for finite differences")


def _in_double(array: np.ndarray) -> np.ndarray:
    """The values that the recorded model got as input, in float64."""
    fed = np.asarray(array)
    if fed.dtype == np.float64:
        fed = fed.astype(keras.config.floatx())
    return fed.astype(DOUBLE) if fed.dtype.kind == "f" else fed
