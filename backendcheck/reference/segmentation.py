"""Overlap losses of masks, without a unit: 0 for full overlap, 1 for no overlap.

Labels and predictions have one shape. The loss is taken over `axis` (an int or several). ``axis=None`` takes the whole batch as
one mask and returns a scalar.
"""

from __future__ import annotations

import numpy as np

from backendcheck.reference.shapes import require_between, require_finite, require_same_shape
from backendcheck.reference.spec import Array, NoReference, Options


def prepare_overlap(where: str, y_true: Array, y_pred: Array, options: Options) -> Array:
    """Check masks: numbers between 0 and 1, and not both empty.

    Raises:
        NoReference: if a value is outside [0, 1], or the formula is 0/0 because both masks are empty.
    """
    require_same_shape(where, y_true, y_pred)
    require_finite(where, y_true)
    require_between(where, "label", y_true, 0.0, 1.0)
    require_between(where, "predicted probability", y_pred, 0.0, 1.0)
    axes = options["axis"]
    if ((y_true.sum(axis=axes) == 0) & (y_pred.sum(axis=axes) == 0)).any():
        message = (
            f"{where}: both masks are empty and the loss is 0/0; expected a mask with at least one value above 0, "
            "got zeros in labels and predictions. Leave such examples out, or say which value they should have."
        )
        raise NoReference(message)
    return y_true


def dice(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Dice loss: ``1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred) + epsilon)``.

    Source: the docstring of ``keras.losses.dice``. The epsilon is not in the docstring, but in every backend. It affects only
        tiny masks.
    """
    axes = options["axis"]
    both = (y_true * y_pred).sum(axis=axes)
    return np.asarray(1.0 - 2.0 * both / (y_true.sum(axis=axes) + y_pred.sum(axis=axes) + options["epsilon"]))


def tversky(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Tversky loss: ``1 - TP / (TP + alpha FP + beta FN + epsilon)``.

    ``TP = sum(t p)``. ``FP = sum((1 - t) p)``, predicted but absent. ``FN = sum(t (1 - p))``, present but missed.
    Sources: the docstring of ``keras.losses.Tversky`` ("alpha: the coefficient controlling incidence of false positives. beta: …
    false negatives"), and the paper that it cites, Salehi et al. 2017, eq. 3.
    """
    axes = options["axis"]
    true_positives = (y_true * y_pred).sum(axis=axes)
    false_positives = ((1.0 - y_true) * y_pred).sum(axis=axes)
    false_negatives = (y_true * (1.0 - y_pred)).sum(axis=axes)
    penalty = options["alpha"] * false_positives + options["beta"] * false_negatives
    return np.asarray(1.0 - true_positives / (true_positives + penalty + options["epsilon"]))
