"""The program of a situation that is more than a plain call, run here: what it returns becomes the observations."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backendcheck.record.explore_kept import Programs
from backendcheck.record.observe.arrays import as_observation, digests
from backendcheck.record.observe.draws import sentence
from backendcheck.record.observe.losses import described, resolve
from backendcheck.record.observe.trace import Trace
from backendcheck.recordings.recording import Variant
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Observation

BY_HAND = "compute_loss"


def observe_program(
    target: Any, request: Mapping[str, Any], arrays: Mapping[str, np.ndarray], trace: Trace, programs: Programs
) -> None:
    """Run ``compute`` of the source of a request, and ``by_hand`` if it has one."""
    for name, array in arrays.items():
        trace.digests |= digests(name, array)
    for name in ("y_true", "sample_weight"):
        if name in arrays:
            trace.labels[name] = as_observation(arrays[name], where=name).value
    trace.lower_precision(*request["precision"])
    with trace.stage(request["stage"]):
        functions = programs.functions(request, arrays)
        _describe(target, request["kind"], request, trace)
        observed = _observations(functions["compute"])
        for name, observation in observed.items():
            # An array of text is a tensor on NumPy, and one of a type that Keras does not know.
            trace.add(name, observation.value.tolist() if observation.is_text else observation.value, like=observation)
        if not request["target"].startswith("keras.") and _differs(observed, _observations(functions["compute"])):
            trace.not_compared["*"] = sentence(request["target"])
    if trace.raised:
        programs.forget(request, arrays)
    if trace.raised or trace.not_compared or "by_hand" not in functions:
        return
    by_hand = Trace(lowest_precision=trace.lowest_precision)
    with by_hand.stage(request["stage"]):
        for name, observation in _observations(functions["by_hand"]).items():
            by_hand.add(name, observation.value, like=observation)
    if by_hand.raised:  # what `compute_loss` refuses is found as such
        programs.forget(request, arrays)
    else:
        trace.variants.append(Variant(oracle=Oracle.PATHS, path=BY_HAND, observations=by_hand.observations))


def _observations(function: Callable[[], Mapping[str, Any]]) -> dict[str, Observation]:
    values = {}
    for name, value in function().items():
        of_numbers = isinstance(value, list) and not all(isinstance(item, str) for item in value)
        listed = [as_observation(item, where=name).value for item in value] if of_numbers else value
        values[name] = as_observation(listed, where=name)
    return values


def _differs(first: Mapping[str, Observation], second: Mapping[str, Observation]) -> bool:
    numbers = [(observation.value, second[name].value) for name, observation in first.items() if not observation.is_text]
    return any(not np.array_equal(value, again, equal_nan=True) for value, again in numbers)


def _describe(target: Any, kind: str, request: Mapping[str, Any], trace: Trace) -> None:
    """Note the options of the loss or metric, which its reference needs."""
    if kind in ("loss", "loss function"):
        loss = target(**request["options"]) if inspect.isclass(target) else target
        trace.losses[""] = described(loss, resolve(loss), "", trace)
    elif kind == "metric":
        trace.metrics["result"] = metric_described(target(**request["options"]))


def metric_described(metric: Any) -> dict[str, Any]:
    """The metric of a situation as the recording has it."""
    return {"class": type(metric).__name__, "options": _plain_config(metric), "output": "", "weighted": True}


def _plain_config(metric: Any) -> dict[str, Any]:
    """The config of a metric as JSON; empty if it has none that JSON can hold."""
    try:
        # The config alone is not enough: Keras 3.15 leaves out the axis of CosineSimilarity.
        config: dict[str, Any] = json.loads(json.dumps({**metric.get_config(), **getattr(metric, "_fn_kwargs", {})}))
    except Exception:  # noqa: BLE001 - the get_config of a user may raise anything; options are not essential
        return {}
    return config
