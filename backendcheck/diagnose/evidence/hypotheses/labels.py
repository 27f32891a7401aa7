"""Hypotheses about labels: truncated, wrapped, shifted, reversed, in another order, counted although they are ignored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from backendcheck.diagnose.evidence.hypotheses.hypothesis import Hypothesis
from backendcheck.reference.of_recording import DeclaredLoss

_INTEGER_WIDTHS = ("int8", "uint8", "int16", "uint16", "int32")
_SPARSE = "sparse_categorical_crossentropy"
_MOST_REORDERINGS = 64  # for so many examples, orders of the labels are tried


def other_labels(declared: DeclaredLoss) -> Iterator[Hypothesis]:
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
                "example-order", "every example had the label of its neighbor", remedy, np.roll(y, step, axis=0)
            )


def ignored_labels_counted(declared: DeclaredLoss) -> Iterator[Hypothesis]:
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
            remedy="Give unlabeled examples a sample weight of 0; that holds on every backend.",
            declared=replace(declared, spec=spec, y_true=np.where(labels == ignored, counted, labels)),
            evidence={
                "counted as": counted,
                "examples": np.flatnonzero((labels == ignored).reshape(len(labels), -1).any(axis=1))[:16].tolist(),
            },
        )
