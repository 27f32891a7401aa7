"""L4: whether head, loss and labels go together."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import numpy as np

from backendcheck.labels.checks.l3_one_hot_rows import is_multi_hot
from backendcheck.labels.contract.finding import LabelFinding, Severity
from backendcheck.labels.inputs.encoding import EXCLUSIVE, Encoding
from backendcheck.labels.inputs.output_labels import OutputLabels, first_places, plain, values_in_words
from backendcheck.labels.inputs.unique_values import distinct
from backendcheck.text.words import counted

_WITH_LOGITS = (
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
    "sparse_categorical_crossentropy",
)  # fmt: skip
_CATEGORICAL = ("categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge")
# What an activation can give, least and most, where that is not everything.
_RANGES = MappingProxyType({
    "exponential": (0.0, np.inf), "hard_sigmoid": (0.0, 1.0), "hard_tanh": (-1.0, 1.0), "log_sigmoid": (-np.inf, 0.0),
    "log_softmax": (-np.inf, 0.0), "relu": (0.0, np.inf), "relu6": (0.0, 6.0), "sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0),
    "softplus": (0.0, np.inf), "softsign": (-1.0, 1.0), "sparsemax": (0.0, 1.0), "squareplus": (0.0, np.inf), "tanh": (-1.0, 1.0),
})  # fmt: skip
_ROUNDING = 1e-6
# Activations that give no probabilities, and are meant to: for a loss that takes some they are as wrong as none at all.
_NO_PROBABILITIES = (
    "celu", "elu", "exponential", "gelu", "hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax", "mish", "relu", "relu6",
    "selu", "silu", "softplus", "softsign", "squareplus", "swish", "tanh",
)  # fmt: skip
_FEWEST_ROWS = 10  # as many as it takes to believe that rows are one-hot always, not by chance


def find_in_head(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L401 to L406, L408."""
    yield from _logits(labels)
    yield from _one_unit(labels)
    yield from _width(labels)
    if labels.numbers is not None and labels.numbers.size:
        yield from _exclusive(labels)
        yield from _signs(labels)
        yield from _reach(labels)


def _logits(labels: OutputLabels) -> Iterator[LabelFinding]:
    if labels.loss is None or labels.loss.custom or labels.activation is None:
        return
    name, activation = labels.loss.name, labels.activation
    evidence: dict[str, Any] = {"activation": activation, "loss": name}
    if name == "ctc" and activation == "softmax":
        yield labels.finding(
            "L403", "ends in softmax, and ctc takes logits", where=labels.of_head, kind="softmax",
            expected="a linear head, got softmax", remedy="Take the softmax off the head.", **evidence,
        )  # fmt: skip
    if name not in _WITH_LOGITS:
        return
    from_logits = bool(labels.option("from_logits"))
    if from_logits and activation in ("softmax", "sigmoid"):
        yield labels.finding(
            "L403", f"ends in {activation}, and {name} has from_logits=True", where=labels.of_head, kind=activation,
            expected=f"logits, got what {activation} made of them",
            remedy=f"Take the {activation} off the head, or say from_logits=False.", from_logits=True, **evidence,
        )  # fmt: skip
    elif not from_logits and activation == "linear":
        activation_for_loss = "sigmoid" if name.startswith("binary") else "softmax"
        yield labels.finding(
            "L403", f"is linear, and {name} has from_logits=False", where=labels.of_head, kind="linear",
            expected="probabilities, got logits", remedy=f"Say from_logits=True, or let the head end in {activation_for_loss}.",
            from_logits=False, **evidence,
        )  # fmt: skip
    elif not from_logits and activation in _NO_PROBABILITIES:
        activation_for_loss = "sigmoid" if name.startswith("binary") else "softmax"
        yield labels.finding(
            "L403", f"ends in {activation}, and {name} has from_logits=False", where=labels.of_head, kind=None,
            expected=f"probabilities, got what {activation} gives", remedy=f"Let the head end in {activation_for_loss}.",
            from_logits=False, **evidence,
        )  # fmt: skip


