"""What may have been done with labels, weights, masks and options instead of what was declared.

Each hypothesis is the declared loss with one thing changed, to be evaluated in float64 by the built-in reference. Where its
value is that of a backend, and the declared value is not, it is what that backend did. Most specific first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from backendcheck import reference
from backendcheck.diagnose.evidence.counts import counts, factors
from backendcheck.reference.of_recording import DeclaredLoss

_INTEGER_WIDTHS = ("int8", "uint8", "int16", "uint16", "int32")
_SPARSE = "sparse_categorical_crossentropy"
_MOST_REORDERINGS = 64  # examples whose labels are worth reversing and rolling


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hypothesis:
    """`declared`, changed: what is supposed in words that follow "as if".

    `factor` multiplies the reduced loss and its gradients. `scalar` is the reduced loss where no declared loss says it,
    `each` the loss of each example; `evidence` goes into the diagnosis.
    """

    code: str
    words: str
    remedy: str
    declared: DeclaredLoss
    factor: float = 1.0
    scalar: Callable[[], float] | None = None
    each: np.ndarray | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def value(self, quantity: str) -> np.ndarray | None:
        """What a backend records if it does this: its per_example_loss, loss or gradient; None where that cannot be said."""
        try:
            with np.errstate(all="ignore"):
                if self.each is not None:
                    return self._of_each(quantity, self.each)
                if quantity == "loss":
                    return np.asarray(self.scalar() if self.scalar else self.factor * self.declared.loss())
                if self.scalar is not None:
                    return None
                if quantity == "per_example_loss":
                    return self.declared.per_example()
                return np.asarray(self.factor * self.declared.gradient().value)
        except (reference.NoReference, ArithmeticError, IndexError, TypeError, ValueError):
            return None

    def _of_each(self, quantity: str, each: np.ndarray) -> np.ndarray | None:
        if quantity == "per_example_loss":
            return each
        reduced = {"sum": each.sum(), "sum_over_batch_size": each.mean(), "mean": each.mean()}
        return np.asarray(reduced[str(self.declared.spec.reduction)]) if quantity == "loss" else None


def hypotheses(declared: DeclaredLoss) -> Iterator[Hypothesis]:
    """Everything that is supposed of one declared loss."""
    yield from _other_labels(declared)
    yield from _missing_labels(declared)
    yield from _without_mask(declared)
    yield from _other_weights(declared)
    yield from _other_activation(declared)
    yield from _other_axis(declared)
    yield from _broadcast(declared)
    yield from _other_reduction(declared)


# --- labels ----------------------------------------------------------------------------------------------------


def _other_labels(declared: DeclaredLoss) -> Iterator[Hypothesis]:
    y = declared.y_true
    if y.dtype == object or not y.size:
        return

    def hypothesis(code: str, words: str, remedy: str, labels: np.ndarray) -> Iterator[Hypothesis]:
        if labels.shape == y.shape and not np.array_equal(labels, y, equal_nan=labels.dtype.kind == "f"):
            yield Hypothesis(code=code, words=words, remedy=remedy, declared=replace(declared, y_true=labels))

    number = y.astype(np.float64)
    finite = np.isfinite(number)
    if finite.all() and (number != np.trunc(number)).any():
        remedy = "Give whole numbers, or a loss that takes fractions."
        for words, change in (("cut off", np.trunc), ("rounded", np.rint), ("rounded down", np.floor), ("rounded up", np.ceil)):
            yield from hypothesis("label-truncated", f"fractional labels were {words}", remedy, change(number))
    if y.dtype.kind in "iu" or (finite.all() and (np.abs(number) > 127).any()):  # noqa: PLR2004 - int8
        for width in _INTEGER_WIDTHS:
            wrapped = np.where(finite, number, 0).astype(np.int64).astype(width).astype(np.int64)
            remedy = "Give labels in a type that holds them; int32 is safe everywhere."
            yield from hypothesis("label-wrapped", f"labels had wrapped around in {width}", remedy, wrapped)
        for bits in range(4, 32):
            if finite.all() and (number >= 2**bits).any():
                lowest = number.astype(np.int64) % 2**bits
                yield from hypothesis("label-wrapped", f"labels kept their lowest {bits} bits", remedy, lowest)
    remedy = "Compare how the two backends encode labels: do classes start at 0?"
    if declared.spec.name == _SPARSE and finite.all():
        n = declared.y_pred.shape[declared.spec.options.get("axis", -1)]
        labels = number.astype(np.int64)
        for step in (1, -1):
            shifted = (labels + step) % n
            words = f"every label were {'one higher' if step == 1 else 'one lower'}"
            if n > 2:  # noqa: PLR2004 - of two classes a shift is an exchange
                yield from hypothesis("off-by-one", words, remedy, shifted)
                yield from hypothesis("off-by-one", f"{words}, kept in range", remedy, np.clip(labels + step, 0, n - 1))
        yield from hypothesis("class-order", "the classes of the labels were reversed", remedy, n - 1 - labels)
    elif y.shape == declared.y_pred.shape and y.ndim > 1 and y.shape[-1] > 1:
        for step in (1, -1):
            code = "off-by-one" if y.shape[-1] > 2 else "class-order"  # noqa: PLR2004
            words = f"every label were {'one higher' if step == 1 else 'one lower'}"
            yield from hypothesis(code, words, remedy, np.roll(y, step, axis=-1))
        yield from hypothesis("class-order", "the classes of the labels were reversed", remedy, y[..., ::-1])
    if 1 < len(y) <= _MOST_REORDERINGS:
        remedy = "Look at what batches, shuffles or gathers on that backend: labels and predictions are to stay together."
        yield from hypothesis("example-order", "the labels were in reverse order", remedy, y[::-1])
        for step in (1, -1):
            yield from hypothesis(
                "example-order", "every example had the label of its neighbour", remedy, np.roll(y, step, axis=0)
            )


def smoothings(declared: DeclaredLoss, observed: Mapping[str, np.ndarray]) -> Iterator[Hypothesis]:
    """Another `label_smoothing` than the declared one: the one that `observed` (quantity to array) fits best.

    A cross-entropy is linear in it, so two evaluations give it. From a single figure any amount would follow; there only a round
    one, such as 0.1, is believed.
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

    for quantity in ("per_example_loss", "loss", "gradient"):
        if quantity not in observed:
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
        if abs(amount - rounded) < 1e-4:  # noqa: PLR2004 - what float32 leaves of a round figure
            amount = rounded
        elif known.sum() < 3:  # noqa: PLR2004 - two unknowns' worth of proof, and more than noise
            continue
        if (amount == 0.0 or 0.01 <= amount <= 0.5) and amount != declared_amount:  # noqa: PLR2004 - more than noise, less than half
            yield smoothed(amount)
        return


