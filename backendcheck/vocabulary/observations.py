"""The vocabulary of observations: what a name such as ``gradient/dense/kernel`` stands for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np

DENSE_GRADIENTS = "fit with dense gradients"  # a door, which recording opens and a diagnosis reads


class Quantity(StrEnum):
    """What an observation measures, in the order of the computation. Tolerances are chosen by it."""

    VALUE = "value"
    OUTPUT_ORDER = "output_order"
    PREDICTIONS = "predictions"
    PREDICTED_CLASS = "predicted_class"
    PER_EXAMPLE_LOSS = "per_example_loss"
    LOSS = "loss"
    GRADIENT = "gradient"
    METRIC = "metric"
    TRAIN_LOSS = "train/loss"
    TRAIN_METRIC = "train/metric"
    TRAIN_WEIGHT = "train/weight"

    @property
    def words(self) -> str:
        """As it reads in a sentence."""
        return {"output_order": "output order", "train/weight": "trained weight"}.get(
            self.value, self.value.replace("_", " ").replace("/", " ")
        )


# Where a difference can begin, first to last. Reports are in this order, too.
FLOW = tuple(Quantity)
_PLACES = {quantity: place for place, quantity in enumerate(Quantity)}


@cache
def quantity_of(name: str) -> Quantity:
    """What the observation `name` measures: the longest quantity that is a prefix of it, path component by component."""
    parts = name.split("/")
    for length in (2, 1):
        try:
            return Quantity("/".join(parts[:length]))
        except ValueError:
            continue
    return Quantity.VALUE


def flow_key(name: str) -> tuple[int, int, str]:
    """A sort key that puts observations in the order of the computation."""
    after_predictions = 0 if name.startswith("gradient/y_pred") else 1
    return _PLACES[quantity_of(name)], after_predictions, name


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Observation:
    """One recorded array.

    `value` is what was recorded: numbers, bools, or an object array of str. `dtype` is the dtype in which the
    backend computed it (``bfloat16`` is stored widened to float32), ``text`` for strings. `precision` is the float
    dtype whose rounding to expect: it differs from `dtype` where a figure passed through a Python float.
    """

    value: np.ndarray
    dtype: str
    precision: str

    @property
    def is_text(self) -> bool:
        return self.dtype == "text"

    @property
    def is_float(self) -> bool:
        return "float" in self.dtype


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReferenceValue:
    """A reference value of an observation. `defined` is False where none exists: a kink, the edge of a clip.

    With `directions`, int8 (K, *shape of the observation), `value` is (K,): the slopes along those as unit vectors.
    """

    value: np.ndarray
    defined: np.ndarray | None = None
    directions: np.ndarray | None = None
