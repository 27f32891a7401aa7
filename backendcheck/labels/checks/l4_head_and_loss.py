"""L401 to L406 and L408: whether head, loss and labels fit together."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import numpy as np

from backendcheck.labels.checks.l3_one_hot_rows import is_multi_hot
from backendcheck.labels.contract.finding import LabelFinding, Severity
from backendcheck.labels.inputs.encoding import EXCLUSIVE, Encoding
from backendcheck.labels.inputs.output_labels import OutputLabels
from backendcheck.labels.inputs.values import first_indices, number_text, value_counts, values_text
from backendcheck.text.words import counted

_WITH_LOGITS = (
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
    "sparse_categorical_crossentropy",
)  # fmt: skip
_CATEGORICAL = ("categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge")
# The lowest and the highest output of an activation that is bounded.
_RANGES = MappingProxyType({
    "exponential": (0.0, np.inf), "hard_sigmoid": (0.0, 1.0), "hard_tanh": (-1.0, 1.0), "log_sigmoid": (-np.inf, 0.0),
    "log_softmax": (-np.inf, 0.0), "relu": (0.0, np.inf), "relu6": (0.0, 6.0), "sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0),
    "softplus": (0.0, np.inf), "softsign": (-1.0, 1.0), "sparsemax": (0.0, 1.0), "squareplus": (0.0, np.inf), "tanh": (-1.0, 1.0),
})  # fmt: skip
_ROUNDING = 1e-6
# Activations whose output is not a probability. A loss that takes probabilities is as wrong with them as with none.
_NO_PROBABILITIES = (
    "celu", "elu", "exponential", "gelu", "hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax", "mish", "relu", "relu6",
    "selu", "silu", "softplus", "softsign", "squareplus", "swish", "tanh",
)  # fmt: skip
_FEWEST_ROWS = 10  # of fewer rows, all may be one-hot by chance


def find_in_head(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L401 to L406, L408."""
    yield from _activation_and_logits(labels)
    yield from _one_unit(labels)
    yield from _width(labels)
    if labels.numbers is not None and labels.numbers.size:
        yield from _exclusive(labels)
        yield from _signs(labels)
        yield from _range(labels)


def _activation_and_logits(labels: OutputLabels) -> Iterator[LabelFinding]:
    if labels.loss is None or labels.loss.custom or labels.activation is None:
        return
    name, activation = labels.loss.name, labels.activation
    evidence: dict[str, Any] = {"activation": activation, "loss": name}
    if name == "ctc" and activation == "softmax":
        yield labels.finding(
            "L403", "ends in softmax, but ctc takes logits", where=labels.where_head, variant="softmax",
            expected="a linear head, got softmax", remedy="Remove softmax from the head.", **evidence,
        )  # fmt: skip
    if name not in _WITH_LOGITS:
        return
    from_logits = bool(labels.option("from_logits"))
    if from_logits and activation in ("softmax", "sigmoid"):
        yield labels.finding(
            "L403", f"ends in {activation}, but {name} has from_logits=True", where=labels.where_head, variant=activation,
            expected=f"logits, got the output of {activation}",
            remedy=f"Remove {activation} from the head, or set from_logits=False.", from_logits=True, **evidence,
        )  # fmt: skip
    elif not from_logits and activation == "linear":
        activation_for_loss = "sigmoid" if name.startswith("binary") else "softmax"
        yield labels.finding(
            "L403", f"is linear, but {name} has from_logits=False", where=labels.where_head, variant="linear",
            expected="probabilities, got logits", remedy=f"Set from_logits=True, or let the head end in {activation_for_loss}.",
            from_logits=False, **evidence,
        )  # fmt: skip
    elif not from_logits and activation in _NO_PROBABILITIES:
        activation_for_loss = "sigmoid" if name.startswith("binary") else "softmax"
        yield labels.finding(
            "L403", f"ends in {activation}, but {name} has from_logits=False", where=labels.where_head, variant=None,
            expected=f"probabilities, got the output of {activation}", remedy=f"Let the head end in {activation_for_loss}.",
            from_logits=False, **evidence,
        )  # fmt: skip


