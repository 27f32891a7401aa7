"""Margin losses: labels and scores (N, …, D) in, losses (N, …) without a unit out.

The source of each formula is the docstring of the function of the same name in ``keras.losses``.
"""

from __future__ import annotations

import numpy as np

from backendcheck.reference.shapes import require_finite, require_same_shape
from backendcheck.reference.spec import Array, NoReference, Options


def prepare_signs(where: str, y_true: Array, y_pred: Array, options: Options) -> Array:
    """Labels as -1 and 1, in the shape of `y_true`.

    Documented: labels are -1 or 1, and binary labels 0 or 1 are converted. Whether they are binary depends on the whole batch;
    ``[1, 1]`` stays ``[1, 1]`` in both cases.

    Raises:
        NoReference: if -1 and 0 both occur, or any other number, because such a label has no documented meaning.
    """
    del options
    require_same_shape(where, y_true, y_pred)
    _require_labels(where, y_true)
    return 2.0 * y_true - 1.0 if (y_true >= 0).all() else y_true


def prepare_one_hot(where: str, y_true: Array, y_pred: Array, options: Options) -> Array:
    """Check labels that are one-hot in ``{0, 1}`` or ``{-1, 1}``. They are used as they are.

    Raises:
        NoReference: if other numbers occur.
    """
    del options
    require_same_shape(where, y_true, y_pred)
    _require_labels(where, y_true)
    return y_true


def hinge(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Hinge loss: ``mean(max(1 - y_true y_pred, 0), axis=-1)``."""
    del options
    return np.asarray(np.maximum(1.0 - y_true * y_pred, 0.0).mean(axis=-1))


def squared_hinge(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Squared hinge loss: ``mean(max(1 - y_true y_pred, 0)², axis=-1)``."""
    del options
    return np.asarray(np.square(np.maximum(1.0 - y_true * y_pred, 0.0)).mean(axis=-1))


def categorical_hinge(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Categorical hinge loss: ``max(neg - pos + 1, 0)`` with ``neg = max((1 - y_true) y_pred)``, ``pos = sum(y_true y_pred)``.

    Both are taken over the last axis. As documented, the class of the label takes part in `neg` with 0, so `neg` is 0 or more for
    one-hot labels. The multi-class hinge loss of Crammer and Singer (2001) and of scikit-learn leaves that class out. The two
    differ where every other score is negative.
    """
    del options
    negative = ((1.0 - y_true) * y_pred).max(axis=-1)
    positive = (y_true * y_pred).sum(axis=-1)
    return np.asarray(np.maximum(negative - positive + 1.0, 0.0))


def _require_labels(where: str, y_true: Array) -> None:
    require_finite(where, y_true)
    known = np.isin(y_true, (-1.0, 0.0, 1.0))
    mixed = (y_true == -1.0).any() and (y_true == 0.0).any()
    if mixed or not known.all():
        labels = "-1 and 0 in one batch" if known.all() else f"{y_true[~known][0]:g}"
        message = (
            f"{where}: labels without a documented meaning; expected -1 and 1, or 0 and 1, got {labels}. Encode the labels again."
        )
        raise NoReference(message)
