"""The vocabulary of observations: what a name such as ``gradient/dense/kernel`` stands for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np

# The names of paths that recording adds and a diagnosis reads.
DENSE_GRADIENTS = "fit with dense gradients"
AFTER_ANOTHER = "after another batch"
OPTIMIZER_BY_HAND = "optimizer.apply"
METRICS_BY_NAME = "metrics by name"
LAYER_MASK_OF = "layer_mask/"
# The paths on which the mask of an output is looked at, beside the same layers in float32.
MASK_PATHS = (
    "prediction of model(x)", "call of the layer", "loss in evaluate", "metrics in evaluate", "loss in fit", "metrics in fit",
)  # fmt: skip


class Quantity(StrEnum):
    """What an observation measures, in the order of the computation. Tolerances are chosen by it."""

    VALUE = "value"
    OUTPUT_ORDER = "output_order"
    LAYER_MASK = "layer_mask"
    MASK = "mask"
    PREDICTIONS = "predictions"
    PREDICTED_CLASS = "predicted_class"
    PER_EXAMPLE_LOSS = "per_example_loss"
    LOSS = "loss"
    GRADIENT = "gradient"
    METRIC = "metric"
    TRAIN_LOSS = "train/loss"
    TRAIN_METRIC = "train/metric"
    TRAIN_WEIGHT = "train/weight"
    TRAIN_OPTIMIZER = "train/optimizer"
    SAVED = "saved"

    @property
    def words(self) -> str:
        """As it reads in a sentence."""
        return {
            "output_order": "output order", "layer_mask": "mask of a layer", "train/weight": "trained weight",
            "train/optimizer": "optimizer state", "saved": "saved file",
        }.get(self.value, self.value.replace("_", " ").replace("/", " "))  # fmt: skip


# Where a difference can begin, first to last. Reports are in this order, too.
FLOW = tuple(Quantity)
_PLACES = {quantity: place for place, quantity in enumerate(Quantity)}
_QUANTITIES = frozenset(map(str, Quantity))


_Y_PRED = "y_pred"
_OF_OUTPUTS = (Quantity.MASK, Quantity.PREDICTIONS, Quantity.PREDICTED_CLASS, Quantity.PER_EXAMPLE_LOSS, Quantity.LOSS)
_ORDER_SUFFIX = " (order)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationName:
    """The name of an observation, taken apart.

    `output` is the output of the model, empty for the only one. `part` is the name of a value or a metric, or the path of a
    variable. `of_predictions` marks the gradients of a loss by the predictions.

    Observations lie in dictionaries by the text of their names, as they do on disk. `parse` is cached, so that taking a name
    apart again costs a look-up.
    """

    text: str
    quantity: Quantity
    output: str = ""
    part: str = ""
    of_predictions: bool = False

    def __str__(self) -> str:
        return self.text

    @staticmethod
    def parse(text: str) -> ObservationName:
        return _parse(text)

    @classmethod
    def of(cls, quantity: Quantity, rest: str = "") -> ObservationName:
        """The observation of an output, a variable, a metric or a value; `rest` is empty where there is only one."""
        return cls.parse(of_output(quantity, rest))

    @classmethod
    def gradient_by_predictions(cls, output: str = "") -> ObservationName:
        return cls.of(Quantity.GRADIENT, of_output(_Y_PRED, output))

    @property
    def rest(self) -> str:
        """All that follows the quantity: of a case that is a function, ``y_pred`` may be an input like any other."""
        return self.text.removeprefix(self.quantity).removeprefix("/")

    @property
    def is_order(self) -> bool:
        """Whether it holds names in an order: of outputs, or of the keys of a dict that a case returned."""
        return self.quantity is Quantity.OUTPUT_ORDER or self.text.endswith(_ORDER_SUFFIX)

    @property
    def inside_one_backend(self) -> bool:
        """Whether it is compared inside one backend only.

        That is what `fit` reports of its validation: the trained weights decide it. They are compared as numbers, where an
        accuracy jumps with the one example that ties.
        """
        return self.quantity is Quantity.TRAIN_METRIC and self.part.startswith("val_")

    @property
    def flow_key(self) -> tuple[int, int, str]:
        """A sort key that puts observations in the order of the computation."""
        return _PLACES[self.quantity], 0 if self.of_predictions else 1, self.text


def of_output(name: str, output: str) -> str:
    """The key of what belongs to an output, an observation or labels: ``loss/age``, or ``loss`` for the only output."""
    return f"{name}/{output}" if output else name


@cache
def _parse(text: str) -> ObservationName:
    parts = text.split("/")
    for length in (2, 1):  # the longest quantity that begins the name, component by component
        prefix = "/".join(parts[:length])
        if prefix not in _QUANTITIES:
            continue
        quantity, rest = Quantity(prefix), "/".join(parts[length:])
        if quantity in _OF_OUTPUTS:
            return ObservationName(text=text, quantity=quantity, output=rest)
        if quantity is Quantity.GRADIENT and parts[length : length + 1] == [_Y_PRED]:
            return ObservationName(text=text, quantity=quantity, output="/".join(parts[length + 1 :]), of_predictions=True)
        return ObservationName(text=text, quantity=quantity, part=rest)
    return ObservationName(text=text, quantity=Quantity.VALUE, part=text)


def quantity_of(name: str) -> Quantity:
    """What the observation `name` measures."""
    return _parse(name).quantity


@cache
def flow_key(name: str) -> tuple[int, int, str]:
    """A sort key that puts the names of observations in the order of the computation."""
    return _parse(name).flow_key


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Observation:
    """One recorded array.

    `value` is what was recorded: numbers, bools, or an object array of str. `dtype` is the dtype in which the
    backend computed it (``bfloat16`` is stored widened to float32), ``text`` for strings. `precision` is the float
    dtype whose rounding to expect: it differs from `dtype` where a number passed through a Python float.
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

    `allowed`, (), is how far any element may be off, in place of the default tolerance.

    With `directions`, int8 (K, *shape of the observation), `value` is (K,): the slopes along those as unit vectors.
    """

    value: np.ndarray
    defined: np.ndarray | None = None
    directions: np.ndarray | None = None
    allowed: np.ndarray | None = None