def _range(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L408: targets that the activation of the head cannot reach. Cosine similarity compares directions, so it is left out."""
    numbers, bounds = labels.numbers, _RANGES.get(labels.activation or "")
    if labels.encoding is not Encoding.NUMBER or numbers is None or bounds is None:
        return
    if labels.loss is not None and labels.loss.name == "cosine_similarity":
        return
    least, most = bounds
    bad = np.isfinite(numbers) & ((numbers < least - _ROUNDING) | (numbers > most + _ROUNDING))
    if bad.any():
        values, counts = value_counts(numbers[bad])
        within = f"at least {number_text(least)}" if most == np.inf else f"at most {number_text(most)}" if least == -np.inf else (
            f"{number_text(least)} … {number_text(most)}"
        )  # fmt: skip
        yield labels.finding(
            "L408",
            f"{int(bad.sum())} of {numbers.size} {'is' if bad.sum() == 1 else 'are'} outside the range of {labels.activation}",
            expected=f"{within}, got {values_text(values, counts)}", n=int(bad.sum()), of=int(numbers.size),
            first=first_indices(bad), activation=labels.activation,
        )  # fmt: skip


def _one_unit(labels: OutputLabels) -> Iterator[LabelFinding]:
    if labels.units != 1:
        return
    problem = ""
    if labels.activation == "softmax":
        problem = "is softmax over one unit"
    elif labels.loss is not None and labels.loss.name in _CATEGORICAL:
        problem = f"has 1 unit, but the loss is {labels.loss.name}"
    if problem:
        yield labels.finding(
            "L404", problem, where=labels.where_head, expected="sigmoid or two units, got a prediction that is always 1",
            activation=labels.activation,
        )  # fmt: skip


def _width(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L405: the head against the number of classes. L103 compares it with the labels, L501 compares names with labels."""
    units = labels.units
    if units is None or labels.encoding not in (Encoding.INTEGER, Encoding.ONE_HOT, Encoding.BINARY, Encoding.SIGN):
        return
    if units == 1 and labels.encoding is Encoding.INTEGER and labels.activation != "softmax":
        n_labels = len(value_counts(labels.numbers)[0]) if labels.numbers is not None else 0
        if n_labels > 1:
            takes = labels.loss_name("an integer loss")
            yield labels.finding(
                "L405", "has 1 unit", where=labels.where_head, expected=f"a unit for each of {n_labels} classes, for {takes}",
                remedy=f"Give it {n_labels} units and softmax, or use binary_crossentropy for two classes.", units=1,
                n_labels=n_labels,
            )  # fmt: skip
        return
    n_classes = labels.n_classes
    if n_classes is None or n_classes == units or (units == 1 and n_classes == 2):  # noqa: PLR2004 - yes or no
        return
    source = counted(len(labels.class_names), "class name") if len(labels.class_names) == n_classes else f"n_classes={n_classes}"
    fewer = units < n_classes
    yield labels.finding(
        "L405", f"has {counted(units, 'unit')} for {source}", where=labels.where_head,
        expected=f"{counted(n_classes, 'unit')}, got {units}",
        severity=Severity.ERROR if fewer else Severity.WARNING, variant="fewer" if fewer else "more", units=units,
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
        takes = "a softmax head" if labels.activation == "softmax" else labels.loss_name("softmax")
        yield labels.finding(
            "L401", f"{n} of {rows.size} rows have several 1s, but {takes} is for exclusive classes",
            expected="one 1 in each row, got multi-hot labels", n=n, of=int(rows.size), most=int(rows.max()),
        )  # fmt: skip
        return
    if labels.units is not None and labels.units > 1 and labels.activation == "sigmoid" and labels.encoding in EXCLUSIVE:
        name = labels.loss_name("the loss")
        yield labels.finding(
            "L402",
            f"ends in sigmoid, but {name} is for exclusive classes",
            where=labels.where_head, expected="softmax", remedy="Use softmax.", activation="sigmoid",
        )  # fmt: skip
    elif labels.encoding is Encoding.BINARY and numbers.ndim > 1 and numbers.shape[-1] > 1 and _crossentropy_or_sigmoid(labels):
        rows = numbers.reshape(-1, numbers.shape[-1])
        if len(rows) >= _FEWEST_ROWS and np.all((rows == 0) | (rows == 1)) and np.all(np.count_nonzero(rows, axis=1) == 1):
            yield labels.finding(
                "L402",
                f"each of {len(rows)} rows has exactly one 1, but {labels.loss_name('a sigmoid head')} treats columns separately",
                expected="softmax and categorical_crossentropy for exclusive classes", n=len(rows),
            )  # fmt: skip


def _crossentropy_or_sigmoid(labels: OutputLabels) -> bool:
    return labels.loss.name.startswith("binary") if labels.loss is not None else labels.activation == "sigmoid"


def _signs(labels: OutputLabels) -> Iterator[LabelFinding]:
    """L406."""
    numbers = labels.numbers
    if numbers is None:
        return
    values, _ = value_counts(numbers)
    occurring = set(values.tolist()) if len(values) <= 3 else {2.0}  # noqa: PLR2004 - -1, 0, 1
    evidence: dict[str, Any] = {"values": [float(value) for value in values[:5]]}
    name = labels.loss.name if labels.loss is not None else f"a {labels.activation} head"
    if labels.encoding in (Encoding.BINARY, Encoding.ONE_HOT):
        if -1.0 in occurring and occurring <= {-1.0, 1.0}:
            yield labels.finding("L406", f"are -1 and 1, but {name} takes 0 and 1", expected="0 and 1",
                              remedy="Convert them with (y + 1) / 2, or use hinge.", **evidence)  # fmt: skip
    elif labels.encoding is Encoding.SIGN:
        if occurring <= {0.0, 1.0} and 0.0 in occurring:
            yield labels.finding(
                "L406", f"are 0 and 1, but {name} takes -1 and 1", expected="-1 and 1; Keras converts 0 to -1",
                remedy="Nothing has to be done. With 2 * y - 1, custom metrics get the same labels as the loss.",
                severity=Severity.INFO, **evidence,
            )  # fmt: skip
        elif occurring == {-1.0, 0.0, 1.0}:
            yield labels.finding(
                "L406", f"are -1, 0 and 1, but {name} takes -1 and 1",
                expected="-1 and 1; Keras converts 0 to -1 only in batches without -1",
                remedy="Remove examples with 0, or give them a sample weight of 0.", **evidence,
            )  # fmt: skip
