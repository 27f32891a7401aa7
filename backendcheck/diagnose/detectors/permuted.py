"""`class-order`, `off-by-one`, `example-order`: the same values in other places.

It compares columns and rows of predictions, values, losses and gradients, and lists of names; `implied_classes` compares single
classes. A diagnosis needs a margin: as recorded the values are far apart, reordered they agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, sentence
from backendcheck.diagnose.evidence.difference import FAR, NEAR, Difference, is_margin
from backendcheck.diagnose.evidence.order_words import classes_exchanged, direction, of_examples, off_by_one
from backendcheck.diagnose.evidence.permutation import cycles, in_arrows, match_columns, naming
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Quantity, of_output

CODES = ("class-order", "off-by-one", "example-order")
_COLUMNS = (Quantity.PREDICTIONS, Quantity.VALUE, Quantity.GRADIENT)
_ROWS = (Quantity.PREDICTIONS, Quantity.PER_EXAMPLE_LOSS, Quantity.VALUE)
_STORE_THE_ORDER = "Store the order of the names with the model, and read it from there."
_LONGEST_LIST = 12  # examples listed in the evidence
_MOST_COMPARED = 512  # columns of a gradient that are compared with one another


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses the earliest observation that it explains, once for each code and set of legs."""
    diagnoses: dict[tuple[str, tuple[str, ...]], Diagnosis] = {}
    # The order oracle permutes data itself; its findings show a dependence on order, but no permutation.
    situation = situation.without(Oracle.ORDER)
    for look in (_names, _classes_by_column, _examples):
        for diagnosis in look(situation):
            diagnoses.setdefault((diagnosis.code, diagnosis.backends), diagnosis)
    return list(diagnoses.values())


# --- classes ---------------------------------------------------------------------------------------------------


def _names(situation: Situation) -> Iterator[Diagnosis]:
    """Lists of the same names in another order, such as a vocabulary or the classes of a directory."""
    for difference in situation.differences:
        if (
            difference.quantity is not Quantity.VALUE
            or difference.left.dtype != object
            or difference.left.shape != difference.right.shape
            or difference.left.ndim != 1
        ):
            continue
        left, right = difference.left.tolist(), difference.right.tolist()
        if left == right or difference.name.is_order or len({*left}) < len(left) or sorted(left) != sorted(right):
            continue
        place = {name: index for index, name in enumerate(right)}
        permutation = np.array([place[name] for name in left])
        moved_cycles = cycles(permutation)
        moved = [(right[index], left[index]) for index in np.flatnonzero(permutation != np.arange(len(left)))]
        text = f"{difference.observation} holds the same names in another order on {difference.side}"
        yield Diagnosis(
            code="class-order",
            backends=difference.suspects,
            message=(
                f"{sentence(text)}, against {difference.reference_side}: what is {moved[0][0]!r} there is {moved[0][1]!r} here. "
                f"{_STORE_THE_ORDER}"
            ),
            remedy=_STORE_THE_ORDER,
            evidence={
                "observation": difference.observation,
                "permutation": in_arrows(moved_cycles, naming(right, "", len(right))),
            },
        )


def _classes_by_column(situation: Situation) -> Iterator[Diagnosis]:
    """Columns of predictions, values and gradients."""
    for difference in situation.differing(*_COLUMNS):
        if (
            not difference.left.ndim
            or difference.left.shape[-1] < 2  # noqa: PLR2004
            or (difference.left.ndim == 1 and difference.quantity is Quantity.VALUE)
        ):
            continue
        if difference.left.dtype.kind not in "fiub" or (
            difference.quantity is Quantity.GRADIENT and not _is_gradient_of_its_own(difference, situation)
        ):
            continue
        if difference.left.dtype.kind in "iu" and not (
            np.isin(difference.left, (0, 1)).all() and np.isin(difference.right, (0, 1)).all()
        ):
            continue  # indices and ranks, whose columns are not classes
        if step := _shift_with_wrap(difference):
            yield off_by_one(difference, f"every class sits one column {direction(step)}, wrapping around", {"shift": step})
            continue
        permutation = match_columns(difference.left, difference.right, difference.allowance)
        if permutation is not None and difference.quantity is Quantity.GRADIENT and not _tells_apart(difference, permutation):
            continue
        if permutation is not None and difference.explained(right=difference.right[..., permutation]):
            yield _class_order(difference, permutation, difference.excess(right=difference.right[..., permutation]))
        elif (step := _shift_without_wrap(difference)) != 0:
            yield off_by_one(
                difference, f"every class sits one column {direction(step)}; what is pushed out is lost", {"shift": step}
            )


def _tells_apart(difference: Difference, permutation: np.ndarray) -> bool:
    """Whether the moved columns differ from one another by more than noise, so that no other order fits as well.

    The tolerance of a gradient is relative to its largest element, so whole columns may be within it.
    """
    moved = np.flatnonzero(permutation != np.arange(len(permutation)))
    if not 2 <= len(moved) <= _MOST_COMPARED:  # noqa: PLR2004 - nothing moves alone
        return False
    columns = difference.right.reshape(-1, len(permutation))[:, moved].astype(np.float64)
    within = difference.allowance.tolerance.atol + difference.allowance.tolerance.rtol * float(
        np.abs(difference.right).max(initial=0.0)
    )
    distance = np.array([np.abs(columns - column[:, None]).max(axis=0, initial=0.0) for column in columns.T])
    return bool((distance[~np.eye(len(moved), dtype=bool)] > NEAR * within).all())


