"""Other forms of a declared loss that must have the same value: the same labels, predictions and weights, written differently.

Arrays in, arrays out, in NumPy. Each form is applied only where the float64 reference proves that it has the value of the
declared loss. So a form that changes the documented value, by clipping for example, is not a form of that loss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backendcheck import reference
from backendcheck.case import Tolerance
from backendcheck.reference.catalog import DEFINITIONS
from backendcheck.reference.of_recording import DeclaredLoss

_MEANS = ("sum_over_batch_size", "mean")

SMALLEST = 1e-6  # a smaller probability is close to where Keras clips
_MOST_ENTRIES = 20_000
_SHARE = 0.1  # of the tolerance, which rounding may take before a form is not applied
_FLOAT32 = 6e-8
_LARGEST_WHOLE = 2**24  # float32 has gaps beyond


class NotApplicable(Exception):  # an answer, not a malfunction
    """The form does not apply to this loss. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Form:
    """A declared loss in another form.

    Attributes:
        loss: the loss with the arrays of the form.
        shape: that of its single losses, (R,) or (R, T).
        rows: for each row of the form the example that it is, (R,).
        times: how often the whole batch is in it.
        changed: whether Keras computes the form by other operations, or from a clipped probability.
    """

    loss: DeclaredLoss
    shape: tuple[int, ...]
    rows: np.ndarray
    times: float = 1.0
    changed: bool = False


def original(loss: DeclaredLoss) -> Form:
    """The declared loss itself, as the form from which all others are made.

    Raises:
        NotApplicable: if the loss has no reference, takes the batch together, or is too large.
    """
    if loss.y_pred.ndim == 0 or not 0 < loss.y_pred.size <= _MOST_ENTRIES:
        raise NotApplicable(f"{loss.y_pred.size:,} predictions, of at most {_MOST_ENTRIES:,}")
    if loss.saturated:
        raise NotApplicable("float32 probabilities this close to 0 or 1 do not determine their logits")
    arrays = [array for array in loss.arguments if array is not None]
    if any(array.dtype.kind not in "fiub" or not np.isfinite(array).all() for array in arrays):
        raise NotApplicable("labels, predictions or weights are not finite numbers")
    definition = DEFINITIONS.get(loss.spec.name)
    if definition is None:
        raise NotApplicable("the loss has no reference")
    shape = _shape(loss)
    axes = loss.spec.options.get("axis", -1)
    takes_batch = definition.axes == "batch" or 0 in np.ravel(np.asarray(-1 if axes is None else axes)).tolist()
    if takes_batch or not shape or shape[0] != len(loss.y_pred):
        raise NotApplicable("the loss takes the examples of a batch together")
    return Form(loss=loss, shape=shape, rows=np.arange(len(loss.y_pred)))


def _shape(loss: DeclaredLoss) -> tuple[int, ...]:
    """The shape of the single losses: one for each example, (N,), or for each of its steps, (N, T).

    Raises:
        NotApplicable: if it has no reference.
    """
    try:
        with np.errstate(all="ignore"):
            values = reference.unreduced(loss.spec, loss.y_true, loss.y_pred)
    except (reference.NoReference, ArithmeticError, IndexError, TypeError, ValueError) as error:
        raise NotApplicable("labels and predictions have no documented loss") from error
    if not np.isfinite(values).all():
        raise NotApplicable("the loss is not finite")
    return values.shape


def weights_of(form: Form) -> np.ndarray:
    """The sample weights in the shape of the losses; 1 without weights.

    Raises:
        NotApplicable: if the weights have another shape, which says less clearly what they weigh, or are too large for float32.
    """
    weights = form.loss.sample_weight
    if weights is None:
        return np.ones(form.shape, np.float32)
    if weights.shape not in (form.shape, (*form.shape, 1)):
        raise NotApplicable(f"sample weights of shape {weights.shape} for losses of shape {form.shape}")
    if weights.dtype.kind in "iu" and weights.size and int(np.abs(weights).max()) > _LARGEST_WHOLE:
        raise NotApplicable("whole-number weights that float32 does not hold")
    return weights.astype(np.float64 if weights.dtype == np.float64 else np.float32)


def largest(loss: DeclaredLoss) -> int:
    """The example with the largest loss among those that count: what is done to it shows most."""
    with np.errstate(all="ignore"):
        values = np.abs(reference.weighted(replace(loss.spec, reduction=None), *loss.arguments))
    return int(values.reshape(len(values), -1).sum(axis=1).argmax())


# --- examples and weights --------------------------------------------------------------------------------------


def with_rows(form: Form, rows: np.ndarray, weights: np.ndarray | None, times: float = 1.0) -> Form:
    """The form with these of its examples, in this order and with these weights."""
    loss = form.loss
    mask = None if loss.mask is None else loss.mask[rows]
    arrays = replace(loss, y_true=loss.y_true[rows], y_pred=loss.y_pred[rows], sample_weight=weights, mask=mask)
    return replace(form, loss=arrays, shape=(len(rows), *form.shape[1:]), rows=form.rows[rows], times=times)


def batch_twice(form: Form, example: int) -> Form:
    """Every example twice."""
    del example
    weights = form.loss.sample_weight
    return with_rows(form, np.tile(_all(form), 2), None if weights is None else np.concatenate([weights_of(form)] * 2), 2.0)


