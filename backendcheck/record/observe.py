"""From what a case returned to observations: dicts of values and losses by themselves. Models are in `observe_model`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from backendcheck.case import FunctionCase, LossCase, ModelCase, Tolerance, ValueCase
from backendcheck.observation import flow_key
from backendcheck.record import losses
from backendcheck.record.arrays import as_arrays, digests, leaves, observed, to_tensor
from backendcheck.record.perturbation import Perturbation
from backendcheck.record.trace import InvalidCase, Trace

_EXPECTED = "expected a dict of arrays, a ValueCase, a FunctionCase, a LossCase or a ModelCase"


def numerics() -> Any:
    """The gradient module of the backend in force."""
    return importlib.import_module(f"backendcheck.record.gradient_{keras.backend.backend()}")


def observe(
    case: Any, trace: Trace, *, seed: int, oracles: frozenset[str], noise: Perturbation, last: str = "train"
) -> None:
    """Fill `trace` with everything that is to be seen of `case`; `oracles` may ask for ``paths`` and ``order`` as well.

    `noise` is done to what the case feeds to its loss or its model. Of a model, the stages after `last` may be left out.

    Raises:
        InvalidCase: if the case is not one.
        NotRecordable: if it yields something that is no array.
    """
    if isinstance(case, ModelCase):
        from backendcheck.record.observe_model import observe_model

        observe_model(case, trace, seed=seed, oracles=oracles, noise=noise, last=last)
    elif isinstance(case, LossCase):
        _observe_loss(case, trace, seed=seed, oracles=oracles, noise=noise)
    elif isinstance(case, FunctionCase):
        from backendcheck.record.observe_function import observe_function

        observe_function(case, trace, seed=seed, oracles=oracles, noise=noise)
    elif isinstance(case, ValueCase):
        with trace.stage("compute"):
            see_values(case.compute(), trace, "ValueCase: compute")
    elif isinstance(case, Mapping):
        see_values(case, trace, "the case")
    else:
        hint = " Did it forget its return statement?" if case is None else ""
        message = f"returned {type(case).__name__}; {_EXPECTED}.{hint}"
        raise InvalidCase(message)


def see_values(values: Any, trace: Trace, where: str) -> None:
    """Record a dict of arrays, or a nest of them, as ``value/<path>``, and the order of the dicts in it.

    Raises:
        InvalidCase: if it is none, or an empty one, or two of its values have one name.
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
        trace.see(f"value/{path}", leaf)
    for path, order in _orders(values):
        trace.see(f"value/{path} (order)", order)


def _orders(nest: Mapping[Any, Any]) -> list[tuple[str, list[str]]]:
    """The key order of every dict inside the dict that the case returned; its own order is the author's choice."""
    found = []
    for name, value in nest.items():
        if isinstance(value, Mapping):
            if len(value) > 1:
                found.append((str(name), [str(key) for key in value]))
            found += [(f"{name}/{path}", order) for path, order in _orders(value)]
    return found


def loss_arrays(case: LossCase, trace: Trace) -> tuple[Any, Any, Any]:
    """Labels, predictions and sample weights of a LossCase as NumPy arrays, their digests noted in `trace`.

    Raises:
        InvalidCase: if one is a dict, or they do not hold the same number of examples.
    """
    y_true, y_pred, sample_weight = as_arrays(case.y_true, 1), as_arrays(case.y_pred, 1), as_arrays(case.sample_weight, 1)
    for name, array in (("y_true", y_true), ("y_pred", y_pred), ("sample_weight", sample_weight)):
        if isinstance(array, Mapping):
            message = f"LossCase: {name} is a dict; expected one array, a LossCase has one output. Use a ModelCase."
            raise InvalidCase(message)
        if array is not None:
            trace.digests |= digests(name, array)
            trace.labels[name] = observed(array, where=name).value
    if case.expect is None:
        check_lengths("LossCase", {"y_true": y_true, "y_pred": y_pred, "sample_weight": sample_weight})
    return y_true, y_pred, sample_weight


