"""Losses of probabilities and logits, in nats.

Labels and predictions are (N, …, C), integer labels (N, …), and each loss returns (N, …). The source of each formula is the
docstring of the function of the same name in ``keras.losses``; further sources are named at the formula.

Probabilities are clipped to ``[epsilon, 1 - epsilon]`` (epsilon 1e-7), and those of exclusive classes are first divided by their
sum. Every Keras backend does this, as its source states. Logits are never clipped, because nothing is documented.
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

# A float32 probability may exceed 1 by this much, from rounding alone.
_ROUNDING = 1e-5


def prepare_distribution(where: str, y_true: Array, y_pred: Array, options: Options) -> Array:
    """Check labels that are probabilities of classes: one-hot, soft, multi-hot or all zero.

    Raises:
        NoReference: if a label is outside [0, 1], or a predicted probability is.
    """
    require_same_shape(where, y_true, y_pred)
    require_finite(where, y_true)
    require_between(where, "label", y_true, 0.0, 1.0)
    _require_probabilities(where, y_pred, options, exclusive=True)
    return y_true


def prepare_focal_distribution(where: str, y_true: Array, y_pred: Array, options: Options) -> Array:
    """Check labels as `prepare_distribution` does, and alpha: a number, or one for each class.

    Raises:
        NoReference: as for `prepare_distribution`, or if the length of alpha is not the number of classes.
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
    """Check labels of the binary crossentropy: numbers from 0 to 1.

    Raises:
        NoReference: if a label is outside [0, 1], such as a hinge label -1.
    """
    del options
    require_same_shape(where, y_true, y_pred)
    require_finite(where, y_true)
    require_between(where, "label", y_true, 0.0, 1.0)
    return y_true


def prepare_binary_focal(where: str, y_true: Array, y_pred: Array, options: Options) -> Array:
    """Check labels as `prepare_binary` does, and the predictions: logits, or probabilities in [0, 1].

    Raises:
        NoReference: as for `prepare_binary`, or if a probability is out of range, because its focal factor is not documented.
    """
    _require_probabilities(where, y_pred, options, exclusive=False)
    return prepare_binary(where, y_true, y_pred, options)


def prepare_indices(where: str, y_true: Array, y_pred: Array, options: Options) -> NDArray[np.int64]:
    """Integer labels without the class axis, (N, …).

    Raises:
        NoReference: if the shape does not fit, or a label is neither in ``0 … C-1`` nor `ignore_class`.
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
    """Integer labels (N,) of the generalized cross entropy, for predictions (N, C).

    Raises:
        NoReference: if the labels do not fit, or a prediction is not a probability.
    """
    del options
    require_between(where, "predicted probability", y_pred, 0.0, 1.0 + _ROUNDING)
    as_is = {"axis": y_pred.ndim - 1, "ignore_class": None, "from_logits": True}
    return prepare_indices(where, y_true, y_pred, as_is)


def counted_labels(y_true: NDArray[np.int64], options: Options) -> NDArray[np.bool_] | None:
    """Where a label counts, in the shape of `y_true`: everywhere but at `ignore_class`. None if no class is ignored."""
    ignored = options["ignore_class"]
    return None if ignored is None else np.asarray(y_true != ignored)


def kl_divergence(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Kullback-Leibler divergence: ``sum(y_true log(y_true / y_pred), axis=-1)``.

    Both are clipped to [epsilon, 1], as in the example of the docstring.
    """
    epsilon = options["epsilon"]
    labels, predictions = np.clip(y_true, epsilon, 1.0), np.clip(y_pred, epsilon, 1.0)
    return np.asarray((labels * np.log(labels / predictions)).sum(axis=-1))