def weight_zero(form: Form, example: int) -> Form:
    """One example once more, with weight 0."""
    weights = weights_of(form)
    return with_rows(form, np.append(_all(form), example), np.concatenate([weights, 0 * weights[:1]]))


def weight_two(form: Form, example: int) -> Form:
    """One example twice, each with half of its weight."""
    weights = weights_of(form)
    weights[example] /= 2
    return with_rows(form, np.append(_all(form), example), np.concatenate([weights, weights[example : example + 1]]))


def stacked(form: Form, example: int) -> Form:
    """The batch twice; one example with twice its weight, and 0 for its second place; and more rows of weight 0.

    The rows add up to a power of 2, so that cases of different sizes share their shapes, and JAX compiles once for all.
    """
    weights, n = weights_of(form), len(form.rows)
    doubled = weights.copy()
    doubled[example] *= 2
    n_more = max(16, 1 << (2 * n).bit_length()) - 2 * n
    second = weights.copy()
    second[example] = 0
    rows = np.concatenate([_all(form), _all(form), np.full(n_more, example)])
    return with_rows(form, rows, np.concatenate([doubled, second, np.zeros((n_more, *weights.shape[1:]), weights.dtype)]), 2.0)


def _all(form: Form) -> np.ndarray:
    return np.arange(len(form.rows))


# --- steps -----------------------------------------------------------------------------------------------------


def masked_step(form: Form, example: int) -> Form:
    """The last step of each example once more, masked."""
    del example
    loss, shape = form.loss, form.shape
    if len(shape) != 2:  # noqa: PLR2004 - (N, T)
        raise NotApplicable("the loss has no steps")
    mask = np.ones(shape, np.bool_) if loss.mask is None else loss.mask.astype(np.bool_)
    if mask.shape != shape:
        raise NotApplicable(f"a mask of shape {mask.shape} for losses of shape {shape}")
    if loss.y_true.ndim < 2 or loss.y_true.shape[1] != shape[1] or loss.y_pred.shape[1] != shape[1]:  # noqa: PLR2004
        raise NotApplicable("labels or predictions have no axis of steps")
    weights = None if loss.sample_weight is None else weights_of(form)

    def with_last_again(array: np.ndarray) -> np.ndarray:
        return np.concatenate([array, array[:, -1:]], axis=1)

    mask = np.concatenate([mask, np.zeros_like(mask[:, :1])], axis=1)
    longer = replace(
        loss, y_true=with_last_again(loss.y_true), y_pred=with_last_again(loss.y_pred), mask=mask,
        sample_weight=None if weights is None else with_last_again(weights),
    )  # fmt: skip
    return replace(form, loss=longer, shape=mask.shape)


def changed(form: Form, **arrays: Any) -> Form:
    return replace(form, loss=replace(form.loss, **arrays), changed=True)


# --- proof -----------------------------------------------------------------------------------------------------


def factor(base: Form, form: Form) -> float:
    """What the reduced loss of a form is multiplied by, to become that of `base`."""
    reduction = form.loss.scalar.reduction
    if reduction == "sum":
        return 1.0 / form.times
    if reduction in _MEANS:
        return _counted(form) / _counted(base) / form.times
    return 1.0


def _counted(form: Form) -> float:
    """How many single losses a mean divides by: those that no mask leaves out."""
    loss, counted = form.loss, np.ones(form.shape, np.bool_)
    if loss.mask is not None:
        counted &= loss.mask.astype(np.bool_).reshape(loss.mask.shape + (1,) * (counted.ndim - loss.mask.ndim))
    if (ignored := loss.spec.options.get("ignore_class")) is not None:
        counted &= loss.y_true.reshape(counted.shape) != ignored
    return float(counted.sum())


def right_value(form: Form) -> float:
    """The reduced loss of a form in float64.

    Raises:
        NotApplicable: if no such value is documented.
    """
    try:
        with np.errstate(all="ignore"):
            return form.loss.loss()
    except (reference.NoReference, ArithmeticError, IndexError, TypeError, ValueError) as error:
        raise NotApplicable("the other form has no documented value") from error


def prove(base: Form, expected: float, form: Form, tolerance: Tolerance) -> None:
    """Check in float64 that a form, as it is rounded, has the value of `base`, `expected`, and that float32 can show it.

    Raises:
        NotApplicable: if it has another value, or no documented one.
    """
    value = right_value(form) * factor(base, form)
    allowed = _SHARE * (tolerance.atol + tolerance.rtol * abs(expected))
    if not abs(value - expected) <= allowed:
        raise NotApplicable("the reference gives the other form another value")
    if form.changed:
        single = np.abs(reference.weighted(replace(form.loss.spec, reduction="sum"), *form.loss.arguments))
        n_clipped = float((form.loss.y_pred <= SMALLEST).sum()) if not form.loss.spec.options.get("from_logits") else 0.0
        epsilon = float(form.loss.spec.options.get("epsilon", reference.DEFAULT_EPSILON))
        rounding = _FLOAT32 * float(np.sqrt(single.size) + single.sum()) + epsilon * n_clipped
        of_mean = 1.0 if form.loss.scalar.reduction == "sum" else 1.0 / max(1, single.size)
        if rounding * of_mean > tolerance.atol + tolerance.rtol * abs(expected):
            raise NotApplicable("rounding and the clipping of probabilities change more than the tolerance allows")