def _observe_loss(case: LossCase, trace: Trace, *, seed: int, oracles: frozenset[str], noise: Perturbation) -> None:
    y_true, y_pred, sample_weight = loss_arrays(case, trace)
    arrays = (noise.rounded(y_true), noise.inputs("y_pred", y_pred, trace, seed=seed), noise.rounded(sample_weight))
    loss: Any = None
    with trace.stage("loss"):
        loss = losses.resolve(case.loss)
        trace.losses[""] = losses.description(loss)
    if loss is None:
        return
    gradients = numerics().gradient_function(
        lambda data: data["y_pred"],
        lambda tensor, data: scalar(loss(data["y_true"], tensor, sample_weight=data["sample_weight"])),
        (),
    )

    def see(arrays: tuple[Any, Any, Any], trace: Trace) -> None:
        with trace.stage("loss"):
            labels, predictions, weight = (to_tensor(array) for array in arrays)
            n = len(arrays[1]) if arrays[1].ndim else 1
            if (each := losses.per_example(loss, labels, predictions, weight, n)) is not None:
                trace.see("per_example_loss", each)
            trace.see("loss", scalar(loss(labels, predictions, sample_weight=weight)))
        if "loss" in trace.observations:
            with trace.stage("gradient"):
                _, by_pred, _ = gradients(dict(zip(("y_true", "y_pred", "sample_weight"), map(to_tensor, arrays), strict=True)))
                trace.see("gradient/y_pred", or_zeros(by_pred[0], arrays[1]))

    see(arrays, trace)
    if "order" in oracles:
        from backendcheck.record.relations import see_loss_relations

        see_loss_relations(case, loss, arrays, see, trace)


def scalar(loss: Any) -> Any:
    """A loss as one number: one without a reduction is summed, so that it has one gradient."""
    return loss if len(loss.shape) == 0 else keras.ops.sum(loss)


def or_zeros(gradient: Any, like: Any) -> Any:
    """Zeros where the loss does not depend on a variable: some backends say None, some say 0, and both mean that."""
    return np.zeros(np.shape(like), keras.config.floatx()) if gradient is None else gradient


def check_lengths(where: str, arrays: Mapping[str, Any]) -> None:
    """See that all arrays hold the same number of examples.

    Raises:
        InvalidCase: naming the first two that do not.
    """
    known: tuple[str, int] | None = None
    for name, nest in arrays.items():
        for path, leaf in leaves(nest, name):
            if leaf is None or np.ndim(leaf) == 0:
                continue
            if known is None:
                known = (path, len(leaf))
            elif len(leaf) != known[1]:
                message = (
                    f"{where}: {path} has {len(leaf)} examples, {known[0]} has {known[1]}; expected as many of each. "
                    "If that is what backends must reject, say expect=Raises()."
                )
                raise InvalidCase(message)


def reference_of(case: Any) -> dict[str, np.ndarray]:
    """The case's own reference values in float64, by observation.

    Raises:
        InvalidCase: if the function asks for a parameter that the case does not have, or raises, or returns no dict.
    """
    reference = getattr(case, "reference", None)
    if reference is None:
        return {}
    if callable(reference):
        reference = _call_reference(reference, case)
    if not isinstance(reference, Mapping):
        message = f"reference is {type(reference).__name__}; expected a dict of observation to array, or a function of one."
        raise InvalidCase(message)
    values = {}
    for name, value in reference.items():
        seen = observed(value, where=f"reference for {name}")
        values[str(name)] = seen.value if seen.is_text or seen.value.dtype == bool else seen.value.astype(np.float64)
    return values


def _call_reference(reference: Callable[..., Any], case: Any) -> Any:
    given = {name: as_arrays(value) for name, value in case.named_inputs.items()} if isinstance(case, FunctionCase) else {}
    for name in ("x", "y", "y_true", "y_pred", "sample_weight", "class_weight"):
        if hasattr(case, name):
            given[name] = getattr(case, name) if name == "class_weight" else as_arrays(getattr(case, name))
    wanted = inspect.signature(reference).parameters
    unknown = [
        name
        for name, parameter in wanted.items()
        if name not in given and parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    if unknown:
        message = f"reference takes {', '.join(unknown)}; expected parameters out of {', '.join(given) or 'none'}."
        raise InvalidCase(message)
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in wanted.values())
    try:
        return reference(**{name: value for name, value in given.items() if takes_all or name in wanted})
    except Exception as error:
        message = f"reference raised {type(error).__name__}: {error}. It must work on NumPy arrays alone."
        raise InvalidCase(message) from error


def tolerances_of(case: Any) -> dict[str, Tolerance]:
    """The case's own tolerances by observation pattern; a single one stands for all (``*``).

    Raises:
        InvalidCase: if it is neither.
    """
    tolerance = getattr(case, "tolerance", None)
    if tolerance is None:
        return {}
    if isinstance(tolerance, Tolerance):
        return {"*": tolerance}
    if isinstance(tolerance, Mapping) and all(isinstance(one, Tolerance) for one in tolerance.values()):
        return {str(name): one for name, one in tolerance.items()}
    message = f"tolerance is {tolerance!r}; expected a Tolerance, or a dict of observation pattern to Tolerance."
    raise InvalidCase(message)


def in_flow_order(trace: Trace) -> dict[str, Any]:
    """The observations, in the order of the computation."""
    return {name: trace.observations[name] for name in sorted(trace.observations, key=flow_key)}
