"""`class-order`, `off-by-one`, `example-order`: the same values in other places.

Looked for in columns and rows of predictions, values, losses and gradients, and in lists of names; `relabelled` looks at single
classes. A claim needs a margin: as recorded the values are far apart, reordered they agree.
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
from backendcheck.vocabulary.observations import Kind

_COLUMNS = (Kind.PREDICTIONS, Kind.VALUE, Kind.GRADIENT)
_ROWS = (Kind.PREDICTIONS, Kind.PER_EXAMPLE_LOSS, Kind.VALUE)
_STORE_THE_ORDER = "Store the order of the names with the model instead of finding it anew."
_LONGEST_LIST = 12  # examples that evidence spells out
_MOST_COMPARED = 512  # columns of a gradient that are held against each other


def detect(situation: Situation) -> list[Diagnosis]:
    """Claims what explains the earliest observation it can, once for each code and set of legs."""
    found: dict[tuple[str, tuple[str, ...]], Diagnosis] = {}
    # What was permuted by the order oracle and put back shows that there is a dependence, not which one.
    situation = situation.without("order")
    for look in (_names, _classes_by_column, _examples):
        for one in look(situation):
            found.setdefault((one.code, one.backends), one)
    return list(found.values())


# --- classes ---------------------------------------------------------------------------------------------------


def _names(situation: Situation) -> Iterator[Diagnosis]:
    """Lists of the same names in another order: a vocabulary, the classes of a directory."""
    for one in situation.differences:
        if one.kind is not Kind.VALUE or one.left.dtype != object or one.left.shape != one.right.shape or one.left.ndim != 1:
            continue
        left, right = one.left.tolist(), one.right.tolist()
        if one.observation.endswith(" (order)") or len({*left}) < len(left) or sorted(left) != sorted(right):
            continue
        place = {name: index for index, name in enumerate(right)}
        permutation = np.array([place[name] for name in left])
        found = cycles(permutation)
        moved = [(right[index], left[index]) for index in np.flatnonzero(permutation != np.arange(len(left)))]
        text = f"{one.observation} holds the same names in another order on {one.side}"
        yield Diagnosis(
            code="class-order",
            backends=one.suspects,
            message=(
                f"{sentence(text)}, against {one.trusted}: what is {moved[0][0]!r} there is {moved[0][1]!r} here. "
                f"{_STORE_THE_ORDER}"
            ),
            remedy=_STORE_THE_ORDER,
            evidence={"observation": one.observation, "permutation": in_arrows(found, naming(right, "", len(right)))},
        )


def _classes_by_column(situation: Situation) -> Iterator[Diagnosis]:
    """Columns of predictions, of values, of gradients."""
    for one in situation.differing(*_COLUMNS):
        if not one.left.ndim or one.left.shape[-1] < 2 or (one.left.ndim == 1 and one.kind is Kind.VALUE):  # noqa: PLR2004
            continue
        if one.left.dtype.kind not in "fiub" or (one.kind is Kind.GRADIENT and not _is_gradient_of_its_own(one, situation)):
            continue
        if one.left.dtype.kind in "iu" and not (np.isin(one.left, (0, 1)).all() and np.isin(one.right, (0, 1)).all()):
            continue  # indices and ranks: their columns are no classes
        if step := _shift_with_wrap(one):
            yield off_by_one(one, f"every class sits one column {direction(step)}, wrapping around", {"shift": step})
            continue
        permutation = match_columns(one.left, one.right, one.allowance)
        if permutation is not None and one.kind is Kind.GRADIENT and not _tells_apart(one, permutation):
            continue
        if permutation is not None and one.explained(right=one.right[..., permutation]):
            yield _class_order(one, permutation, one.excess(right=one.right[..., permutation]))
        elif (step := _shift_without_wrap(one)) != 0:
            yield off_by_one(one, f"every class sits one column {direction(step)}; what is pushed out is lost", {"shift": step})


def _tells_apart(one: Difference, permutation: np.ndarray) -> bool:
    """Whether the columns that move differ from one another by more than noise, so that no other order would do as well.

    A gradient is measured by its largest element, beside which whole columns may vanish.
    """
    moved = np.flatnonzero(permutation != np.arange(len(permutation)))
    if not 2 <= len(moved) <= _MOST_COMPARED:  # noqa: PLR2004 - nothing moves alone
        return False
    columns = one.right.reshape(-1, len(permutation))[:, moved].astype(np.float64)
    within = one.allowance.tolerance.atol + one.allowance.tolerance.rtol * float(np.abs(one.right).max(initial=0.0))
    distance = np.array([np.abs(columns - column[:, None]).max(axis=0, initial=0.0) for column in columns.T])
    return bool((distance[~np.eye(len(moved), dtype=bool)] > NEAR * within).all())


def _is_gradient_of_its_own(one: Difference, situation: Situation) -> bool:
    """Whether a gradient may show an order: no bias, not a mere change of sign, not what follows from losses."""
    if one.left.ndim < 2 or one.explained(right=-one.right.astype(np.float64)):  # noqa: PLR2004
        return False
    if one.observation.startswith("gradient/y_pred"):
        return True
    names = {d.observation for d in situation.differing(Kind.PREDICTIONS, Kind.PER_EXAMPLE_LOSS, Kind.LOSS)}
    return not any(situation.differs(name, *one.suspects) for name in names)


def _shift_with_wrap(one: Difference) -> int:
    """1 or -1 if every column is the one next to it on the other side, the last one the first."""
    if one.left.shape[-1] < 3 or one.excess() < FAR:  # noqa: PLR2004 - of two, a shift is an exchange
        return 0
    return next((step for step in (1, -1) if one.explained(right=np.roll(one.right, step, axis=-1))), 0)


def _shift_without_wrap(one: Difference) -> int:
    """1 or -1 if all columns but the one at the edge are those next to them on the other side."""
    if one.left.shape[-1] < 3 or one.left.dtype == bool:  # noqa: PLR2004
        return 0
    for step in (1, -1):
        inner = slice(1, None) if step == 1 else slice(None, -1)
        outer = slice(None, -1) if step == 1 else slice(1, None)
        left, right = one.left[..., inner], one.right[..., outer]
        varies = np.ptp(right.reshape(-1, right.shape[-1]).astype(np.float64), axis=-1).any() if right.size else False
        if varies and is_margin(one.excess(left, one.right[..., inner]), one.excess(left, right)):
            return step
    return 0


def _class_order(one: Difference, permutation: np.ndarray, residual: float) -> Diagnosis:
    n_classes = len(permutation)
    name = naming(one.recording.class_names, one.output, n_classes)
    found = cycles(permutation)
    evidence: dict[str, Any] = {
        "observation": one.observation,
        "permutation": in_arrows(found, name),
        "columns": found if n_classes <= 64 else f"{sum(map(len, found))} of {n_classes} moved",  # noqa: PLR2004
        "excess as recorded": one.excess(),
        "excess reordered": residual,
    }
    return classes_exchanged(one, found, name, evidence, f"{one.observation}: the columns are")


# --- examples --------------------------------------------------------------------------------------------------


def _examples(situation: Situation) -> Iterator[Diagnosis]:
    """Rows of predictions, per-example losses, values and gradients by predictions."""
    rows = [*situation.differing(*_ROWS), *situation.differing(Kind.GRADIENT)]
    for one in rows:
        if one.kind is Kind.GRADIENT and not one.observation.startswith("gradient/y_pred"):
            continue
        if one.is_float and one.explained(right=-one.right.astype(np.float64)):
            continue  # a change of sign
        if one.left.ndim < 1 or len(one.left) < 2 or one.left.dtype.kind not in "fiu":  # noqa: PLR2004
            continue
        as_columns = [array.reshape(len(array), -1).T for array in (one.left, one.right)]
        permutation = match_columns(as_columns[0], as_columns[1], one.allowance)
        if permutation is not None and one.explained(right=one.right[permutation]):
            yield _example_order(one, permutation, one.excess(right=one.right[permutation]), one.observation)


def _example_order(one: Difference, permutation: np.ndarray, residual: float, what: str) -> Diagnosis:
    moved = np.flatnonzero(permutation != np.arange(len(permutation)))
    if np.array_equal(permutation, np.arange(len(permutation))[::-1]):
        text = f"the examples of {what} are in reverse order on {one.side}"
    elif len(moved) == 2:  # noqa: PLR2004
        text = f"examples {moved[0]} and {moved[1]} of {what} are exchanged on {one.side}"
    else:
        text = f"{len(moved)} of {len(permutation)} examples of {what} are in another order on {one.side}"
    evidence = {
        "observation": one.observation,
        "examples": moved[:_LONGEST_LIST].tolist(),
        "came from": permutation[moved[:_LONGEST_LIST]].tolist(),
        "excess as recorded": one.excess(),
        "excess reordered": residual,
    }
    return of_examples(one, text, evidence)
