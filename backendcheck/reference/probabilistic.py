"""Losses of probabilities and logits, in nats.

Labels and predictions are ``(N, …, C)`` (integer labels: without the class axis) and the result is ``(N, …)``.
Source: the docstring of the function of the same name in ``keras.losses``; further sources are named at the formula.

Probabilities are clipped to ``[epsilon, 1 - epsilon]`` (epsilon 1e-7), and those of exclusive classes are divided by
their sum first: what every Keras backend does and its source states. Logits are never clipped: nothing is documented.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backendcheck.reference.shapes import (
    integer_labels,
    require_between,
    require_classes,
    require_finite,
    require_same_shape,
)
from backendcheck.reference.spec import Array, NoReference, Options
from backendcheck.reference.stable import log_softmax, sigmoid, softplus, times

# How far above 1 a float32 probability may be by rounding alone.
_ROUNDING = 1e-5


def prepare_distribution(where: str, y_true: Array, y_pred: Array, options: Options) -> Array:
    """Check labels that are probabilities of classes (one-hot, soft, multi-hot or all zero).

    Raises:
        NoReference: if a label, or a prediction that is no logit, is outside [0, 1].
    """
    require_same_shape(where, y_true, y_pred)
    require_finite(where, y_true)
    require_between(where, "label", y_true, 0.0, 1.0)
    _require_probabilities(where, y_pred, options, exclusive=True)
    return y_true


def prepare_focal_distribution(where: str, y_true: Array, y_pred: Array, options: Options) -> Array:
    """Check labels as `prepare_distribution` does, and alpha: one number, or one for each class.

    Raises:
        NoReference: as there, or if the length of alpha is not the number of classes.
    """
    n_classes, alpha = y_pred.shape[options["axis"]], np.asarray(options["alpha"], dtype=np.float64)
    if alpha.shape not in ((), (n_classes,)):
        message = (
            f"{where}: alpha does not fit the classes; expected a number or {n_classes} of them, "
            f"got shape {alpha.shape}. Give one weight for each class."
        )
        raise NoReference(message)
    return prepare_distribution(where, y_true, y_pred, options)


def prepare_binary(where: str, y_true: Array, y_pred: Array, options: Options) -> Array:
    """Check labels of the binary crossentropy: between 0 and 1.

    Raises:
        NoReference: if a label is outside [0, 1] (hinge labels -1 and 1?).
    """
    del options
    require_same_shape(where, y_true, y_pred)
    require_finite(where, y_true)
    require_between(where, "label", y_true, 0.0, 1.0)
    return y_true


def prepare_binary_focal(where: str, y_true: Array, y_pred: Array, options: Options) -> Array:
    """Check labels as `prepare_binary` does, and the predictions: logits, or probabilities in [0, 1].

    Raises:
        NoReference: as there, or if a probability is out of range: its focal factor is not documented.
    """
    _require_probabilities(where, y_pred, options, exclusive=False)
    return prepare_binary(where, y_true, y_pred, options)


def prepare_indices(where: str, y_true: Array, y_pred: Array, options: Options) -> NDArray[np.int64]:
    """Give integer labels without the class axis, shape ``(N, …)``.

    Raises:
        NoReference: if the shape does not fit, or a label is not in ``0 … C-1`` and is not `ignore_class`.
    """
    axis, ignored = options["axis"], options["ignore_class"]
    labels = integer_labels(where, y_true)
    if labels.ndim == y_pred.ndim and labels.shape[axis] == 1:
        labels = labels.squeeze(axis)
    expected = tuple(size for index, size in enumerate(y_pred.shape) if index != axis)
    if labels.shape != expected or y_pred.size == 0:
        message = (
            f"{where}: integer labels do not fit the predictions; expected shape {expected} for y_pred {y_pred.shape}, "
            f"got {y_true.shape}. Give one class index for each example; for one-hot labels use a categorical loss."
        )
        raise NoReference(message)
    counted = labels if ignored is None else labels[labels != ignored]
    require_classes(where, counted, y_pred.shape[axis])
    if not options["from_logits"]:
        relevant = y_pred if ignored is None else np.moveaxis(y_pred, axis, -1)[labels != ignored]
        _require_probabilities(where, relevant, {**options, "axis": axis if ignored is None else -1}, exclusive=True)
    return labels


def prepare_class_of_each(where: str, y_true: Array, y_pred: Array, options: Options) -> NDArray[np.int64]:
    """Give integer labels of the generalized cross entropy, shape ``(N,)``; y_pred is ``(N, C)``.

    Raises:
        NoReference: if the labels do not fit or a prediction is no probability.
    """
    del options
    require_between(where, "predicted probability", y_pred, 0.0, 1.0 + _ROUNDING)
    as_is = {"axis": y_pred.ndim - 1, "ignore_class": None, "from_logits": True}
    return prepare_indices(where, y_true, y_pred, as_is)


def counted_labels(y_true: NDArray[np.int64], options: Options) -> NDArray[np.bool_] | None:
    """Give where a label counts: everywhere but at `ignore_class`. None if nothing is ignored."""
    ignored = options["ignore_class"]
    return None if ignored is None else np.asarray(y_true != ignored)


def kl_divergence(y_true: Array, y_pred: Array, options: Options) -> Array:
    """``sum(y_true log(y_true / y_pred), axis=-1)``, both clipped to [epsilon, 1] as in the docstring's example."""
    epsilon = options["epsilon"]
    labels, predictions = np.clip(y_true, epsilon, 1.0), np.clip(y_pred, epsilon, 1.0)
    return np.asarray((labels * np.log(labels / predictions)).sum(axis=-1))


