"""Forms of a loss of classes: labels as integers or one-hot rows, predictions as logits or probabilities, and a new class.

Each is applied only where `relation_forms.prove` shows that it has the value of the declared loss.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backendcheck.record.oracles.relation_forms import SMALLEST, Form, NotApplicable, changed
from backendcheck.reference.of_recording import DeclaredLoss
from backendcheck.reference.stable import log_softmax, sigmoid

_SPARSE, _ONE_HOT = "sparse_categorical_crossentropy", "categorical_crossentropy"
# Losses of exclusive classes in which a class without labels and without probability takes no part.
_BY_CLASS = (_SPARSE, _ONE_HOT, "categorical_focal_crossentropy", "categorical_hinge", "categorical_generalized_cross_entropy")
_SOFTMAX = (_SPARSE, _ONE_HOT, "categorical_focal_crossentropy")
_SIGMOID = ("binary_crossentropy", "binary_focal_crossentropy")

_FAR_BELOW = 100.0  # below the lowest logit: the exponential of this distance is 0 in float32
_UNCERTAIN = 1e-2  # in float32, 1 - p of a probability this close to 1 has lost digits


def label_form(form: Form, example: int) -> Form:
    """Integer labels as one-hot rows, or one-hot rows as integers."""
    del example
    loss, options = form.loss, dict(form.loss.spec.options)
    if loss.spec.name == _SPARSE:
        if options.pop("ignore_class", None) is not None:
            raise NotApplicable("one-hot rows have no class to ignore")
        labels = integers_of(loss)
        rows = (labels[..., None] == np.arange(loss.y_pred.shape[-1])).astype(np.float32)
        return changed(form, y_true=rows, spec=replace(loss.spec, name=_ONE_HOT, options=options))
    if loss.spec.name != _ONE_HOT:
        raise NotApplicable("the loss does not have both forms")
    if options.pop("label_smoothing", 0):
        raise NotApplicable("integer labels are not smoothed")
    return changed(form, y_true=integers_of(loss), spec=replace(loss.spec, name=_SPARSE, options=options))


def integers_of(loss: DeclaredLoss) -> np.ndarray:
    """The labels of exclusive classes as integers, in the shape of the losses.

    Raises:
        NotApplicable: if they are not labels of exclusive classes on the last axis.
    """
    shape, labels = loss.y_pred.shape, loss.y_true
    if loss.spec.options.get("axis", -1) not in (-1, len(shape) - 1) or len(shape) < 2:  # noqa: PLR2004 - (N, C)
        raise NotApplicable("the classes are not the last axis")
    if labels.shape == shape and shape[-1] > 1:
        if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=-1) == 1).all()):
            raise NotApplicable("the labels are not one-hot")
        return np.asarray(labels.argmax(axis=-1), np.int32)
    labels = labels[..., 0] if labels.ndim == len(shape) and labels.shape[-1] == 1 else labels
    if labels.shape != shape[:-1] or not np.isin(labels, np.arange(shape[-1])).all():
        raise NotApplicable("the labels are not the indices of classes")
    return labels.astype(np.int32)


def from_logits(form: Form, example: int) -> Form:
    """The probabilities of logits with ``from_logits=False``, or the logits of probabilities with ``from_logits=True``."""
    del example
    loss, name = form.loss, form.loss.spec.name
    if name not in (*_SOFTMAX, *_SIGMOID):
        raise NotApplicable("the loss does not take logits")
    if loss.spec.options.get("axis", -1) not in (-1, loss.y_pred.ndim - 1):
        raise NotApplicable("the classes are not the last axis")
    has_logits, exact = bool(loss.spec.options.get("from_logits")), loss.y_pred.astype(np.float64)
    of_logits = np.exp(log_softmax(exact, -1)) if name in _SOFTMAX else sigmoid(exact)
    p = of_logits if has_logits else exact
    lowest, highest = (SMALLEST, 1.0 - SMALLEST) if name in _SOFTMAX else (_UNCERTAIN, 1.0 - _UNCERTAIN)
    if not ((p >= lowest) & (p <= highest)).all():
        raise NotApplicable("float32 probabilities are too close to 0 or 1")
    if not has_logits and name in _SOFTMAX and np.abs(p.sum(axis=-1) - 1.0).max() > SMALLEST:
        raise NotApplicable("the probabilities do not sum to 1")
    predictions = p if has_logits else np.log(p) if name in _SOFTMAX else np.log(p) - np.log1p(-p)
    spec = replace(loss.spec, options={**loss.spec.options, "from_logits": not has_logits})
    return changed(form, y_pred=predictions.astype(loss.y_pred.dtype), spec=spec)


def new_class(form: Form, example: int, *, multiple_of: int = 1) -> Form:
    """One more class that no label names and no prediction expects, or as many as make a multiple."""
    del example
    loss, name, options = form.loss, form.loss.spec.name, form.loss.spec.options
    if name not in _BY_CLASS:
        raise NotApplicable("the loss is not one of exclusive classes")
    if options.get("axis", -1) not in (-1, loss.y_pred.ndim - 1):
        raise NotApplicable("the classes are not the last axis")
    if options.get("label_smoothing"):
        raise NotApplicable("smoothed labels name every class")
    n = loss.y_pred.shape[-1]
    if n < 2 or np.ndim(options.get("alpha", 0)):  # noqa: PLR2004 - a single column is not a class
        raise NotApplicable("the loss has a parameter for each class")
    n_new = 1 + (-(n + 1)) % multiple_of
    unlikely = loss.y_pred.min() - _FAR_BELOW if options.get("from_logits") or name == "categorical_hinge" else 0.0
    y_true = loss.y_true
    if y_true.shape == loss.y_pred.shape and not name.startswith(("sparse", "categorical_generalized")):
        y_true = _wider(y_true, n_new, 0)
    elif options.get("ignore_class") is not None and n <= options["ignore_class"] < n + n_new:
        raise NotApplicable("the new class is the one to ignore")
    # Keras clips a probability of 0, and normalizes what it has clipped: float64 shows that.
    return replace(
        form, loss=replace(loss, y_true=y_true, y_pred=_wider(loss.y_pred, n_new, unlikely)), changed=form.changed or not unlikely
    )


def _wider(array: np.ndarray, n: int, value: float) -> np.ndarray:
    return np.concatenate([array, np.full((*array.shape[:-1], n), value, array.dtype)], axis=-1)
