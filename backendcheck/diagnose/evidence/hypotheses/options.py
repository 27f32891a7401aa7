"""Hypotheses about options of the loss: activation and from_logits, label smoothing, class axis, broadcasting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from backendcheck import reference
from backendcheck.diagnose.evidence.hypotheses.hypothesis import Hypothesis
from backendcheck.reference.of_recording import DeclaredLoss

_SPARSE = "sparse_categorical_crossentropy"


def other_activation(declared: DeclaredLoss) -> Iterator[Hypothesis]:
    options = declared.spec.options
    remedy = "Let activation and from_logits belong together: softmax with from_logits=False, or logits with from_logits=True."
    if "from_logits" in options or "crossentropy" in declared.spec.name:
        from_logits = bool(options.get("from_logits", False))
        spec = replace(declared.spec, options={**options, "from_logits": not from_logits})
        yield Hypothesis(
            code="logits-as-probabilities",
            words=f"from_logits were {not from_logits}",
            remedy=remedy,
            declared=replace(declared, spec=spec),
        )
        if from_logits:
            yield from _as_probabilities(declared, remedy)
        else:
            p = declared.y_pred.astype(np.float64)
            with np.errstate(all="ignore"):
                behind = {"a sigmoid": np.log(p) - np.log1p(-p), "a softmax": np.log(p)}
            for activation, logits in behind.items():
                if not np.isfinite(logits).all():
                    continue  # a probability of 0 or 1 has no finite logit
                words = f"the loss took the logits behind {activation}, not the predictions"
                of_logits = replace(declared, spec=spec, y_pred=logits)
                yield Hypothesis(code="logits-as-probabilities", words=words, remedy=remedy, declared=of_logits)
    z = declared.y_pred.astype(np.float64)
    with np.errstate(all="ignore"):
        changes = [("sigmoid", 1.0 / (1.0 + np.exp(-z)))]
        if z.ndim > 1 and z.shape[-1] > 1:
            changes.insert(0, ("softmax", softmax(z)))
    for name, changed in changes:
        words = f"{name} had been applied to the predictions once more"
        yield Hypothesis(code="logits-as-probabilities", words=words, remedy=remedy, declared=replace(declared, y_pred=changed))


def _as_probabilities(declared: DeclaredLoss, remedy: str) -> Iterator[Hypothesis]:
    """Logits that were clipped like probabilities, perhaps scaled to sum 1 first: a loss that ignores from_logits.

    The reference accepts only probabilities, so the cross-entropy is written out here.
    """
    z, y = declared.y_pred.astype(np.float64), np.asarray(declared.y_true)
    plain = declared.sample_weight is None and declared.mask is None and declared.spec.options.get("axis", -1) == -1
    if z.ndim != 2 or not plain or "categorical_crossentropy" not in declared.spec.name:  # noqa: PLR2004
        return
    if declared.spec.name == _SPARSE:
        labels = y.reshape(-1)
        if labels.size != len(z) or not np.isin(labels, np.arange(z.shape[1])).all():
            return
        y = np.eye(z.shape[1])[labels.astype(np.int64)]
    if y.shape != z.shape or declared.spec.options.get("label_smoothing"):
        return
    epsilon = float(declared.spec.options.get("epsilon", reference.DEFAULT_EPSILON))
    with np.errstate(all="ignore"):
        cut = np.clip(z, epsilon, 1.0 - epsilon)
        for words, p in (
            ("clipped", z), ("scaled to sum 1 and clipped", z / z.sum(axis=-1, keepdims=True)),
            ("clipped and scaled to sum 1", cut / cut.sum(axis=-1, keepdims=True)),
        ):  # fmt: skip
            each = -(y * np.log(np.clip(p, epsilon, 1.0 - epsilon))).sum(axis=-1)
            yield Hypothesis(
                code="logits-as-probabilities", words=f"logits were taken for probabilities, {words}", remedy=remedy,
                declared=declared, each=each,
            )  # fmt: skip


def softmax(z: np.ndarray, axis: int = -1) -> np.ndarray:
    """The softmax of z along an axis, in float64."""
    z = z.astype(np.float64)
    shifted = np.exp(z - np.max(z, axis=axis, keepdims=True))
    result: np.ndarray = shifted / shifted.sum(axis=axis, keepdims=True)
    return result


def other_axis(declared: DeclaredLoss) -> Iterator[Hypothesis]:
    shape = declared.y_pred.shape
    remedy = "Set axis= explicitly and put classes last."
    if declared.spec.options.get("axis") is not None or "categorical" in declared.spec.name:
        declared_axis = int(declared.spec.options.get("axis", -1) or -1) % len(shape)
        for axis in range(len(shape)):
            if axis != declared_axis:
                spec = replace(declared.spec, options={**declared.spec.options, "axis": axis})
                yield Hypothesis(
                    code="axis",
                    words=f"the class axis were {axis} instead of {declared_axis}",
                    remedy=remedy,
                    declared=replace(declared, spec=spec),
                )
    if len(shape) == 2 and shape[0] == shape[1] and shape[0] > 1:  # noqa: PLR2004
        transposed = replace(declared, y_pred=declared.y_pred.T)
        yield Hypothesis(code="axis", words="the predictions were transposed", remedy=remedy, declared=transposed)
        if declared.y_true.shape == shape:
            transposed = replace(declared, y_true=declared.y_true.T)
            yield Hypothesis(code="axis", words="the labels were transposed", remedy=remedy, declared=transposed)


def broadcast(declared: DeclaredLoss) -> Iterator[Hypothesis]:
    """Labels (N,) and predictions (N, 1) broadcast to (N, N): every label with every prediction."""
    n = len(declared.y_pred)
    if declared.y_pred.size != n or declared.y_true.size != n or n < 2:  # noqa: PLR2004
        return
    labels = np.tile(declared.y_true.reshape(1, n), (n, 1))
    predictions = np.tile(declared.y_pred.reshape(n, 1), (1, n))
    spread = replace(declared, y_true=labels, y_pred=predictions, mask=None)
    yield Hypothesis(
        code="broadcast", words=f"labels ({n},) had been broadcast against predictions ({n}, 1) to ({n}, {n})", declared=spread,
        remedy="Give labels the shape of the predictions: y[:, None].",
    )  # fmt: skip


def smoothing_by_another_axis(declared: DeclaredLoss) -> Iterator[Hypothesis]:
    """Label smoothing that is shared among as many classes as the last axis has, where the classes are in another one."""
    options, y, shape = declared.spec.options, np.asarray(declared.y_true), declared.y_pred.shape
    amount, axis = float(options.get("label_smoothing") or 0.0), int(options.get("axis", -1) or -1) % max(len(shape), 1)
    if not amount or y.shape != shape or axis == len(shape) - 1 or shape[axis] == shape[-1]:
        return
    spec = replace(declared.spec, options={**options, "label_smoothing": 0.0})
    smoothed = y.astype(np.float64) * (1.0 - amount) + amount / shape[-1]
    yield Hypothesis(
        code="label-smoothing",
        words=f"labels were smoothed for {shape[-1]} classes, the size of the last axis, not for {shape[axis]}",
        remedy="Put classes last, or smooth the labels yourself.", declared=replace(declared, spec=spec, y_true=smoothed),
    )  # fmt: skip


def smoothings(declared: DeclaredLoss, observed: Mapping[str, np.ndarray]) -> Iterator[Hypothesis]:
    """The `label_smoothing` that fits `observed` (arrays by quantity) best, if it is not the declared one.

    A cross-entropy is linear in it, so two evaluations determine it. A single number fits some smoothing by chance, so then only
    a round one, such as 0.1, counts.
    """
    options = declared.spec.options
    if "crossentropy" not in declared.spec.name or declared.spec.name == _SPARSE or "focal" in declared.spec.name:
        return
    declared_amount = float(options.get("label_smoothing") or 0.0)

    def smoothed(amount: float) -> Hypothesis:
        spec = replace(declared.spec, options={**options, "label_smoothing": amount})
        words = f"label_smoothing were {amount:.6g}" + (f" instead of {declared_amount:g}" if declared_amount else "")
        remedy = "Compare which of the two backends receives label_smoothing, and whether labels are smoothed twice."
        return Hypothesis(
            code="label-smoothing",
            words=words,
            remedy=remedy,
            declared=replace(declared, spec=spec),
            evidence={"smoothing": amount},
        )

    amounts: list[float] = []
    # The quantity that shows it best is not known, so each is asked: where losses are near-uniform, gradients show more.
    for quantity in ("per_example_loss", "loss", "gradient"):
        if quantity not in observed or (quantity == "loss" and amounts):
            continue
        ends = smoothed(0.0).value(quantity), smoothed(0.5).value(quantity)
        if ends[0] is None or ends[1] is None or ends[0].shape != observed[quantity].shape:
            continue
        slope, rise = (ends[1] - ends[0]).ravel() / 0.5, (observed[quantity].astype(np.float64) - ends[0]).ravel()
        known = np.isfinite(slope) & np.isfinite(rise)
        if not slope[known].any():
            continue
        amount = float(rise[known] @ slope[known] / (slope[known] @ slope[known]))
        rounded = round(amount, 3)
        if abs(amount - rounded) < 1e-4:  # noqa: PLR2004 - the accuracy of float32
            amount = rounded
        elif known.sum() < 3:  # noqa: PLR2004 - too few numbers to prove it
            continue
        is_sized = amount == 0.0 or 0.01 <= amount <= 0.5  # noqa: PLR2004 - more than noise, less than half
        if is_sized and amount != declared_amount and amount not in amounts:
            amounts.append(amount)
            yield smoothed(amount)
