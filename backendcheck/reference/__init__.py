"""A loss, metric or optimizer with its inputs in, its right value out: float64 NumPy from documented definitions.

Backends can agree and be wrong together. This package computes the right number without importing keras or any backend. Each
formula is taken from the Keras documentation of the loss and from the paper that it names. Where the documentation gives no
answer (a label out of range, a weight of unknown meaning), `NoReference` is raised.

Losses of probabilities and logits are in nats. The others are in the unit of their own definition.

    spec = LossSpec(name="sparse_categorical_crossentropy", options={"from_logits": True}, reduction="sum")
    loss(spec, y_true=[2, 0], y_pred=[[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
"""

from backendcheck.reference.directions import DIRECTIONAL_DOUBT, directional
from backendcheck.reference.evaluate import covered, gradient, loss, unreduced, weighted
from backendcheck.reference.finite_difference import Gradient
from backendcheck.reference.metrics import Batch, MetricSpec, accuracy_for, covered_metrics, metric
from backendcheck.reference.optimizers import (
    UPDATE_RTOL,
    UPDATE_ULPS,
    Expected,
    OptimizerSpec,
    Update,
    Weight,
    covered_optimizers,
    expected_update,
    update,
)
from backendcheck.reference.spec import DEFAULT_EPSILON, LossSpec, NoReference, canonical_name

__all__ = [
    "DEFAULT_EPSILON",
    "DIRECTIONAL_DOUBT",
    "UPDATE_RTOL",
    "UPDATE_ULPS",
    "Batch",
    "Expected",
    "Gradient",
    "LossSpec",
    "MetricSpec",
    "NoReference",
    "OptimizerSpec",
    "Update",
    "Weight",
    "accuracy_for",
    "canonical_name",
    "covered",
    "covered_metrics",
    "covered_optimizers",
    "directional",
    "expected_update",
    "gradient",
    "loss",
    "metric",
    "unreduced",
    "update",
    "weighted",
]
