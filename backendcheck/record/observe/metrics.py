"""The declared metrics of a model case: reported name and output of each, and class and options of those that Keras defines.

Only the names that the author declared decide which output a metric belongs to. So a metric that Keras computes on another
output differs from its reference.
"""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import keras
import numpy as np

from backendcheck.record.backends.masks import with_mask
from backendcheck.record.observe import outputs
from backendcheck.record.observe.arrays import as_observation
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.trace import Trace
from backendcheck.vocabulary.observations import of_output

_ACCURACY = ("accuracy", "acc")
_SAME = 1e-5


def note_metrics(under_test: ModelUnderTest, trace: Trace) -> None:
    """Note every declared metric of Keras in `trace`, where `evaluate` computes it from the recorded predictions and labels.

    Note in `under_test` which metrics are the same over one batch as over several.
    """
    declared = declared_metrics(under_test, trace)
    times = Counter(metric.name for metric in declared)
    once = [metric for metric in declared if times[metric.name] == 1]  # Keras numbers the names that occur twice
    if not under_test.is_one_batch:
        under_test.metrics_of_any_batch = frozenset(
            metric.name for metric in once if _is_independent_of_batches(metric, under_test.batch_size, trace)
        )
    if under_test.is_random or under_test.overrides("test_step") or under_test.overrides("compute_metrics"):
        return
    if under_test.changed_state and not under_test.is_one_batch:
        return  # evaluate then has other predictions than one forward pass
    for metric in once:
        if metric.of_keras["class"]:
            call = {"output": metric.output, "weighted": metric.weighted, "batch_size": under_test.batch_size}
            trace.metrics[metric.name] = {**metric.of_keras, **call}
        if metric.of_keras["class"] == "accuracy" and (chosen := _chosen(under_test.model, metric.name)):
            trace.metrics[metric.name] = {**trace.metrics[metric.name], "class": chosen, "declared": str(metric.metric)}
            trace.notes.append(f"the metric {metric.name} is {chosen}: Keras chose it by shapes")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeclaredMetric:
    """A declared metric.

    name: as `evaluate` reports it.
    metric: as it is declared: a string, a function or an object.
    of_keras: its ``class`` and ``options``, if Keras defines it; else an empty class.
    """

    name: str
    metric: Any
    output: str
    weighted: bool
    of_keras: Mapping[str, Any]


def declared_metrics(under_test: ModelUnderTest, trace: Trace) -> list[DeclaredMetric]:
    order = trace.observations.get("output_order")
    names = outputs.declared_names(under_test.model, [str(name) for name in order.value] if order is not None else [""])
    declared = []
    for metrics, weighted in ((under_test.case.metrics, False), (under_test.case.weighted_metrics, True)):
        for output, entries in _by_output(metrics, names).items():
            prefix = f"{output}_" if len(names) > 1 else ""
            declared += [
                DeclaredMetric(
                    name=prefix + _reported_name(metric), metric=metric,
                    output=output, weighted=weighted, of_keras=_of_keras(metric),
                )
                for metric in entries
            ]  # fmt: skip
    return declared


