"""Which class a backend took each example for: read off its gradient or its loss, whatever it says elsewhere.

The gradient of a cross-entropy by logits is ``w / N * (softmax(z) - target)``, by probabilities ``-w / N * target / p`` plus
what normalising adds: negative at the class of a one-hot target and nowhere else. Its sign alone names the class, so that weights
and reductions, right or wrong, do not matter. The loss of one example is that of one class, unless two are equally likely: then,
or if it is that of none, it names no class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from backendcheck.compare.tolerances import Allowed
from backendcheck.diagnose.evidence.difference import NEAR
from backendcheck.diagnose.evidence.situation import declared_value
from backendcheck.reference.of_recording import DeclaredLoss
from backendcheck.vocabulary.observations import Quantity

# Losses whose gradient is negative at the class of the label and nowhere else.
_ONE_NEGATIVE = frozenset({"categorical_crossentropy", "sparse_categorical_crossentropy", "categorical_focal_crossentropy"})

_MOST_ENTRIES = 4_000_000  # predictions times classes: each class is a replay


def has_implied_class(description: Mapping[str, Any] | None) -> bool:
    """Whether the gradient of this loss may name a class: a cross-entropy over exclusive classes, its class axis last.

    A loss of the user's own may be one; its gradient then has to show it.
    """
    if not description:
        return False
    if not description.get("from_keras"):
        return True
    if description.get("name") not in _ONE_NEGATIVE:
        return False
    options = description.get("options", {})
    return options.get("axis", -1) == -1 and not options.get("label_smoothing")


def implied_class(gradient: np.ndarray, noise: float = 0.0) -> np.ndarray:
    """The class that each row of a gradient by predictions stands for, -1 where it names none; shape (…, C) to (…).

    `noise`: what an element may be off; a row names no class unless one element is further below zero, and no other is.
    """
    gradient = gradient.astype(np.float64)
    with np.errstate(invalid="ignore"):
        size = np.max(np.abs(gradient), axis=-1, keepdims=True, initial=0.0)
        negative = gradient < -1e-6 * size - noise
        unsure = (np.abs(gradient) <= noise) & (size <= 3 * noise)
    named = (negative.sum(axis=-1) == 1) & np.isfinite(gradient).all(axis=-1) & ~unsure.any(axis=-1)
    return np.where(named, negative.argmax(axis=-1), -1)


def class_by_loss(declared: DeclaredLoss, losses: np.ndarray, allowance: Allowed) -> np.ndarray | None:
    """The class as which each example was counted, by its loss alone: (N,), -1 where none or several would give it.

    None where the loss has no such class, or one value for several labels.
    """
    n, n_classes = len(declared.y_pred), declared.y_pred.shape[-1]
    if declared.spec.name not in _ONE_NEGATIVE or declared.y_pred.ndim != 2 or losses.shape != (n,) or n_classes < 2:  # noqa: PLR2004
        return None
    options = declared.spec.options
    if options.get("axis", -1) != -1 or options.get("label_smoothing") or declared.y_pred.size * n_classes > _MOST_ENTRIES:
        return None
    sparse = declared.spec.name.startswith("sparse")
    spec = replace(declared.spec, options={**options, "ignore_class": None}) if sparse else declared.spec
    observed, fits = losses.astype(np.float64), np.zeros((n_classes, n), bool)
    for k in range(n_classes):
        labels = np.full(n, k) if sparse else np.tile(np.eye(n_classes)[k], (n, 1))
        value = declared_value(replace(declared, spec=spec, y_true=labels), Quantity.PER_EXAMPLE_LOSS)
        if value is None:
            return None
        with np.errstate(all="ignore"):
            within = allowance.tolerance.atol + allowance.tolerance.rtol * np.maximum(np.abs(value), np.abs(observed))
            fits[k] = np.abs(value - observed) <= NEAR * within
    return np.where(fits.sum(axis=0) == 1, fits.argmax(axis=0), -1)


def label_class(y_true: np.ndarray, n_classes: int, shape: tuple[int, ...]) -> np.ndarray | None:
    """The classes that labels name, as integers of `shape`: from integers, (N, 1), or one-hot rows; None where they name none."""
    if y_true.dtype == object:
        return None
    if y_true.shape == (*shape, n_classes) and n_classes > 1:
        one_hot = (np.count_nonzero(y_true, axis=-1) == 1).all()
        return y_true.argmax(axis=-1) if one_hot else None
    if y_true.size != int(np.prod(shape)) or not np.isfinite(y_true.astype(np.float64)).all():
        return None
    as_integers = y_true.reshape(shape).astype(np.int64)
    return as_integers if (as_integers == y_true.reshape(shape)).all() else None
