"""A simulated backend: a dense head, its loss, gradients, metric and one step of training, with a hook for every fault.

The formulas share nothing with `backendcheck.reference`. So a diagnosis that uses the reference is compared with other code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
Change = Callable[[Array], Array]


def same(x: Array) -> Array:
    return x


@dataclass(kw_only=True)
class Fault:
    """What one backend computes differently; by default nothing. All later values follow from it.

    `forward` changes predictions, and `into_loss` the predictions as the loss gets them; each has its pullback of gradients.
    `targets` changes encoded labels, `labels` integer labels. `factor` multiplies the reduced loss and its gradients, `each` the
    per-example losses as well. `edit` changes the observations at the end.
    """

    forward: Change = same
    forward_pullback: Change = same
    into_loss: Change = same
    into_loss_pullback: Change = same
    labels: Change = same
    targets: Change = same
    weight: Callable[[Array | None], Array | None] = field(default=lambda w: w)
    mask: Callable[[Array | None], Array | None] = field(default=lambda m: m)
    logits: bool | None = None
    factor: float = 1.0
    each: float = 1.0
    ignore: bool = True
    edit: Callable[[dict[str, Array]], None] = field(default=lambda _: None)


@dataclass(kw_only=True)
class Head:
    """One output with its loss, as users declare it. Shapes: x (…, D), kernel (D, C), y (…) or (…, C), weight (N,), mask (…)."""

    loss: str  # sparse, categorical, binary, mse, mae, huber, hinge
    x: Array
    kernel: Array
    bias: Array
    y: Array
    activation: str = ""  # "", softmax, sigmoid
    weight: Array | None = None
    mask: Array | None = None
    reduction: str = "sum_over_batch_size"
    ignore_class: int | None = None
    y_pred: Array | None = None  # for a loss without a model

    @property
    def from_logits(self) -> bool:
        return self.activation == "" and self.loss in ("sparse", "categorical", "binary")

    @property
    def n_classes(self) -> int:
        return self.kernel.shape[-1]


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_pullback(p: Array) -> Change:
    return lambda g: p * (g - (g * p).sum(axis=-1, keepdims=True))


def sigmoid(z: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-z))


def run(head: Head, fault: Fault, noise: Callable[[str, Array], Array], floatx: str) -> dict[str, Array]:
    """The observations of the backend. `noise` gets the name and the value of each, and returns the value with noise."""
    arrays: dict[str, Array] = {}
    if head.y_pred is None:
        z = noise("predictions", head.x @ head.kernel + head.bias)
        p = softmax(z) if head.activation == "softmax" else sigmoid(z) if head.activation == "sigmoid" else z
        predictions = fault.forward(p).astype(floatx).astype(np.float64)
        arrays["predictions"] = predictions
        if head.loss in ("sparse", "categorical"):
            arrays["predicted_class"] = predictions.argmax(axis=-1)
    else:
        predictions = head.y_pred
    values, gradient = _loss(head, fault, predictions)
    weight = fault.weight(None if head.weight is None else head.weight.astype(np.float64))
    mask = fault.mask(head.mask)
    ignored = np.zeros(values.shape, bool)
    if head.ignore_class is not None and fault.ignore:
        ignored = fault.labels(head.y) == head.ignore_class
    counted = ~ignored if mask is None else mask.astype(bool) & ~ignored
    spread = np.ones(values.shape)
    if weight is not None:
        spread = spread * weight.reshape(len(weight), *([1] * (values.ndim - 1)))
    spread = np.where(counted, spread, 0.0)
    each = fault.each * spread * values
    denominator = {
        "sum": 1.0,
        "sum_over_batch_size": max(
            float(counted.sum() if mask is not None or head.ignore_class is not None else counted.size), 1.0
        ),
        "mean_with_sample_weight": max(float(spread.sum()), 1e-12),
    }[head.reduction]
    with np.errstate(all="ignore"):
        scale = fault.each * fault.factor / denominator * np.where(counted, spread, 0.0)
        gradient = np.where(counted[..., None], gradient * scale[..., None], 0.0)
        arrays["per_example_loss"] = noise("per_example_loss", each.reshape(len(each), -1).mean(axis=1))
        arrays["loss"] = noise("loss", np.asarray(fault.factor * each.sum() / denominator))
        arrays["gradient/y_pred"] = noise("gradient/y_pred", gradient)
        if head.y_pred is None:
            g = fault.forward_pullback(gradient)
            if head.activation == "softmax":
                g = softmax_pullback(p)(g)
            elif head.activation == "sigmoid":
                g = g * p * (1 - p)
            flat_x, flat_g = head.x.reshape(-1, head.x.shape[-1]), g.reshape(-1, g.shape[-1])
            arrays["gradient/dense/kernel"] = noise("gradient/dense/kernel", flat_x.T @ flat_g)
            arrays["gradient/dense/bias"] = noise("gradient/dense/bias", flat_g.sum(axis=0))
            if head.loss in ("sparse", "categorical"):
                labels = head.y if head.loss == "sparse" else head.y.argmax(axis=-1)
                right = predictions.argmax(axis=-1) == labels
                arrays["metric/accuracy"] = np.asarray((right * counted).sum() / max(counted.sum(), 1))
            arrays["train/loss"] = noise("train/loss", np.asarray([arrays["loss"]]))
            for name, start in (("kernel", head.kernel), ("bias", head.bias)):
                arrays[f"train/weight/dense/{name}"] = noise(
                    f"train/weight/dense/{name}", start - 0.1 * arrays[f"gradient/dense/{name}"]
                )
    for name, value in arrays.items():
        if value.dtype.kind == "f":
            kept = "float64" if name.startswith(("metric", "train/loss")) else floatx
            with np.errstate(over="ignore"):
                arrays[name] = value.astype(kept)
    fault.edit(arrays)
    return arrays


def _loss(head: Head, fault: Fault, predictions: Array) -> tuple[Array, Array]:
    """The unreduced loss and its gradient by predictions."""
    p = fault.into_loss(predictions)
    target = _targets(head, fault)
    logits = head.from_logits if fault.logits is None else fault.logits
    with np.errstate(all="ignore"):
        values, gradient = _values(head.loss, target, p, logits)
    return values, fault.into_loss_pullback(gradient)


def _targets(head: Head, fault: Fault) -> Array:
    if head.loss != "sparse":
        return fault.targets(head.y.astype(np.float64))
    labels = fault.labels(head.y)
    inside = (labels >= 0) & (labels < head.n_classes)
    encoded = np.eye(head.n_classes)[np.where(inside, labels, 0)]
    return fault.targets(np.where(inside[..., None], encoded, 0.0))


def _values(loss: str, t: Array, p: Array, logits: bool) -> tuple[Array, Array]:
    if loss in ("sparse", "categorical"):
        if logits:
            q = softmax(p)
            shifted = p - p.max(axis=-1, keepdims=True)
            log_q = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
            return -(t * log_q).sum(axis=-1), t.sum(axis=-1, keepdims=True) * q - t
        total = p.sum(axis=-1, keepdims=True)
        q = p / total
        inside = (q > 1e-7) & (q < 1 - 1e-7)
        clipped = np.clip(q, 1e-7, 1 - 1e-7)
        by_q = np.where(inside, -t / clipped, 0.0)
        return -(t * np.log(clipped)).sum(axis=-1), (by_q - (by_q * q).sum(axis=-1, keepdims=True)) / total
    n = p.shape[-1]
    if loss == "binary":
        if logits:
            return (np.logaddexp(0, p) - t * p).mean(axis=-1), (sigmoid(p) - t) / n
        clipped = np.clip(p, 1e-7, 1 - 1e-7)
        gradient = (clipped - t) / (clipped * (1 - clipped)) / n
        return -(t * np.log(clipped) + (1 - t) * np.log1p(-clipped)).mean(axis=-1), np.where(p == clipped, gradient, 0.0)
    d = p - t
    if loss == "mse":
        return (d**2).mean(axis=-1), 2 * d / n
    if loss == "mae":
        return np.abs(d).mean(axis=-1), np.sign(d) / n
    if loss == "huber":
        inner = np.abs(d) <= 1.0
        return np.where(inner, 0.5 * d**2, np.abs(d) - 0.5).mean(axis=-1), np.where(inner, d, np.sign(d)) / n
    sign = 2.0 * t - 1.0 if set(np.unique(t)) <= {0.0, 1.0} else t
    margin = 1.0 - sign * p
    return np.maximum(margin, 0.0).mean(axis=-1), np.where(margin > 0, -sign, 0.0) / n