def binary_crossentropy(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Binary crossentropy: ``mean(-y log p - (1 - y) log(1 - p), axis)``, with ``p = sigmoid(y_pred)`` if from_logits.

    With label_smoothing s, y is ``y (1 - s) + s / 2``.
    """
    labels = _smoothed(y_true, options["label_smoothing"], 2)
    log_p, log_q = _binary_log_probabilities(y_pred, options)
    return np.asarray(-(times(labels, log_p) + times(1.0 - labels, log_q)).mean(axis=options["axis"]))


def binary_focal_crossentropy(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Binary focal crossentropy: ``mean(weight (1 - p_t)^gamma BCE(y, p), axis)`` with ``p_t = y p + (1 - y)(1 - p)``.

    The weight is 1, or with apply_class_balancing ``y alpha + (1 - y)(1 - alpha)``. With gamma = 0 the loss "is equivalent to the
    binary crossentropy loss" (docstring), so logits are not clipped either. Also: Lin et al., "Focal Loss", 2018, eq. 4-5.
    """
    labels = _smoothed(y_true, options["label_smoothing"], 2)
    log_p, log_q = _binary_log_probabilities(y_pred, options)
    p = sigmoid(y_pred) if options["from_logits"] else y_pred
    q = sigmoid(-y_pred) if options["from_logits"] else 1.0 - y_pred
    missed = labels * q + (1.0 - labels) * p  # 1 - p_t, without cancellation
    crossentropy = -(times(labels, log_p) + times(1.0 - labels, log_q))
    focal = times(missed ** options["gamma"], crossentropy)
    if options["apply_class_balancing"]:
        focal = focal * (labels * options["alpha"] + (1.0 - labels) * (1.0 - options["alpha"]))
    return np.asarray(focal.mean(axis=options["axis"]))


def categorical_crossentropy(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Categorical crossentropy: ``-sum(y log p, axis)``, with ``p = softmax(y_pred, axis)`` if from_logits.

    With label_smoothing s, y is ``y (1 - s) + s / C``, where C is the number of classes, the length of `axis`.
    """
    axis = options["axis"]
    labels = _smoothed(y_true, options["label_smoothing"], y_pred.shape[axis])
    return np.asarray(-times(labels, _log_probabilities(y_pred, options)).sum(axis=axis))


def categorical_focal_crossentropy(y_true: Array, y_pred: Array, options: Options) -> Array:
    """Categorical focal crossentropy: ``sum(alpha (1 - p)^gamma (-y log p), axis)``; alpha is a number, or one for each class.

    As for the crossentropy, logits are not clipped. Also: Lin et al., "Focal Loss", 2018, eq. 5.
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
    """Sparse categorical crossentropy: ``-log p[y_true]`` along `axis`, with ``p = softmax(y_pred, axis)`` if from_logits.

    It is 0 where y_true is ignore_class.
    """
    axis, counted = options["axis"], counted_labels(y_true, options)
    indices = y_true if counted is None else np.where(counted, y_true, 0)
    log_p = np.take_along_axis(_log_probabilities(y_pred, options), np.expand_dims(indices, axis), axis).squeeze(axis)
    return np.asarray(-log_p if counted is None else np.where(counted, -log_p, 0.0))


def categorical_generalized_cross_entropy(y_true: NDArray[np.int64], y_pred: Array, options: Options) -> Array:
    """Generalized cross entropy of each example, (N,): ``(1 - p[y_true]^q) / q``, without a unit.

    Probabilities are used as they are, because no clipping is documented. Also: Zhang and Sabuncu, "Generalized Cross Entropy
    Loss", 2018, eq. 6.
    """
    q = float(options["q"])
    p = np.take_along_axis(y_pred, y_true[..., None], -1)[..., 0]
    with np.errstate(invalid="ignore"):
        return np.asarray((1.0 - p**q) / q)


def _smoothed(labels: Array, smoothing: float, n_classes: int) -> Array:
    return np.asarray(labels * (1.0 - smoothing) + smoothing / n_classes) if smoothing else labels


def _binary_log_probabilities(y_pred: Array, options: Options) -> tuple[Array, Array]:
    """``log p`` and ``log(1 - p)``, in the shape of `y_pred`."""
    if options["from_logits"]:
        return -softplus(-y_pred), -softplus(y_pred)
    clipped = np.clip(y_pred, options["epsilon"], 1.0 - options["epsilon"])
    return np.log(clipped), np.log1p(-clipped)


def _log_probabilities(y_pred: Array, options: Options) -> Array:
    """The log-probabilities of exclusive classes along the class axis, in the shape of `y_pred`."""
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
