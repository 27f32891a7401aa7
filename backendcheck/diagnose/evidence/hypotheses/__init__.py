"""Hypotheses about a loss: what may have been done with labels, weights, masks and options instead of what was declared.

Each is the declared loss with one thing changed, evaluated in float64 by the built-in reference. If its value equals that of a
backend, and the declared value does not, it is what the backend did.
"""

from __future__ import annotations

from collections.abc import Iterator

from backendcheck.diagnose.evidence.hypotheses.hypothesis import Hypothesis
from backendcheck.diagnose.evidence.hypotheses.labels import ignored_labels_counted, other_labels
from backendcheck.diagnose.evidence.hypotheses.options import (
    broadcast,
    other_activation,
    other_axis,
    smoothing_by_another_axis,
    smoothings,
    softmax,
)
from backendcheck.diagnose.evidence.hypotheses.weights import other_mask, other_reduction, other_weights
from backendcheck.reference.of_recording import DeclaredLoss

__all__ = ["Hypothesis", "hypotheses", "smoothings", "softmax"]


def hypotheses(declared: DeclaredLoss) -> Iterator[Hypothesis]:
    """All hypotheses about one declared loss, most specific first, except those of `smoothings`."""
    yield from other_labels(declared)
    yield from ignored_labels_counted(declared)
    yield from other_mask(declared)
    yield from other_weights(declared)
    yield from other_activation(declared)
    yield from other_axis(declared)
    yield from smoothing_by_another_axis(declared)
    yield from broadcast(declared)
    yield from other_reduction(declared)
