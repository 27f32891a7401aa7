"""Faults around the loss: metrics, the state between batches, the step of an optimizer, and the weights of a loaded layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.metrics.reduction_metrics import MeanMetricWrapper
from keras.src.optimizers.base_optimizer import BaseOptimizer

from backendcheck.record.faults.injection import FaultInjection, Inject


def _count_twice(injection: FaultInjection) -> None:
    injection.change_result(MeanMetricWrapper, "result", lambda mean, *_: mean / 2)


def _keep_metrics_between_batches(injection: FaultInjection) -> None:
    """Have `test_on_batch` and `train_on_batch` go on with the metrics of the batch before."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def on_batch(self: Any, *args: Any, **kwargs: Any) -> Any:
            states = [metric.count for metric in self.metrics if hasattr(metric, "count")]
            kept = any(float(ops.convert_to_numpy(count)) for count in states)
            injection.counted(np.zeros(1), np.array([float(kept)]))
            vars(self)["reset_metrics"] = lambda: None
            try:
                return original(self, *args, **kwargs)
            finally:
                del vars(self)["reset_metrics"]

        return on_batch

    for name in ("test_on_batch", "train_on_batch"):
        injection.replace(keras.Model, name, make)


def _losses_by_batch(injection: FaultInjection) -> None:
    """Have the mean of the loss of one output count each batch once, whatever its number of examples."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def update_state(self: Any, values: Any, sample_weight: Any = None) -> Any:
            if self.name.endswith("_loss") and isinstance(sample_weight, int):  # of `CompileLoss`; users' weights are arrays
                sample_weight = int(injection.counted(np.array(sample_weight), np.array(1)))
            return original(self, values, sample_weight)

        return update_state

    injection.replace(keras.metrics.Mean, "update_state", make)


def _double_steps(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def apply(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
            doubled = [None if gradient is None else injection.counted(gradient, 2 * gradient) for gradient in grads]
            return original(self, doubled, trainable_variables)

        return apply

    injection.replace(BaseOptimizer, "apply", make)


def _forget_slots(injection: FaultInjection) -> None:
    """Have optimizers set to zero what they keep for the weights, after each step."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def apply(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
            original(self, grads, trainable_variables)
            for variable in self.variables:
                if variable is not self.iterations and len(variable.shape):
                    zeros = ops.zeros_like(variable.value)  # JAX does not take a variable here while it traces
                    injection.counted(variable.value, zeros)
                    variable.assign(zeros)

        return apply

    injection.replace(BaseOptimizer, "apply", make)


def _load_classes_reversed(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def load_own_variables(self: Any, store: Any) -> None:
            original(self, store)
            for variable in self.variables:
                before = ops.convert_to_numpy(variable)
                variable.assign(injection.counted(before, before[..., ::-1].copy()))

        return load_own_variables

    injection.replace(keras.layers.Dense, "load_own_variables", make)


INJECTIONS: dict[str, Inject] = {
    "metrics-count-twice": _count_twice,
    "metrics-kept-between-batches": _keep_metrics_between_batches,
    "losses-by-batch": _losses_by_batch,
    "steps-doubled": _double_steps,
    "optimizer-forgets": _forget_slots,
    "loaded-classes-reversed": _load_classes_reversed,
}
