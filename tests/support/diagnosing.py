"""Legs that compute a softmax cross-entropy on logits, with one thing done otherwise, and what is diagnosed of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import make
import numpy as np

from backendcheck.diagnose import Diagnosis

NAMES = ["cat", "dog", "fox", "owl", "yak", "ant", "bee", "cow", "elk", "gnu"]


def diagnosed(by_leg: Mapping[str, Mapping[str, Any]]) -> dict[str, Diagnosis]:
    """The diagnoses of one case by code, most specific first."""
    found: dict[str, Diagnosis] = {}
    for one in make.results({"a/b": by_leg}).cases[0].diagnoses:
        found.setdefault(one.code, one)
    return found


def first(by_leg: Mapping[str, Mapping[str, Any]]) -> Diagnosis:
    """The most specific diagnosis."""
    return make.results({"a/b": by_leg}).cases[0].diagnoses[0]


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy(
    z: np.ndarray, y: np.ndarray, *, targets: np.ndarray | None = None, weight: np.ndarray | None = None,
    applied: np.ndarray | None = None, factor: float = 1.0, own: bool = False, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """One leg: integer labels `y`, of which the backend makes `targets` (N, C), and of `weight` what is `applied`.

    `factor` multiplies the reduced loss and the gradient; `own`: a loss of the user's own, that nothing is known of.
    """
    t = np.eye(z.shape[-1])[y] if targets is None else targets
    w = np.ones(len(y)) if applied is None and weight is None else weight if applied is None else applied
    each = w * -(t * np.log(softmax(z))).sum(axis=-1)
    gradient = (t.sum(axis=-1, keepdims=True) * softmax(z) - t) * w[:, None] / len(y)
    seen = {"per_example_loss": each, "loss": np.asarray(factor * each.mean()), "gradient/y_pred": factor * gradient}
    loss = {"name": "my_loss" if own else "sparse_categorical_crossentropy", "from_keras": not own, "alone": True}
    loss |= {"options": {} if own else {"from_logits": True}, "reduction": "sum_over_batch_size"}
    labels = {"y_true": y, "y_pred": z.astype(np.float32)} | ({} if weight is None else {"sample_weight": weight})
    return {
        "observations": {name: np.asarray(value, np.float32) for name, value in seen.items()},
        "labels": labels,
        "losses": {"": loss},
        "class_names": NAMES[: z.shape[-1]],
    } | more


def scores(n: int = 16, c: int = 4, size: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, C) and labels (N,) that hold every class."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, c)) * size).astype(np.float32).astype(np.float64), np.arange(n) % c


def outputs(order: list[str], **changed: object) -> dict[str, Any]:
    """A leg of three named outputs, returned in an order."""
    predictions = {"age": [[1.0], [2.0]], "Stage": [[30.0], [40.0]], "tumor": [[0.5], [0.25]]} | changed
    return {"output_order": order, "observations": {f"predictions/{name}": value for name, value in predictions.items()}}