def binary_crossentropy(y_true: Array, y_pred: Array, options: Options) -> Array:
    """``mean(-y log p - (1 - y) log(1 - p), axis)``, with ``p = sigmoid(y_pred)`` if from_logits.

    label_smoothing s: ``y (1 - s) + s / 2``.
    """
    labels = _smoothed(y_true, options["label_smoothing"], 2)
    log_one, log_zero = _binary_log_probabilities(y_pred, options)
    return np.asarray(-(times(labels, log_one) + times(1.0 - labels, log_zero)).mean(axis=options["axis"]))


def binary_focal_crossentropy(y_true: Array, y_pred: Array, options: Options) -> Array:
    """``mean(weight (1 - p_t)^gamma BCE(y, p), axis)`` with ``p_t = y p + (1 - y)(1 - p)``.

    weight is 1, or with apply_class_balancing ``y alpha + (1 - y)(1 - alpha)``. Also: Lin et al., "Focal Loss", 2018,
    eq. 4-5. gamma = 0 "is equivalent to the binary crossentropy loss" (docstring), so logits are not clipped either.
    """
    labels = _smoothed(y_true, options["label_smoothing"], 2)
    log_one, log_zero = _binary_log_probabilities(y_pred, options)
    one = sigmoid(y_pred) if options["from_logits"] else y_pred
    zero = sigmoid(-y_pred) if options["from_logits"] else 1.0 - y_pred
    missed = labels * zero + (1.0 - labels) * one  # 1 - p_t, without cancellation
    crossentropy = -(times(labels, log_one) + times(1.0 - labels, log_zero))
    focal = times(missed ** options["gamma"], crossentropy)
    if options["apply_class_balancing"]:
        focal = focal * (labels * options["alpha"] + (1.0 - labels) * (1.0 - options["alpha"]))
    return np.asarray(focal.mean(axis=options["axis"]))


