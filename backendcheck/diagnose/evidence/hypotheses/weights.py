"""Hypotheses about masks, sample weights and the reduction of the loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from backendcheck.diagnose.evidence.counts import counts, factors
from backendcheck.diagnose.evidence.hypotheses.hypothesis import Hypothesis
from backendcheck.reference.of_recording import DeclaredLoss


def other_mask(declared: DeclaredLoss) -> Iterator[Hypothesis]:
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
        # Masked entries add 0 to the sum but are counted.
        spec = replace(declared.spec, reduction="sum_over_batch_size")
        as_weight = inverted.astype(np.float64)
        as_weight = (1.0 - as_weight) * (1.0 if declared.sample_weight is None else declared.sample_weight)
        yield Hypothesis(
            code="reduction", words="masked entries were summed as 0 but counted in the mean", remedy=remedy, evidence=evidence,
            declared=replace(declared, mask=None, sample_weight=as_weight, spec=spec),
        )  # fmt: skip


def other_weights(declared: DeclaredLoss) -> Iterator[Hypothesis]:
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
        yield from hypothesis(code, "every example had the weight of its neighbor", np.roll(weight, step, axis=0))
    if declared.spec.reduction in ("sum_over_batch_size", "mean") and weight.ndim <= 2 and weight.size == len(weight):  # noqa: PLR2004
        plain = replace(declared, sample_weight=None)
        yield Hypothesis(
            code=code, words="weights (N, 1) had been broadcast against losses (N,)", remedy=remedy, declared=declared,
            scalar=lambda: plain.loss() * float(weight.mean()),
        )  # fmt: skip


def other_reduction(declared: DeclaredLoss) -> Iterator[Hypothesis]:
    """The declared loss times or divided by a count."""
    remedy = "Set reduction= explicitly, and compare the numbers by which the backends divide."
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
