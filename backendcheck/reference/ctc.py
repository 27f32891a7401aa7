"""Connectionist temporal classification (CTC), in nats, by the forward recursion in log space.

Sources: the docstring of ``keras.losses.ctc`` (0 is the blank and the padding, y_pred are logits), and Graves et al. 2006, eq.
    5-8.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backendcheck.reference.shapes import integer_labels, require_classes
from backendcheck.reference.spec import Array, NoReference, Options
from backendcheck.reference.stable import log_softmax

BLANK = 0


def prepare_sequences(where: str, y_true: Array, y_pred: Array, options: Options) -> NDArray[np.int64]:
    """Integer labels (N, L), padded with 0 at the end, for logits `y_pred` (N, T, C).

    Raises:
        NoReference: if the shapes do not fit, a label is not in ``0 … C-1``, or a 0 is followed by another label.
    """
    del options
    labels = integer_labels(where, y_true)
    if labels.ndim != 2 or y_pred.ndim != 3 or len(labels) != len(y_pred) or 0 in y_pred.shape:  # noqa: PLR2004
        message = (
            f"{where}: labels and logits do not fit; expected y_true (N, L) and y_pred (N, T, C), "
            f"got {y_true.shape} and {y_pred.shape}. Pad the labels with 0 to one length."
        )
        raise NoReference(message)
    require_classes(where, labels, y_pred.shape[2])
    if ((labels[:, :-1] == BLANK) & (labels[:, 1:] != BLANK)).any():
        message = (
            f"{where}: a label 0 stands before another label; expected 0 as padding at the end only, got it inside a "
            "sequence. 0 is the blank: number the classes from 1."
        )
        raise NoReference(message)
    return labels


def ctc(y_true: NDArray[np.int64], y_pred: Array, options: Options) -> Array:
    """CTC loss of each example, (N,): ``-log P(labels | logits)``, where P sums over all alignments of the labels to the T steps.

    An alignment repeats labels and puts blanks between them. Equal adjacent labels need a blank. A sequence that does not fit
    into T steps has probability 0, and its loss is ``inf``.
    """
    del options
    n_examples, n_steps, _ = y_pred.shape
    with_blanks = np.full((n_examples, 2 * y_true.shape[1] + 1), BLANK)
    with_blanks[:, 1::2] = y_true
    log_p = np.take_along_axis(log_softmax(y_pred, 2), np.repeat(with_blanks[:, None, :], n_steps, axis=1), axis=2)

    may_skip_blank = np.zeros(with_blanks.shape, dtype=bool)
    may_skip_blank[:, 2:] = (with_blanks[:, 2:] != BLANK) & (with_blanks[:, 2:] != with_blanks[:, :-2])

    forward = np.full(with_blanks.shape, -np.inf)
    forward[:, :2] = log_p[:, 0, :2]
    for step in range(1, n_steps):
        arriving = np.logaddexp(forward, _delayed(forward, 1))
        arriving = np.where(may_skip_blank, np.logaddexp(arriving, _delayed(forward, 2)), arriving)
        forward = arriving + log_p[:, step]

    rows, ends = np.arange(n_examples), 2 * (y_true != BLANK).sum(axis=1)
    in_label = np.where(ends > 0, forward[rows, np.maximum(ends - 1, 0)], -np.inf)
    return np.asarray(-np.logaddexp(forward[rows, ends], in_label))


def _delayed(forward: Array, n_states: int) -> Array:
    shifted = np.full(forward.shape, -np.inf)
    shifted[:, n_states:] = forward[:, :-n_states]
    return shifted