def _missing_labels(declared: DeclaredLoss) -> Iterator[Hypothesis]:
    ignored = declared.spec.options.get("ignore_class")
    if ignored is None:
        return
    n = declared.y_pred.shape[declared.spec.options.get("axis", -1)]
    spec = replace(declared.spec, options={**declared.spec.options, "ignore_class": None})
    labels = np.asarray(declared.y_true)
    if not (labels == ignored).any():
        return
    for counted in dict.fromkeys((int(ignored) if 0 <= ignored < n else 0, 0, n - 1)):
        yield Hypothesis(
            code="missing-label-counted",
            words=f"ignore_class={ignored} were not ignored but counted as class {counted}",
            remedy="Give unlabelled examples a sample weight of 0; that holds on every backend.",
            declared=replace(declared, spec=spec, y_true=np.where(labels == ignored, counted, labels)),
            evidence={
                "counted as": counted,
                "examples": np.flatnonzero((labels == ignored).reshape(len(labels), -1).any(axis=1))[:16].tolist(),
            },
        )


# --- masks and weights -----------------------------------------------------------------------------------------


def _without_mask(declared: DeclaredLoss) -> Iterator[Hypothesis]:
    if declared.mask is None or declared.mask.all():
        return
    n_masked = int(np.count_nonzero(~declared.mask.astype(bool)))
    remedy = "Hand the mask on as sample weights, or mask inside the loss."
    evidence = {"masked entries": n_masked}
    common: dict[str, Any] = {"code": "mask-ignored", "remedy": remedy, "evidence": evidence}
    yield Hypothesis(words="there were no mask", declared=replace(declared, mask=None), **common)
    inverted = ~declared.mask.astype(bool)
    yield Hypothesis(words="the mask were inverted", declared=replace(declared, mask=inverted), **common)
    if declared.spec.reduction in ("sum_over_batch_size", "mean", "mean_with_sample_weight"):
        # Masked entries give nothing but are counted.
        spec = replace(declared.spec, reduction="sum_over_batch_size")
        as_weight = inverted.astype(np.float64)
        as_weight = (1.0 - as_weight) * (1.0 if declared.sample_weight is None else declared.sample_weight)
        yield Hypothesis(
            code="reduction", words="masked entries were summed as 0 but counted in the mean", remedy=remedy, evidence=evidence,
            declared=replace(declared, mask=None, sample_weight=as_weight, spec=spec),
        )  # fmt: skip


