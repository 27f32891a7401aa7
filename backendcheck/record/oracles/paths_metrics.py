"""The paths oracle for metrics of the user's own: each called by hand on the output, the labels and the weights of its name.

Metrics of Keras have a reference in place of this. A metric takes part if it repeats its value from a reset state, and if the
rounding of predictions does not change that value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from backendcheck.record.observe.metrics import (
    DeclaredMetric,
    UpdateArguments,
    arguments_of,
    as_metric,
    declared_metrics,
    result_by_hand,
)
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.trace import Trace
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import METRICS_BY_NAME, Quantity, of_output, quantity_of

_FULL = ("float32", "float64")
_SAME = 1e-5  # of two values of a metric, as its tolerance in float32
_ROUNDING = 2e-6  # of predictions, relative to the largest: what compiling a model again may change


def observe_metrics_by_name(under_test: ModelUnderTest, trace: Trace) -> None:
    """Add what each metric of the user gives by hand, over the batches of `evaluate`, as a variant of `trace`.

    If it differs from `evaluate`, a second variant has what the metric gives with labels or predictions of another output, where
    that is what `evaluate` reported.
    """
    skipped = under_test.is_random or under_test.overrides("test_step") or under_test.overrides("compute_metrics")
    if skipped or "metric/*" in trace.not_compared or (under_test.changed_state and not under_test.is_one_batch):
        return
    declared = declared_metrics(under_test, trace)
    times = Counter(metric.name for metric in declared)
    with trace.variant(Oracle.PATHS, METRICS_BY_NAME) as variant:
        for metric in declared:
            if metric.of_keras["class"] or times[metric.name] > 1 or f"metric/{metric.name}" not in trace.observations:
                continue
            if (value := _certain_value(metric, arguments_of(metric, trace), under_test, trace)) is None:
                why = "it does not repeat its value, or rounding decides it"
                trace.notes.append(f"the metric {metric.name} is not compared with a call by hand: {why}")
                continue
            recorded = trace.observations[f"metric/{metric.name}"]
            if recorded.value.shape == value.shape:
                variant.add(f"metric/{metric.name}", value, like=recorded)
                if not _same(recorded.value, value):
                    _observe_other_outputs(metric, under_test, trace)
    under_test.reset_metrics()


def _certain_value(
    metric: DeclaredMetric, update: UpdateArguments | None, under_test: ModelUnderTest, trace: Trace
) -> np.ndarray | None:
    """The value by hand; None if it cannot be called, is another one the second time, or depends on rounding."""
    predictions = trace.observations.get(of_output("predictions", metric.output))
    if update is None or predictions is None or predictions.precision not in _FULL:
        return None
    try:
        called = as_metric(metric.metric)
        values = [result_by_hand(called, moved, under_test.batch_size) for moved in (update, update, *_rounded(update))]
    except Exception:  # noqa: BLE001 - in evaluate, it gets the same and would raise, too
        return None
    certain = all(values[0].shape == value.shape and _same(values[0], value) for value in values[1:])
    return values[0] if certain and np.isfinite(values[0]).all() else None


def _same(left: np.ndarray, right: np.ndarray) -> bool:
    return bool(np.allclose(left, right, rtol=_SAME, atol=0.1 * _SAME, equal_nan=True))


def _rounded(update: UpdateArguments) -> Iterator[UpdateArguments]:
    y_pred = update.y_pred
    if y_pred.dtype.kind != "f":
        return
    noise = _ROUNDING * float(np.abs(y_pred).max(initial=0.0)) * np.random.default_rng(0).choice((-1.0, 1.0), y_pred.shape)
    for sign in (1.0, -1.0):
        yield replace(update, y_pred=(y_pred + sign * noise).astype(y_pred.dtype))


def _observe_other_outputs(metric: DeclaredMetric, under_test: ModelUnderTest, trace: Trace) -> None:
    """What `evaluate` reported, if the metric gives it with the arrays of another output."""
    own, name = arguments_of(metric, trace), f"metric/{metric.name}"
    outputs = [text.removeprefix("predictions/") for text in trace.observations if quantity_of(text) is Quantity.PREDICTIONS]
    for output in outputs:
        other = arguments_of(metric, trace, output) if output != metric.output else None
        if own is None or other is None:
            continue
        for part, update in (
            ("output", other),
            ("predictions", replace(own, y_pred=other.y_pred, mask=other.mask)),
            ("labels", replace(own, y_true=other.y_true)),
        ):
            value = _certain_value(metric, update, under_test, trace)
            recorded = trace.observations[name]
            if value is not None and value.shape == recorded.value.shape and _same(value, recorded.value):
                with trace.variant(Oracle.PATHS, f"{METRICS_BY_NAME}, {metric.name} with the {part} of {output}") as variant:
                    variant.add(name, value, like=recorded)
                return
