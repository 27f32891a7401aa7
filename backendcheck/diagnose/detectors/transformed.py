"""One array is a known function of the other: transposed, broadcast, truncated, wrapped, activated, smoothed.

`axis`, `broadcast`, `label-truncated`, `label-wrapped`, `logits-as-probabilities`, `label-smoothing`, `label-dtype`. For losses
with a reference, `hypotheses` tells more and comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, claim
from backendcheck.diagnose.evidence.difference import FAR, NEAR, Difference
from backendcheck.diagnose.evidence.float_formats import rounded
from backendcheck.diagnose.evidence.hypotheses import softmax
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.vocabulary.observations import Quantity

CODES = ("broadcast", "axis", "label-dtype", "label-truncated", "label-wrapped", "logits-as-probabilities", "label-smoothing")
_WIDTHS = ("int8", "uint8", "int16", "uint16", "int32", "uint32")
_COARSE = ("float32", "bfloat16", "float16")
_SUM_TO_ONE = 1e-3
_SATURATED = 1e-3  # a probability nearer to 0 or 1 does not determine its logit
_FEWEST_WHOLE = 3  # so many float values must be integers to count as truncated
_CLASSES_LAST = "Set axis= explicitly and put classes last."


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses the earliest observation that a transformation explains, once for each code and set of legs."""
    diagnoses: dict[tuple[str, tuple[str, ...]], Diagnosis] = {}
    for look in (_shapes, _integer_types, _axis, _whole_numbers, _activation, _smoothing):
        for difference in situation.differences:
            if object in (difference.left.dtype, difference.right.dtype):
                continue
            for diagnosis in look(difference):
                diagnoses.setdefault((diagnosis.code, diagnosis.backends), diagnosis)
    return list(diagnoses.values())


# --- shapes ----------------------------------------------------------------------------------------------------


def _shapes(difference: Difference) -> Iterator[Diagnosis]:
    """Different shapes: one side is transposed, or broadcast over the examples."""
    left, right = difference.left, difference.right
    if left.shape == right.shape or not left.size or not right.size:
        return
    for matrix, vector in ((left, right), (right, left)):
        n = vector.shape[0] if vector.ndim else 0
        if n > 1 and vector.size == n and matrix.shape == (n, n):
            text = f"{difference.subject} has the shape {left.shape}, not {right.shape}: (N,) was broadcast against (N, 1)"
            yield claim(difference, "broadcast", text, "Give both sides the same rank.", shape=list(matrix.shape))
            return
    if left.ndim == right.ndim > 1 and left.shape == right.shape[::-1] and difference.excess(left.T, right) <= NEAR:
        yield claim(difference, "axis", f"{difference.subject} is transposed", _CLASSES_LAST, shape=list(left.shape))


def _integer_types(difference: Difference) -> Iterator[Diagnosis]:
    """Equal integers in different types."""
    if (
        difference.kinds != {"dtype"}
        or difference.left.shape != difference.right.shape
        or difference.left.dtype.kind + difference.right.dtype.kind not in _WHOLE
    ):
        return
    if np.array_equal(difference.left, difference.right):
        text = (
            f"{difference.observation} is {difference.left.dtype} on {difference.side}, {difference.right.dtype} "
            f"on {difference.reference_side}; the values are equal"
        )
        remedy = "Values beyond the narrower type would wrap around there; cast labels explicitly."
        yield replace(claim(difference, "label-dtype", text, remedy), headline="")


_WHOLE = frozenset(a + b for a in "iub" for b in "iub") | {"if", "fi", "uf", "fu", "bf", "fb"}


def _axis(difference: Difference) -> Iterator[Diagnosis]:
    """Equal shapes: one side is transposed, or normalized over another axis."""
    left, right = difference.left, difference.right
    if left.shape != right.shape or left.ndim < 2:  # noqa: PLR2004
        return
    if left.ndim == 2 and left.shape[0] == left.shape[1] and difference.explained(right=right.T):  # noqa: PLR2004
        yield claim(difference, "axis", f"{difference.subject} is transposed", _CLASSES_LAST, excess=difference.excess())
        return
    if difference.quantity not in (Quantity.PREDICTIONS, Quantity.VALUE) or left.dtype.kind != "f" or difference.excess() < FAR:
        return
    with np.errstate(all="ignore"):
        for side in difference.orientations:
            if (axis := _other_softmax_axis(side.left, side.right)) is not None:
                text = f"{side.subject} sums to 1 over axis {axis} instead of the last"
                yield claim(side, "axis", text, _CLASSES_LAST, axis=axis)
                return