def _is_independent_of_batches(declared: DeclaredMetric, batch_size: int, trace: Trace) -> bool:
    """Whether a metric of the recorded labels and predictions is the same over one batch as over batches of this size.

    The metrics of Keras are, if they do not compute along the examples. Others are called by hand. A mean over the batches of
    what a function returns for each, for example, is not.
    """
    if declared.of_keras["class"]:
        options = declared.of_keras["options"]
        return bool({**options, **options.get("function_options", {})}.get("axis", -1) != 0)
    update = arguments_of(declared, trace)
    if update is None:
        return False
    try:
        metric = as_metric(declared.metric)
        whole, by_batch = (result_by_hand(metric, update, size) for size in (update.n, batch_size))
        metric.reset_state()
    except Exception:  # noqa: BLE001 - a metric of the user that cannot be called by hand
        return False
    return whole.shape == by_batch.shape and np.allclose(whole, by_batch, rtol=_SAME, atol=_SAME, equal_nan=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UpdateArguments:
    """What a metric gets over all batches: arrays whose first axis is that of the examples, or None."""

    y_true: np.ndarray
    y_pred: np.ndarray
    sample_weight: np.ndarray | None = None
    mask: np.ndarray | None = None

    @property
    def n(self) -> int:
        return len(self.y_pred)


def arguments_of(declared: DeclaredMetric, trace: Trace, output: str | None = None) -> UpdateArguments | None:
    """What `declared` gets of its output, or of `output` in its place; None without labels or predictions."""
    name = declared.output if output is None else output
    y_true, y_pred = trace.labels.get(of_output("y_true", name)), trace.labels.get(of_output("output", name))
    if y_pred is None and (predictions := trace.observations.get(of_output("predictions", name))) is not None:
        y_pred = predictions.value
    if y_true is None or y_pred is None:
        return None
    weight = trace.labels.get(of_output("sample_weight", name)) if declared.weighted else None
    return UpdateArguments(y_true=y_true, y_pred=y_pred, sample_weight=weight, mask=trace.labels.get(of_output("mask", name)))


def as_metric(metric: Any) -> keras.metrics.Metric:
    """The metric that `model.compile` would make of a string, a function or a metric."""
    if isinstance(metric, str):
        metric = keras.metrics.get(metric)
    return metric if isinstance(metric, keras.metrics.Metric) else keras.metrics.MeanMetricWrapper(metric)


def result_by_hand(metric: keras.metrics.Metric, update: UpdateArguments, size: int) -> np.ndarray:
    """The value of a metric over batches of `size` examples, in float64."""
    metric.reset_state()
    for first in range(0, update.n, size):
        batch = {
            name: None if array is None else keras.ops.convert_to_tensor(array[first : first + size])
            for name, array in ((field.name, getattr(update, field.name)) for field in fields(update))
        }
        y_pred = with_mask(batch["y_pred"], batch["mask"])
        if batch["sample_weight"] is None:  # a metric of the user may not take weights
            metric.update_state(batch["y_true"], y_pred)
        else:
            metric.update_state(batch["y_true"], y_pred, sample_weight=batch["sample_weight"])
    return as_observation(metric.result(), where="metric").value.astype(np.float64)


def _by_output(declared: Any, names: list[str]) -> dict[str, list[Any]]:
    """The declared metrics of each output; empty if their structure is not one of those documented in `compile`."""
    if declared is None:
        return {}
    if len(names) == 1:
        return {names[0]: keras.tree.flatten(declared)}
    if isinstance(declared, Mapping) and set(declared) <= set(names):
        entries = dict(declared)
    elif isinstance(declared, list | tuple) and len(declared) == len(names):
        entries = dict(zip(names, declared, strict=True))
    else:
        return {}
    return {name: keras.tree.flatten(entry) for name, entry in entries.items() if entry is not None}


def _reported_name(metric: Any) -> str:
    """The name under which Keras reports a metric, without that of its output."""
    if isinstance(metric, str):
        return metric
    return str(getattr(metric, "name", None) or getattr(metric, "__name__", ""))


def _of_keras(metric: Any) -> dict[str, Any]:
    """``class`` and ``options`` of a metric of Keras; an empty class for any other."""
    if isinstance(metric, str) and metric.lower() in _ACCURACY:
        return {"class": "accuracy", "options": {}}
    if isinstance(metric, str):
        try:
            metric = keras.metrics.get(metric)
        except ValueError:
            return {"class": "", "options": {}}
    if inspect.isfunction(metric) and metric.__module__.startswith("keras."):
        return {"class": "MeanMetricWrapper", "options": {"function": metric.__name__}}
    kind = type(metric)
    if not isinstance(metric, keras.metrics.Metric) or getattr(keras.metrics, kind.__name__, None) is not kind:
        return {"class": "", "options": {}}
    function = getattr(metric, "_fn", None)
    of_function = dict(getattr(metric, "_fn_kwargs", {}))
    if kind is keras.metrics.MeanMetricWrapper:
        name = function.__name__ if inspect.isfunction(function) and function.__module__.startswith("keras.") else ""
        options: dict[str, Any] = {"function": name, "function_options": of_function}
    else:
        # The config alone is not enough: Keras 3.15 leaves out the axis of CosineSimilarity.
        options = {**metric.get_config(), **of_function}
    try:
        return {"class": kind.__name__, "options": json.loads(json.dumps(options, default=_plain))}
    except (TypeError, ValueError):
        return {"class": "", "options": {}}


def _chosen(model: Any, name: str) -> str:
    """The class that Keras made of an accuracy string for the metric that it reports as `name`; empty if that is not known."""
    compiled = getattr(model, "_compile_metrics", None)
    for attribute in ("_flat_metrics", "_flat_weighted_metrics"):
        for metrics in getattr(compiled, attribute, None) or ():
            prefix = f"{metrics.output_name}_" if getattr(metrics, "output_name", None) else ""
            for metric in getattr(metrics, "metrics", None) or ():
                if f"{prefix}{metric.name}" == name:
                    return type(metric).__name__
    return ""


def _plain(value: Any) -> Any:
    """Arrays among options, such as label weights, as lists."""
    return keras.ops.convert_to_numpy(value).tolist()
