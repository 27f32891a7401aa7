"""Implied classes: the class that a backend really used for each example, read off its gradient or its loss.

The gradient of a cross-entropy by logits is ``w / N * (softmax(z) - target)``. By probabilities ``-w / N * target / p`` plus
a term from normalizing. It is negative only at the class of a one-hot target. So the sign alone gives the class, whatever weights
and reductions are. The loss of an example also gives its class, unless two classes are equally likely.
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

# Losses whose gradient is negative only at the class of the label.
_ONE_NEGATIVE = frozenset({"categorical_crossentropy", "sparse_categorical_crossentropy", "categorical_focal_crossentropy"})

_MOST_ENTRIES = 4_000_000  # predictions times classes; each class costs an evaluation of the loss


def has_implied_class(description: Mapping[str, Any] | None) -> bool:
    """Whether the gradient of this loss can give a class: a cross-entropy over exclusive classes, with the class axis last.

    A custom loss may be such a loss; its gradient has to show it.
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
    """The implied class of each row of a gradient by predictions, from (…, C) to (…); -1 if a row implies no class.

    A row implies a class if exactly one element is below zero by more than `noise`.
    """
    gradient = gradient.astype(np.float64)
    with np.errstate(invalid="ignore"):
        size = np.max(np.abs(gradient), axis=-1, keepdims=True, initial=0.0)
        negative = gradient < -1e-6 * size - noise
        unsure = (np.abs(gradient) <= noise) & (size <= 3 * noise)
    named = (negative.sum(axis=-1) == 1) & np.isfinite(gradient).all(axis=-1) & ~unsure.any(axis=-1)
    return np.where(named, negative.argmax(axis=-1), -1)


def class_by_loss(declared: DeclaredLoss, losses: np.ndarray, allowance: Allowed) -> np.ndarray | None:
    """The class that gives the recorded loss of each example: (N,), -1 if no class or several classes give it.

    None if the loss does not take exclusive classes, or if there are too many of them.
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
    """The classes of labels (integers, (N, 1) or one-hot rows), as integers of `shape`; None if labels are something else."""
    if y_true.dtype == object:
        return None
    if y_true.shape == (*shape, n_classes) and n_classes > 1:
        one_hot = (np.count_nonzero(y_true, axis=-1) == 1).all()
        return y_true.argmax(axis=-1) if one_hot else None
    if y_true.size != int(np.prod(shape)) or not np.isfinite(y_true.astype(np.float64)).all():
        return None
    as_integers = y_true.reshape(shape).astype(np.int64)
    return as_integers if (as_integers == y_true.reshape(shape)).all() else None
