"""The reference for the gradients by the weights of a small model: finite differences, in float64, along a few directions.

The backend computes the forward pass, in float64; the loss of it is the built-in reference. The gradient code of the backend,
which is what is checked, has no part in it. Where such a pass or such a loss cannot be had, there is no reference, and a note
says why.
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
from backendcheck.record.observe.arrays import leaves, map_nest, observed
from backendcheck.record.observe.model_under_test import Subject
from backendcheck.record.observe.outputs import suffix
from backendcheck.record.observe.overridden_steps import has_own
from backendcheck.record.observe.trace import Trace, as_raised
from backendcheck.record.observe.weights import named_weights
from backendcheck.record.oracles.float64 import DOUBLE, NoDouble, forward_pass, in_double
from backendcheck.recordings.recording import Recording
from backendcheck.reference import NoReference, directional, directions
from backendcheck.reference.of_recording import DeclaredLoss, declared_loss
from backendcheck.text.words import first_line
from backendcheck.vocabulary.observations import Observation, Quantity, ReferenceValue
from backendcheck.vocabulary.states import Status

# Weights times places, a place being an example, or a step or pixel of one: about the multiplications of a pass. There are a
# dozen passes for each variable.
_MOST_WORK = 10_000_000


def expect_weight_gradients(subject: Subject, trace: Trace, seed: int) -> None:
    """Add the slopes that ``gradient/<variable path>`` is to have to `trace.reference_values`; the model is left as it is.

    What has no reference is named in `trace.notes`, with the reason.
    """
    trainable = {id(variable) for variable in subject.model.trainable_variables}
    variables = {path: variable for path, variable in named_weights(subject.model) if id(variable) in trainable}
    if not any(f"gradient/{path}" in trace.observations for path in variables):
        return
    began = time.perf_counter()
    try:
        unknown = _expect(subject, trace, variables, seed)
    except (NoDouble, NoReference) as error:
        trace.notes.append(f"no reference for the gradients by weights: {str(error).rstrip('.')}")
    except Exception as error:  # noqa: BLE001 - whatever the model throws in float64 is no finding: nobody asked for float64
        raised = as_raised("reference", error)
        why = f"in float64, the forward pass raised {raised.type}: {first_line(raised.message)}"
        trace.notes.append(f"no reference for the gradients by weights: {why}")
    else:
        if unknown:
            trace.notes.append(
                f"no reference for the gradient by {', '.join(unknown)}: the loss does not move with it in float64, or has no "
                "slope that can be told from kinks and rounding"
            )
    finally:
        trace.timings_s["reference"] = time.perf_counter() - began


def _expect(subject: Subject, trace: Trace, variables: Mapping[str, Any], seed: int) -> list[str]:
    """Fill `trace.reference_values`; returns the paths of the variables that get none."""
    model = subject.model
    declared = _declared(subject, trace)
    _check_size(subject, variables)
    weights = dict(named_weights(model))
    values = [observed(variable, where=path).value.astype(DOUBLE) for path, variable in weights.items()]
    x = map_nest(_in_double, subject.x)
    unknown = []
    with in_double(model), np.errstate(all="ignore"):
        forward = forward_pass(model, x, list(weights.values()), values)
        if not subject.predicts_apart:
            _check_predictions(_predictions(model, forward(values)), trace)
        for place, path in enumerate(weights):
            if path not in variables or f"gradient/{path}" not in trace.observations:
                continue

            def losses(value: np.ndarray, place: int = place) -> np.ndarray:
                return _losses(declared, _predictions(model, forward([*values[:place], value, *values[place + 1 :]])))

            ways = directions.drawn(seed, path, values[place].shape)
            found = directional(losses, values[place], directions.of_unit_length(ways))
            if found.smooth.any():
                value = ReferenceValue(value=found.value[found.smooth], directions=ways[found.smooth])
                trace.reference_values[f"gradient/{path}"] = value
            else:
                unknown.append(path)
    return unknown


def _declared(subject: Subject, trace: Trace) -> dict[str, tuple[float, DeclaredLoss]]:
    """Weight and declared loss by output.

    Raises:
        NoReference: unless the total is the weighted sum of losses that have a reference.
    """
    model = subject.model
    if has_own(model, "compute_loss"):
        raise NoReference("the model computes its loss in a way of its own")
    if subject.moves:
        raise NoReference("the forward pass changes the state of the model, and gradients may or may not flow through that")
    if not trace.losses:
        raise NoReference("no output declares a loss")
    settings = {"epsilon": repr(keras.config.epsilon()), "floatx": keras.config.floatx()}
    so_far = Recording(
        case="", backend="", run="", status=Status.RECORDED, observations=trace.observations, labels=trace.labels,
        losses=trace.losses, settings=settings,
    )  # fmt: skip
    names = list(trace.losses)
    every = [name.removeprefix("predictions").removeprefix("/") for name in trace.observations if name.startswith("predictions")]
    factors = outputs.matched(
        subject.case.loss_weights, outputs.declared_names(model, every), what="loss_weights", repeat=len(every) == 1
    )
    found = {}
    for name in names:
        declared = declared_loss(so_far, name)
        of = f" of {name}" if name else ""
        if declared is None:
            raise NoReference(f"there is none for the loss{of}, {trace.losses[name]['name']}")
        if declared.spec.reduction is None:
            raise NoReference(f"the loss{of} has no reduction")
        if declared.saturated:
            raise NoReference(f"the predictions{of} are too close to 0 or 1 for float32")
        declared.loss()  # raises where labels have no documented loss
        found[name] = (float(factors.get(name, 1.0)), declared)
    return found


def _losses(declared: Mapping[str, tuple[float, DeclaredLoss]], named: Mapping[str, np.ndarray]) -> np.ndarray:
    """What adds up to the loss that is trained with: that of each output by its weight, and what the layers add."""
    losses = [factor * replace(loss, y_pred=named[name]).loss() for name, (factor, loss) in declared.items()]
    return np.asarray([*losses, float(named[_ADDED])])


_ADDED = "losses that layers add"  # no output has a name with spaces in it


def _predictions(model: Any, computed: tuple[Any, Any]) -> dict[str, np.ndarray]:
    """What a forward pass gave, by output, and under `_ADDED` the losses that layers added."""
    named = {**outputs.by_output(computed[0], model), _ADDED: computed[1]}
    return {name: observed(tensor, where=name).value for name, tensor in named.items()}


def _check_predictions(named: Mapping[str, np.ndarray], trace: Trace) -> None:
    """See that a forward pass was in float64, and that of the model that was recorded.

    Raises:
        NoDouble: if it was not.
    """
    for name, value in named.items():
        if value.dtype != np.float64:
            raise NoDouble(f"asked for float64, it returns {value.dtype}")
        recorded: Observation | None = trace.observations.get(f"predictions{suffix(name)}")
        if recorded is None:
            continue
        near = default_tolerance(Quantity.GRADIENT, recorded.precision)
        largest = np.abs(value).max(initial=0.0)
        if recorded.value.shape != value.shape or not np.all(np.abs(recorded.value - value) <= near.rtol * (1.0 + largest)):
            raise NoDouble("its predictions in float64 are not those that were recorded")


def _check_size(subject: Subject, variables: Mapping[str, Any]) -> None:
    """See that the model is small.

    Raises:
        NoReference: if finite differences would take long.
    """
    n_weights = sum(int(np.prod(variable.shape, dtype=int)) for variable in variables.values())
    n_places = max(int(np.prod(leaf.shape if leaf.dtype.kind != "f" else leaf.shape[:-1])) for _, leaf in leaves(subject.x))
    if n_weights * n_places > _MOST_WORK:
        what = f"{n_weights} weights on {n_places} examples, steps or pixels"
        raise NoReference(f"{what} are more than {_MOST_WORK:.0e} products, the most that is differenced")


def _in_double(array: np.ndarray) -> np.ndarray:
    """The values that the recorded model was fed, in float64."""
    fed = np.asarray(array)
    if fed.dtype == np.float64:
        fed = fed.astype(keras.config.floatx())
    return fed.astype(DOUBLE) if fed.dtype.kind == "f" else fed