def _other_softmax_axis(left: np.ndarray, right: np.ndarray) -> int | None:
    """The axis over which `left` is normalized, if `right` is normalized over the last axis from the same scores."""
    if not (_sums_to_one(right, -1) and (left >= 0).all()) or _sums_to_one(left, -1):
        return None
    # exp(scores) equals left times its sums over the axis.
    return next((axis for axis in range(left.ndim - 1) if _sums_to_one(left, axis) and _same_scores(left, right, axis)), None)


def _sums_to_one(array: np.ndarray, axis: int) -> bool:
    off = _SUM_TO_ONE if array.dtype.itemsize > 2 else 2e-2  # noqa: PLR2004 - a float16
    return bool(np.allclose(array.astype(np.float64).sum(axis=axis), 1.0, atol=off))


def _same_scores(left: np.ndarray, right: np.ndarray, axis: int) -> bool:
    """Whether ``log left - log right`` is a term per axis, as for softmaxes of the same scores over different axes."""
    ratio = np.log(left.astype(np.float64)) - np.log(right.astype(np.float64))
    if not np.isfinite(ratio).all():
        return False
    residual = ratio - ratio.mean(axis=axis, keepdims=True)
    residual = residual - residual.mean(axis=-1, keepdims=True)
    off = 1e-3 if left.dtype.itemsize > 2 else 2e-2  # noqa: PLR2004 - a float16
    return bool(np.abs(residual).max() <= off * (1.0 + np.abs(ratio).max()))


# --- whole numbers ---------------------------------------------------------------------------------------------


def _whole_numbers(difference: Difference) -> Iterator[Diagnosis]:
    """Values that were truncated, or that wrapped around in a narrower type."""
    if difference.quantity is not Quantity.VALUE or difference.left.shape != difference.right.shape or not difference.left.size:
        return
    if any(True for _ in _smoothing(difference)):
        return
    left, right = difference.left.astype(np.float64), difference.right.astype(np.float64)
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return
    for side, values, original in ((difference.side, left, right), (difference.reference_side, right, left)):
        if difference.reference_side == "reference" and side == "reference":
            continue
        if (words := _cut(values, original, difference.left if side == difference.side else difference.right)) is not None:
            text = f"{difference.subject} has its fractions {words}"
            if side != difference.side:
                text = f"{difference.subject} keeps fractions that {side} has {words}"
            yield claim(
                difference, "label-truncated", text, "Give whole numbers, or a type that holds fractions on every backend."
            )
            return
        words = _narrowing(
            *((difference.left, difference.right) if side == difference.side else (difference.right, difference.left))
        )
        if words:
            text = (
                f"{difference.subject} has {words}"
                if side == difference.side
                else f"{difference.subject} is whole; it has {words} on {side}"
            )
            first = tuple(np.argwhere(difference.left != difference.right)[0])
            text += f" ({difference.right[first]} is {difference.left[first]})"
            yield claim(
                difference, "label-wrapped", text, "Keep labels below 2**31 and cast them once, before they reach a backend."
            )
            return


def _cut(values: np.ndarray, original: np.ndarray, recorded: np.ndarray) -> str | None:
    """How the fractions of one side became the whole numbers of the other; None if they did not.

    A value may be an integer by chance, such as an accuracy of 1. So the type must be an integer type, or there must be several
    different integers.
    """
    if not (original != np.trunc(original)).any() or not (values == np.trunc(values)).all():
        return None
    if recorded.dtype.kind not in "iub" and (values.size < _FEWEST_WHOLE or not np.ptp(values)):
        return None
    for words, change in (("cut off", np.trunc), ("rounded", np.rint), ("rounded down", np.floor), ("rounded up", np.ceil)):
        if np.array_equal(change(original), values):
            return words
    return None


