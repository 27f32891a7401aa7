"""Match the columns of one array with those of another, and write the permutation with class names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backendcheck.compare.tolerances import Allowed
from backendcheck.diagnose.evidence.difference import NEAR

_N_FEATURES = 16  # a column is matched by so many numbers; more rows are projected onto them
_FEW = 128  # up to so many columns, all pairs are compared
_LARGEST_ASSIGNMENT = 1500  # up to so many columns, the best assignment is affordable; its cost is cubic
_LONGEST_CYCLE = 8  # names in one line


def match_columns(left: np.ndarray, right: np.ndarray, allowance: Allowed) -> np.ndarray | None:
    """The permutation p for which ``left[..., j]`` is close to ``right[..., p[j]]``; None if nothing fits.

    Only columns that differ are moved, so that classes with equal columns stay in place. The caller must check, with a margin,
    whether the permutation explains the difference.

    Args:
        left: shape (…, C).
        right: the same shape.
        allowance: how far apart two elements may be.

    Returns:
        (C,) integers, or None.
    """
    n_classes = left.shape[-1]
    left, right = left.reshape(-1, n_classes).astype(np.float64), right.reshape(-1, n_classes).astype(np.float64)
    finite = np.isfinite(left).all(axis=1) & np.isfinite(right).all(axis=1)
    left, right = left[finite], right[finite]
    if not left.size or n_classes < 2:  # noqa: PLR2004 - one class has no order
        return None
    if not _same_values(left, right, allowance):
        return None
    scale = allowance.scale(np.maximum(np.abs(left), np.abs(right)))
    moved = np.flatnonzero((np.abs(left - right) > allowance.tolerance.atol + allowance.tolerance.rtol * scale).any(axis=0))
    if len(moved) < 2:  # noqa: PLR2004 - nothing moves alone
        return None
    sources = _assign(_features(left[:, moved]), _features(right[:, moved]))
    if sources is None:
        return None
    permutation = np.arange(n_classes)
    permutation[moved] = moved[sources]
    return permutation


def _same_values(left: np.ndarray, right: np.ndarray, allowance: Allowed) -> bool:
    """Whether each row has the same values in some order: a cheap condition that every permutation meets."""
    left, right = (np.sort(rows[:_N_FEATURES], axis=1) for rows in (left, right))
    magnitude = np.maximum(np.abs(left), np.abs(right))
    within = allowance.tolerance.atol + allowance.tolerance.rtol * allowance.scale(magnitude)
    return bool((np.abs(left - right) <= NEAR * within).all())


def _features(columns: np.ndarray) -> np.ndarray:
    """A few numbers that distinguish each column from the others: (C, at most `_N_FEATURES`)."""
    if len(columns) <= _N_FEATURES:
        return columns.T
    directions = np.random.default_rng(0).standard_normal((_N_FEATURES, len(columns)))
    features: np.ndarray = (directions @ columns).T
    return features


def _assign(left: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    """For each row of `left` a different row of `right`: the nearest, or the best for all if several have the same nearest."""
    nearest: np.ndarray
    if len(left) <= _FEW:
        nearest = np.abs(left[:, None, :] - right[None, :, :]).max(axis=-1).argmin(axis=1)
    else:
        from scipy.spatial import KDTree  # takes 0.2 s to import, so only where there is much to search

        nearest = np.asarray(KDTree(right).query(left)[1])
    n_wanted = np.bincount(nearest, minlength=len(right))
    contested = n_wanted[nearest] > 1
    if not contested.any():
        return nearest
    rows = np.flatnonzero(contested)
    free = np.setdiff1d(np.arange(len(right)), nearest[~contested])
    if len(rows) > _LARGEST_ASSIGNMENT:
        return None
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    _, assigned = linear_sum_assignment(cdist(left[rows], right[free]))
    nearest[rows] = free[assigned]
    return nearest


def cycles(permutation: np.ndarray) -> list[list[int]]:
    """The cycles of a permutation p, by which column p[j] of the other side is column j here; longest first, no fixed points."""
    destination = np.empty_like(permutation)
    destination[permutation] = np.arange(len(permutation))
    visited = np.zeros(len(permutation), bool)
    cycle_list = []
    for start in np.flatnonzero(destination != np.arange(len(destination))):
        cycle, at = [], int(start)
        while not visited[at]:
            visited[at] = True
            cycle.append(at)
            at = int(destination[at])
        if cycle:
            cycle_list.append(cycle)
    return sorted(cycle_list, key=len, reverse=True)


def in_arrows(cycle_list: Sequence[Sequence[int]], name: Callable[[int], str], *, closed: bool = True) -> str:
    """Cycles as text: ``cat → dog → cat``; several with commas, long ones cut. Chains that are not `closed` have no return."""
    texts = []
    for cycle in cycle_list[:3]:
        shown = [name(index) for index in cycle[:_LONGEST_CYCLE]]
        closing = [f"… ({len(cycle)})"] if len(cycle) > _LONGEST_CYCLE else [shown[0]] if closed else []
        texts.append(" → ".join([*shown, *closing]))
    if len(cycle_list) > 3:  # noqa: PLR2004
        texts.append(f"{len(cycle_list) - 3} more cycles")
    return ", ".join(texts)


def naming(class_names: Any, output: str, n_classes: int) -> Callable[[int], str]:
    """A function from class index to text: the class name if there are names for all classes, or else the index."""
    names = class_names.get(output) if isinstance(class_names, dict) else class_names
    if not isinstance(names, list | tuple) or len(names) < n_classes:
        return str
    return lambda index: str(names[index])