def _is_gradient_of_its_own(difference: Difference, situation: Situation) -> bool:
    """Whether a gradient can show an order: not a bias, not a change of sign, not a consequence of differing losses."""
    if difference.left.ndim < 2 or difference.explained(right=-difference.right.astype(np.float64)):  # noqa: PLR2004
        return False
    if difference.name.of_predictions:
        return True
    names = {d.observation for d in situation.differing(Quantity.PREDICTIONS, Quantity.PER_EXAMPLE_LOSS, Quantity.LOSS)}
    return not any(situation.differs(name, *difference.suspects) for name in names)


def _shift_with_wrap(difference: Difference) -> int:
    """1 or -1 if every column equals its neighbor on the reference side, with wrap-around; 0 otherwise."""
    if difference.left.shape[-1] < 3 or difference.excess() < FAR:  # noqa: PLR2004 - a shift of two columns is an exchange
        return 0
    return next((step for step in (1, -1) if difference.explained(right=np.roll(difference.right, step, axis=-1))), 0)


def _shift_without_wrap(difference: Difference) -> int:
    """1 or -1 if all columns except the one at the edge equal their neighbor on the reference side; 0 otherwise."""
    if difference.left.shape[-1] < 3 or difference.left.dtype == bool:  # noqa: PLR2004
        return 0
    for step in (1, -1):
        inner = slice(1, None) if step == 1 else slice(None, -1)
        outer = slice(None, -1) if step == 1 else slice(1, None)
        left, right = difference.left[..., inner], difference.right[..., outer]
        varies = np.ptp(right.reshape(-1, right.shape[-1]).astype(np.float64), axis=-1).any() if right.size else False
        if varies and is_margin(difference.excess(left, difference.right[..., inner]), difference.excess(left, right)):
            return step
    return 0


def _class_order(difference: Difference, permutation: np.ndarray, residual: float) -> Diagnosis:
    n_classes = len(permutation)
    name = naming(difference.recording.class_names, difference.output, n_classes)
    moved_cycles = cycles(permutation)
    evidence: dict[str, Any] = {
        "observation": difference.observation,
        "permutation": in_arrows(moved_cycles, name),
        "columns": moved_cycles if n_classes <= 64 else f"{sum(map(len, moved_cycles))} of {n_classes} moved",  # noqa: PLR2004
        "excess as recorded": difference.excess(),
        "excess reordered": residual,
    }
    return classes_exchanged(difference, moved_cycles, name, evidence, f"{difference.observation}: the columns are")


# --- examples --------------------------------------------------------------------------------------------------


def _examples(situation: Situation) -> Iterator[Diagnosis]:
    """Rows of predictions, per-example losses, values and gradients by predictions."""
    rows = [*situation.differing(*_ROWS), *situation.differing(Quantity.GRADIENT)]
    for difference in rows:
        if difference.quantity is Quantity.GRADIENT and not difference.name.of_predictions:
            continue
        if difference.is_float and difference.explained(right=-difference.right.astype(np.float64)):
            continue  # a change of sign
        if difference.left.ndim < 1 or len(difference.left) < 2 or difference.left.dtype.kind not in "fiu":  # noqa: PLR2004
            continue
        as_columns = [array.reshape(len(array), -1).T for array in (difference.left, difference.right)]
        permutation = match_columns(as_columns[0], as_columns[1], difference.allowance)
        if permutation is None or _are_weights_permuted(difference, permutation):
            continue
        if difference.explained(right=difference.right[permutation]):
            yield _example_order(
                difference, permutation, difference.excess(right=difference.right[permutation]), difference.observation
            )


def _are_weights_permuted(difference: Difference, permutation: np.ndarray) -> bool:
    """Whether the losses are as well those of the same examples with the weights of others: near-uniform losses, weighed."""
    weight = difference.recording.labels.get(of_output("sample_weight", difference.output))
    if difference.quantity is not Quantity.PER_EXAMPLE_LOSS or weight is None or weight.size != difference.right.size:
        return False
    weight = weight.reshape(difference.right.shape).astype(np.float64)
    if not (weight != 0).all():
        return False
    return difference.explained(right=difference.right / weight * weight[permutation])


def _example_order(difference: Difference, permutation: np.ndarray, residual: float, subject: str) -> Diagnosis:
    moved = np.flatnonzero(permutation != np.arange(len(permutation)))
    if np.array_equal(permutation, np.arange(len(permutation))[::-1]):
        text = f"the examples of {subject} are in reverse order on {difference.side}"
    elif len(moved) == 2:  # noqa: PLR2004
        text = f"examples {moved[0]} and {moved[1]} of {subject} are exchanged on {difference.side}"
    else:
        text = f"{len(moved)} of {len(permutation)} examples of {subject} are in another order on {difference.side}"
    evidence = {
        "observation": difference.observation,
        "examples": moved[:_LONGEST_LIST].tolist(),
        "came from": permutation[moved[:_LONGEST_LIST]].tolist(),
        "excess as recorded": difference.excess(),
        "excess reordered": residual,
    }
    return of_examples(difference, text, evidence)