def _narrowing(values: np.ndarray, original: np.ndarray) -> str:
    """How a narrower type turns `original` into `values`, in words: all types that do, by the first mechanism that fits."""
    numbers = original.astype(np.float64)
    if not (numbers == np.trunc(numbers)).all() or not (np.abs(numbers) > 127).any() or (np.abs(numbers) >= 2**62).any():  # noqa: PLR2004 - int8
        return ""
    whole = original.astype(np.int64)
    if np.array_equal(values, whole):
        return ""
    if original.dtype.kind in "iu":
        limits = np.iinfo(original.dtype)
        if np.isin(original[original != values], (limits.min, limits.max)).all():
            return ""  # the end of a type is what a backend makes of NaN, infinity and undefined integers, not a label
    fitting: dict[str, list[str]] = {}
    for mechanism, narrower, changed in _narrowed(whole):
        if np.array_equal(changed, values):
            fitting.setdefault(mechanism, []).append(narrower)
    return next((f"{mechanism} {' or '.join(types)}" for mechanism, types in fitting.items()), "")


def _narrowed(whole: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """Integers as they come back from narrower types: the mechanism in words, the type, the integers."""
    for width in _WIDTHS:
        yield "wrapped around in", width, whole.astype(width).astype(np.int64)
    for dtype in _COARSE:
        yield "lost bits in", dtype, rounded(whole, dtype)
    for width in _WIDTHS:
        yield "stopped at the end of", width, np.clip(whole, np.iinfo(width).min, np.iinfo(width).max)


# --- predictions and encodings ---------------------------------------------------------------------------------


def _activation(difference: Difference) -> Iterator[Diagnosis]:
    if difference.quantity not in (Quantity.PREDICTIONS, Quantity.VALUE) or not difference.is_float or not difference.left.size:
        return
    with np.errstate(all="ignore"):
        for name, change in (("softmax", softmax), ("sigmoid", lambda z: 1.0 / (1.0 + np.exp(-z.astype(np.float64))))):
            if name == "softmax" and (difference.left.ndim < 2 or difference.left.shape[-1] < 2):  # noqa: PLR2004
                continue
            remedy = "Apply the activation once: in the last layer, or in the loss with from_logits=True."
            if _telling(changed := change(difference.right), difference) and difference.explained(right=changed):
                yield claim(
                    difference, "logits-as-probabilities", f"{difference.subject} has gone through {name} once more", remedy
                )
            elif _telling(changed := change(difference.left), difference) and difference.explained(left=changed):
                yield claim(
                    difference, "logits-as-probabilities", f"{difference.subject} has gone through {name} once less", remedy
                )


def _telling(activated: np.ndarray, difference: Difference) -> bool:
    """Whether probabilities determine their logits: values of 0, 1 and equal shares have many causes."""
    inside = activated[(activated > _SATURATED) & (activated < 1.0 - _SATURATED)]
    shares = 1.0 / activated.shape[-1] if activated.ndim > 1 else 0.5
    tolerance = difference.allowance.tolerance
    apart = min(_SATURATED, FAR * (tolerance.atol + tolerance.rtol * shares))
    return bool((np.abs(inside - shares) > apart).any())


def _smoothing(difference: Difference) -> Iterator[Diagnosis]:
    """One-hot or multi-hot values that are smoothed on one side."""
    left, right = difference.left, difference.right
    if difference.quantity is not Quantity.VALUE or not difference.is_numeric or left.ndim < 2 or left.shape[-1] < 2:  # noqa: PLR2004
        return
    for words, smooth, hard in (("is smoothed", left, right), ("is not smoothed, elsewhere it is", right, left)):
        if (amount := _smoothed_by(smooth, hard)) is not None:
            text = f"{difference.subject} {words} by {amount:.4g}"
            yield claim(difference, "label-smoothing", text, "Smooth once: in the labels or by the loss.", smoothing=amount)
            return


def _smoothed_by(smooth: np.ndarray, hard: np.ndarray) -> float | None:
    """The smoothing that turns the 0 and 1 of `hard` into `smooth`; None if nothing fits."""
    if not np.isin(hard, (0, 1)).all() or not (hard == 1).any() or not (hard == 0).any() or not np.isfinite(smooth).all():
        return None
    low, high = (smooth[hard == side].astype(np.float64) for side in (0, 1))
    step = 1e-5 if smooth.dtype.itemsize > 2 else 1e-2  # noqa: PLR2004 - rounding of float32, of halves
    if np.ptp(low) < step and np.ptp(high) < step < low[0] < high[0] < 1.0 - step:
        return float(1.0 - (high[0] - low[0]))
    return None
