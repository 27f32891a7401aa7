"""A hypothesis: the declared loss with one thing changed, evaluated in float64 by the built-in reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backendcheck import reference
from backendcheck.reference.of_recording import DeclaredLoss


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hypothesis:
    """A changed declared loss.

    Attributes:
        code: the code of the diagnosis if the hypothesis fits.
        words: the hypothesis, to follow "as if".
        remedy: what to do.
        declared: the loss with the change.
        factor: multiplies the reduced loss and its gradients.
        scalar: gives the reduced loss if `declared` cannot.
        each: the loss of each example, (N,), if `declared` cannot give it.
        evidence: goes into the diagnosis.
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
        """What a backend records if the hypothesis holds: per_example_loss, loss or gradient; None if that is not known."""
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
        # `each` is supposed for losses without weights, whose mean is that of all reductions but the sum.
        reduced = each.sum() if self.declared.scalar.reduction == "sum" else each.mean()
        return np.asarray(reduced) if quantity == "loss" else None
