"""The labels of one output in one split, with their task: encoding, loss, head and class names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from backendcheck.labels.contract.finding import TRAINING, LabelFinding, Place, Severity
from backendcheck.labels.contract.rules import make_finding
from backendcheck.labels.inputs.encoding import Encoding
from backendcheck.model_file import DeclaredLoss, Head
from backendcheck.text.words import counted

_ROW_SUM = 1e-3  # how far the sum of a one-hot row may be from 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutputLabels:
    """The labels of N examples for one output.

    Attributes:
        output: the name of the output; ``""`` for a single unnamed one.
        split: ``"training"``, ``"validation"`` or ``"test"``.
        raw: the labels as the user has them, (N, …).
        numbers: the labels as int64 or float64; None if they are not numbers.
        encoding: how the labels are to be read.
        loss: the loss that they are for, if known.
        head: the head that they are for, if known.
        class_names: the names of the classes, by index; empty if not known.
        n_classes: how many classes the caller declared, or how many class names there are; None if neither is known.
        weights: sample weights, (N, …), or None.
        unknown_names: text labels that are not class names, each once.
        n_unknown: how many labels have an unknown name. They are left out of `numbers`.
        missing: which labels are an empty text or nothing, among text; None if labels are not text.
        by_name: whether `numbers` are the indices of class names that the labels hold.
        several: the first text that names several classes; empty without one.
        separator: what is between the names of such a text.
        n_outputs: how many outputs the model has.
    """

    output: str
    split: str = TRAINING
    raw: np.ndarray
    numbers: np.ndarray | None
    encoding: Encoding
    loss: DeclaredLoss | None = None
    head: Head | None = None
    class_names: tuple[str, ...] = ()
    n_classes: int | None = None
    weights: np.ndarray | None = None
    unknown_names: tuple[str, ...] = ()
    n_unknown: int = 0
    missing: np.ndarray | None = None
    by_name: bool = False
    several: str = ""
    separator: str = ""
    n_outputs: int = 1

    @property
    def where(self) -> str:
        split = "" if self.split == TRAINING else f"{self.split} "
        return f"{split}labels of {self.output}" if self.output else f"{split}labels"

    @property
    def where_head(self) -> str:
        """The head, as the place in a message."""
        return f"head of {self.output}" if self.output else "head"

    @property
    def units(self) -> int | None:
        """How many columns the head has; None if not known."""
        return self.head.units if self.head is not None else None

    @property
    def activation(self) -> str | None:
        return self.head.activation if self.head is not None else None

    @property
    def columns(self) -> int | None:
        """How many columns the output has: `units`, or else `n_classes`."""
        return self.units or self.n_classes

    @property
    def columns_source(self) -> str:
        """Where `columns` comes from, for a message: ``a head of 3 units``, ``3 class names``, ``n_classes=3``."""
        if self.units:
            return f"a head of {counted(self.units, 'unit')}"
        if len(self.class_names) == self.n_classes:
            return counted(len(self.class_names), "class name")
        return f"n_classes={self.n_classes}"

    def option(self, name: str) -> Any:
        """An option of the loss; None if it is not set."""
        return self.loss.options.get(name) if self.loss is not None else None

    def loss_name(self, otherwise: str) -> str:
        """The name of the loss, or `otherwise` if no loss is known."""
        return self.loss.name if self.loss is not None else otherwise

    def class_text(self, index: int) -> str:
        """A class for a message: its name if known, or else its index."""
        return self.class_names[index] if 0 <= index < len(self.class_names) else str(index)

    @property
    def is_one_hot_instead(self) -> bool:
        """Whether labels for an integer loss are one-hot rows: as wide as the head, and of its rank if that is known."""
        numbers = self.numbers
        if numbers is None or numbers.ndim < 2 or numbers.shape[-1] < 2:  # noqa: PLR2004 - rows of two or more
            return False
        if self.head is not None and self.head.shape is not None:
            return numbers.ndim == len(self.head.shape)
        if self.columns is not None and numbers.shape[-1] != self.columns:
            return False
        with np.errstate(all="ignore"):
            in_range = np.all((numbers >= 0) & (numbers <= 1))
            return bool(in_range and np.all(np.abs(numbers.sum(axis=-1) - 1) < _ROW_SUM))

    @property
    def is_integer_instead(self) -> bool:
        """Whether labels for a one-hot loss are a single number for each example."""
        numbers = self.numbers
        if numbers is None or self.encoding is not Encoding.ONE_HOT:
            return False
        if self.head is not None and self.head.shape is not None and self.units != 1:
            return numbers.ndim < len(self.head.shape) or numbers.shape[-1] == 1
        return numbers.ndim < 2 or numbers.shape[-1] == 1  # noqa: PLR2004 - rows

    def finding(
        self, code: str, problem: str, *, expected: str = "", remedy: str = "", severity: Severity | None = None, where: str = "",
        variant: str | None = "", **evidence: Any,
    ) -> LabelFinding:  # fmt: skip
        """A finding about these labels, or about their head if `where` is `where_head`. See `make_finding`."""
        loss = self.loss.name if self.loss is not None and not self.loss.custom else ""
        place = Place(where=where or self.where, output=self.output, split=self.split, loss=loss)
        return make_finding(
            code, place, problem, expected=expected, remedy=remedy, severity=severity, variant=variant, evidence=evidence
        )