def _reach(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L408: numbers that the activation of the head cannot give. Cosine similarity asks for a direction, not for numbers."""
    numbers, bounds = labels.numbers, _RANGES.get(labels.activation or "")
    if labels.encoding is not Encoding.NUMBER or numbers is None or bounds is None:
        return
    if labels.loss is not None and labels.loss.name == "cosine_similarity":
        return
    least, most = bounds
    bad = np.isfinite(numbers) & ((numbers < least - _ROUNDING) | (numbers > most + _ROUNDING))
    if bad.any():
        values, n_of = distinct(numbers[bad])
        within = f"at least {plain(least)}" if most == np.inf else f"at most {plain(most)}" if least == -np.inf else (
            f"{plain(least)} … {plain(most)}"
        )  # fmt: skip
        yield labels.finding(
            "L408", f"{int(bad.sum())} of {numbers.size} beyond what {labels.activation} can give",
            expected=f"{within}, got {values_in_words(values, n_of)}", n=int(bad.sum()), of=int(numbers.size),
            first=first_places(bad), activation=labels.activation,
        )  # fmt: skip


def _one_unit(labels: OutputLabels) -> Iterator[LabelFinding]:
    if labels.units != 1:
        return
    problem = ""
    if labels.activation == "softmax":
        problem = "is softmax over one unit"
    elif labels.loss is not None and labels.loss.name in _CATEGORICAL:
        problem = f"has 1 unit, and the loss is {labels.loss.name}"
    if problem:
        yield labels.finding(
            "L404", problem, where=labels.of_head, expected="sigmoid, or two units, got a prediction that is always 1",
            activation=labels.activation,
        )  # fmt: skip


def _width(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L405. That labels go beyond the head is L103, that names and labels disagree L501."""
    units = labels.units
    if units is None or labels.encoding not in (Encoding.INTEGER, Encoding.ONE_HOT, Encoding.BINARY, Encoding.SIGN):
        return
    if units == 1 and labels.encoding is Encoding.INTEGER and labels.activation != "softmax":
        n_labels = len(distinct(labels.numbers)[0]) if labels.numbers is not None else 0
        if n_labels > 1:
            takes = labels.loss.name if labels.loss is not None else "an integer loss"
            yield labels.finding(
                "L405", "has 1 unit", where=labels.of_head, expected=f"a unit for each class for {takes}, got {n_labels} "
                "different labels", remedy=f"Give it {n_labels} units and softmax; or, for yes and no, take "
                "binary_crossentropy.", units=1, n_labels=n_labels,
            )  # fmt: skip
        return
    n_classes = labels.n_classes
    if n_classes is None or n_classes == units or (units == 1 and n_classes == 2):  # noqa: PLR2004 - yes or no
        return
    source = counted(len(labels.class_names), "class name") if len(labels.class_names) == n_classes else f"n_classes={n_classes}"
    fewer = units < n_classes
    yield labels.finding(
        "L405", f"has {counted(units, 'unit')}, there {'is' if n_classes == 1 else 'are'} {source}", where=labels.of_head,
        expected=f"{n_classes} units, got {units}", severity=Severity.ERROR if fewer else Severity.WARNING,
        kind="fewer" if fewer else "more", units=units,
        n_classes=n_classes,
    )  # fmt: skip


def _exclusive(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L401, L402."""
    numbers = labels.numbers
    if numbers is None:
        return
    softmax = labels.activation == "softmax" or labels.encoding is Encoding.ONE_HOT
    if softmax and labels.encoding in (Encoding.ONE_HOT, Encoding.BINARY) and numbers.ndim > 1 and is_multi_hot(labels):
        rows = np.count_nonzero(numbers, axis=-1)
        n = int(np.count_nonzero(rows > 1))
        takes = "a softmax head" if labels.activation == "softmax" else labels.loss.name if labels.loss is not None else "softmax"
        yield labels.finding(
            "L401", f"{n} of {rows.size} rows have several 1s, and {takes} is for classes that exclude each other",
            expected="one 1 in each row, got multi-hot labels", n=n, of=int(rows.size), most=int(rows.max()),
        )  # fmt: skip
        return
    if labels.units is not None and labels.units > 1 and labels.activation == "sigmoid" and labels.encoding in EXCLUSIVE:
        name = labels.loss.name if labels.loss is not None else "the loss"
        yield labels.finding(
            "L402",
            f"ends in sigmoid, and {name} is for classes that exclude each other",
            where=labels.of_head, expected="softmax", remedy="Take softmax.", activation="sigmoid",
        )  # fmt: skip
    elif labels.encoding is Encoding.BINARY and numbers.ndim > 1 and numbers.shape[-1] > 1 and _crossentropy_or_sigmoid(labels):
        rows = numbers.reshape(-1, numbers.shape[-1])
        if len(rows) >= _FEWEST_ROWS and np.all((rows == 0) | (rows == 1)) and np.all(np.count_nonzero(rows, axis=1) == 1):
            yield labels.finding(
                "L402", f"each of {len(rows)} rows has exactly one 1, and {_binary_words(labels)} takes every column by itself",
                expected="softmax and categorical_crossentropy for classes that exclude each other", n=len(rows),
            )  # fmt: skip


def _crossentropy_or_sigmoid(labels: OutputLabels) -> bool:
    return labels.loss.name.startswith("binary") if labels.loss is not None else labels.activation == "sigmoid"


def _binary_words(labels: OutputLabels) -> str:
    return labels.loss.name if labels.loss is not None else "a sigmoid head"


def _signs(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L406, and of L109 what concerns signs."""
    numbers = labels.numbers
    if numbers is None:
        return
    values, _ = distinct(numbers)
    values_present = set(values.tolist()) if len(values) <= 3 else {2.0}  # noqa: PLR2004 - -1, 0, 1
    evidence: dict[str, Any] = {"values": [float(value) for value in values[:5]]}
    name = labels.loss.name if labels.loss is not None else f"a {labels.activation} head"
    if labels.encoding in (Encoding.BINARY, Encoding.ONE_HOT):
        if -1.0 in values_present and values_present <= {-1.0, 1.0}:
            yield labels.finding("L406", f"are -1 and 1, and {name} takes 0 and 1", expected="0 and 1, got -1 and 1",
                              remedy="(y + 1) / 2 makes them 0 and 1; hinge takes them as they are.", **evidence)  # fmt: skip
    elif labels.encoding is Encoding.SIGN:
        if values_present <= {0.0, 1.0} and 0.0 in values_present:
            yield labels.finding(
                "L406", f"are 0 and 1, and {name} takes -1 and 1", expected="-1 and 1; Keras turns 0 into -1 by itself",
                remedy="Nothing has to be done; 2 * y - 1 says it plainly, and your own metrics see the same.",
                severity=Severity.INFO, **evidence,
            )  # fmt: skip
        elif values_present == {-1.0, 0.0, 1.0}:
            yield labels.finding(
                "L406", f"are -1, 0 and 1, and {name} takes -1 and 1",
                expected="-1 and 1; Keras turns 0 into -1 in a batch that "
                "happens to hold no -1, and leaves it in every other",
                remedy="Leave the 0s out, or give them a sample weight of 0.", **evidence,
            )  # fmt: skip
        elif np.any(np.abs(values) > 1):
            bad = np.isfinite(numbers) & (np.abs(numbers) > 1)
            yield labels.finding("L109", f"{int(bad.sum())} of {numbers.size} beyond -1 and 1", expected=f"-1 and 1 for {name}",
                              remedy="np.where(y > 0, 1, -1).", n=int(bad.sum()), of=int(numbers.size), **evidence)  # fmt: skip