def categorical_crossentropy(y_true: Array, y_pred: Array, options: Options) -> Array:
    """``-sum(y log p, axis)``, with ``p = softmax(y_pred, axis)`` if from_logits.

    label_smoothing s: ``y (1 - s) + s / C`` with C the number of classes, the length of `axis`.
    """
    axis = options["axis"]
    labels = _smoothed(y_true, options["label_smoothing"], y_pred.shape[axis])
    return np.asarray(-times(labels, _log_probabilities(y_pred, options)).sum(axis=axis))


def categorical_focal_crossentropy(y_true: Array, y_pred: Array, options: Options) -> Array:
    """``sum(alpha (1 - p)^gamma (-y log p), axis)``; alpha is a number or one for each class.

    Also: Lin et al., "Focal Loss", 2018, eq. 5. As for the crossentropy, logits are not clipped.
    """
    axis = options["axis"]
    labels = _smoothed(y_true, options["label_smoothing"], y_pred.shape[axis])
    log_probabilities = _log_probabilities(y_pred, options)
    alpha = np.asarray(options["alpha"], dtype=np.float64)
    if alpha.ndim == 1:
        alpha = alpha.reshape([-1 if index == axis else 1 for index in range(y_pred.ndim)])
    focal = alpha * (-np.expm1(log_probabilities)) ** options["gamma"]
    return np.asarray(-times(labels * focal, log_probabilities).sum(axis=axis))


def sparse_categorical_crossentropy(y_true: NDArray[np.int64], y_pred: Array, options: Options) -> Array:
    """``-log p[y_true]`` along `axis`, with ``p = softmax(y_pred, axis)`` if from_logits; 0 where y is ignore_class."""
    axis, counted = options["axis"], counted_labels(y_true, options)
    indices = y_true if counted is None else np.where(counted, y_true, 0)
    chosen = np.take_along_axis(_log_probabilities(y_pred, options), np.expand_dims(indices, axis), axis).squeeze(axis)
    return np.asarray(-chosen if counted is None else np.where(counted, -chosen, 0.0))


def categorical_generalized_cross_entropy(y_true: NDArray[np.int64], y_pred: Array, options: Options) -> Array:
    """``(1 - p[y_true]^q) / q``, shape ``(N,)``, without unit; probabilities as they are, no clipping documented.

    Also: Zhang and Sabuncu, "Generalized Cross Entropy Loss", 2018, eq. 6.
    """
    q = float(options["q"])
    chosen = np.take_along_axis(y_pred, y_true[..., None], -1)[..., 0]
    with np.errstate(invalid="ignore"):
        return np.asarray((1.0 - chosen**q) / q)


def _smoothed(labels: Array, smoothing: float, n_classes: int) -> Array:
    return np.asarray(labels * (1.0 - smoothing) + smoothing / n_classes) if smoothing else labels


def _binary_log_probabilities(y_pred: Array, options: Options) -> tuple[Array, Array]:
    """Give ``log p`` and ``log(1 - p)``."""
    if options["from_logits"]:
        return -softplus(-y_pred), -softplus(y_pred)
    clipped = np.clip(y_pred, options["epsilon"], 1.0 - options["epsilon"])
    return np.log(clipped), np.log1p(-clipped)


def _log_probabilities(y_pred: Array, options: Options) -> Array:
    """Give the log-probabilities of exclusive classes along the class axis."""
    axis, epsilon = options["axis"], options["epsilon"]
    if options["from_logits"]:
        return log_softmax(y_pred, axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(np.clip(y_pred / y_pred.sum(axis=axis, keepdims=True), epsilon, 1.0 - epsilon)))


def _require_probabilities(where: str, y_pred: Array, options: Options, *, exclusive: bool) -> None:
    if options["from_logits"]:
        return
    require_between(where, "predicted probability", y_pred, 0.0, 1.0 + _ROUNDING)
    if exclusive and (y_pred.sum(axis=options["axis"]) == 0).any():
        message = (
            f"{where}: the predicted probabilities of an example sum to 0; expected a distribution over the classes, "
            "got zeros. Add a softmax, or set from_logits."
        )
        raise NoReference(message)