def _other_weights(declared: DeclaredLoss) -> Iterator[Hypothesis]:
    weight = declared.sample_weight
    if weight is None:
        return
    weight = weight.astype(np.float64)
    remedy = "Check that the backend's path takes sample_weight; multiply the unreduced loss by hand to be sure."

    def hypothesis(code: str, words: str, changed: np.ndarray | None) -> Iterator[Hypothesis]:
        if changed is None or (np.isfinite(changed).all() and not np.allclose(changed, weight, rtol=1e-9)):
            yield Hypothesis(code=code, words=words, remedy=remedy, declared=replace(declared, sample_weight=changed))

    if not np.all(weight == 1.0):
        yield from hypothesis("sample-weight-ignored", "there were no sample weights", None)
    code = "sample-weight-misapplied"
    yield from hypothesis(code, "sample weights were applied twice", weight * weight)
    with np.errstate(all="ignore"):
        yield from hypothesis(code, "sample weights were divided by their mean", weight / weight.mean())
        yield from hypothesis(code, "sample weights were divided by their sum", weight / weight.sum())
        yield from hypothesis(code, "sample weights were divided by their largest", weight / weight.max())
    yield from hypothesis(code, "sample weights were 0 or 1", (weight > 0).astype(np.float64))
    yield from hypothesis(code, "sample weights were cut to whole numbers", np.trunc(weight))
    yield from hypothesis(code, "sample weights were in reverse order", weight[::-1])
    for step in (1, -1):
        yield from hypothesis(code, "every example had the weight of its neighbour", np.roll(weight, step, axis=0))
    if declared.spec.reduction in ("sum_over_batch_size", "mean") and weight.ndim <= 2 and weight.size == len(weight):  # noqa: PLR2004
        plain = replace(declared, sample_weight=None)
        yield Hypothesis(
            code=code, words="weights (N, 1) had been broadcast against losses (N,)", remedy=remedy, declared=declared,
            scalar=lambda: plain.loss() * float(weight.mean()),
        )  # fmt: skip


# --- what the loss makes of predictions ------------------------------------------------------------------------


def _other_activation(declared: DeclaredLoss) -> Iterator[Hypothesis]:
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
                    continue  # of a probability of 0 or 1 nobody knows the logit
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
    """Logits that were clipped, or scaled to sum 1 and clipped, as probabilities are: a loss that does not hear from_logits.

    The reference has no value for what is no probability, so the cross-entropy is written out here.
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
        for words, p in (("clipped", z), ("scaled to sum 1 and clipped", z / z.sum(axis=-1, keepdims=True))):
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


def _other_axis(declared: DeclaredLoss) -> Iterator[Hypothesis]:
    shape = declared.y_pred.shape
    remedy = "Say axis= explicitly and put classes last."
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


def _broadcast(declared: DeclaredLoss) -> Iterator[Hypothesis]:
    """Labels (N,) against predictions (N, 1), spread to (N, N): every label against every prediction."""
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


# --- reduction -------------------------------------------------------------------------------------------------


def _other_reduction(declared: DeclaredLoss) -> Iterator[Hypothesis]:
    """The declared loss times a factor that counts something."""
    remedy = "Say reduction= explicitly, and compare the number it divides by."
    groups: dict[float, list[str]] = {}
    ignored = _ignored(declared)
    for words, factor in factors(counts(declared.y_pred, len(declared.y_pred), declared.sample_weight, declared.mask, ignored)):
        groups.setdefault(round(factor, 12), []).append(words)
    for factor, names in groups.items():
        yield Hypothesis(
            code="reduction", words=f"the loss were {names[0]}", remedy=remedy, declared=declared, factor=factor,
            evidence={"factor": factor} | ({"or": "; ".join(names[1:])} if names[1:] else {}),
        )  # fmt: skip


def _ignored(declared: DeclaredLoss) -> np.ndarray | None:
    ignore_class = declared.spec.options.get("ignore_class")
    return None if ignore_class is None else np.asarray(declared.y_true) == ignore_class
