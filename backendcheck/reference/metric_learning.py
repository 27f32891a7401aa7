"""The circle loss of embeddings, in nats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backendcheck.reference.shapes import integer_labels
from backendcheck.reference.spec import Array, NoReference, Options
from backendcheck.reference.stable import log_sum_exp, softplus

_UNIT_NORM_TOLERANCE = 1e-3


def prepare_embeddings(where: str, y_true: Array, y_pred: Array, options: Options) -> NDArray[np.int64]:
    """Integer labels (N,) for embeddings `y_pred` (N, D) whose rows have length 1.

    Raises:
        NoReference: if the shapes do not fit, a label is not a whole number, or an embedding is not normalized.
    """
    del options
    labels = integer_labels(where, y_true)
    n_examples = y_pred.shape[0] if y_pred.ndim else 0
    if y_pred.ndim != 2 or n_examples == 0 or labels.shape not in ((n_examples,), (n_examples, 1)):  # noqa: PLR2004
        message = (
            f"{where}: labels and embeddings do not fit; expected y_true (N,) or (N, 1) and y_pred (N, D), "
            f"got {y_true.shape} and {y_pred.shape}. Give one integer label for each embedding."
        )
        raise NoReference(message)
    norms = np.linalg.norm(y_pred, axis=-1)
    if (np.abs(norms - 1.0) > _UNIT_NORM_TOLERANCE).any():
        message = (
            f"{where}: embeddings are not L2-normalized; expected length 1, "
            f"got {norms[np.abs(norms - 1.0).argmax()]:g}. End the model with UnitNormalization."
        )
        raise NoReference(message)
    return labels.reshape(-1)


def circle(y_true: NDArray[np.int64], y_pred: Array, options: Options) -> Array:
    """Circle loss of each example, (N,): ``softplus(lse_n(gamma a_n (s_n - m)) + lse_p(-gamma a_p (s_p - 1 + m)))``.

    s are cosine similarities (at most 1) to the examples of the same label (p; without the example itself if remove_diagonal) and
    of other labels (n); ``a_p = max(1 + m - s_p, 0)``, ``a_n = max(s_n + m, 0)``, and m is the margin. Without any positive or
    any negative example, the loss is log 1 = 0.
    Sources: the docstring of ``keras.losses.circle``, and Sun et al., "Circle Loss", 2020, eq. 6 and 8. The paper holds a_p and
        a_n constant in its gradient. Keras does not document this, so the gradient here is that of the loss.
    """
    gamma, margin = float(options["gamma"]), float(options["margin"])
    similarity = np.minimum(y_pred @ y_pred.T, 1.0)
    same = y_true[:, None] == y_true[None, :]
    positive = same & ~np.eye(len(y_true), dtype=bool) if options["remove_diagonal"] else same
    from_positives = -gamma * np.maximum(1.0 + margin - similarity, 0.0) * (similarity - 1.0 + margin)
    from_negatives = gamma * np.maximum(similarity + margin, 0.0) * (similarity - margin)
    total = log_sum_exp(np.where(positive, from_positives, -np.inf), 1) + log_sum_exp(np.where(~same, from_negatives, -np.inf), 1)
    return softplus(total)
