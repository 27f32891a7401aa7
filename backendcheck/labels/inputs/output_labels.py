"""The labels of one output in one split, with all that is known of what they are for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backendcheck.labels.contract.finding import LabelFinding, Severity
from backendcheck.labels.contract.rules import RULES
from backendcheck.labels.inputs.encoding import Encoding
from backendcheck.model_file import DeclaredLoss, Head
from backendcheck.text.words import counted

TRAINING = "training"
_MOST_NAMED = 5  # indices and values in a message or in the evidence


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutputLabels:
    """Labels of N examples.

    Attributes:
        given: as they came, (N, …).
        numbers: the same as int64 or float64; None where they are no numbers.
        encoding: how they are to be read.
        weights: sample weights, (N, …), or None.
        n_classes: as the caller said, or as many as there are class names; None where neither is known.
        unnamed: texts that are none of the class names, each once; `n_unnamed` labels are one of them, and not among the numbers.
    """

    output: str
    split: str = TRAINING
    given: np.ndarray
    numbers: np.ndarray | None
    encoding: Encoding
    loss: DeclaredLoss | None = None
    head: Head | None = None
    class_names: tuple[str, ...] = ()
    n_classes: int | None = None
    weights: np.ndarray | None = None
    unnamed: tuple[str, ...] = ()
    n_unnamed: int = 0

    @property
    def where(self) -> str:
        split = "" if self.split == TRAINING else f"{self.split} "
        return f"{split}labels of {self.output}" if self.output else f"{split}labels"

    @property
    def of_head(self) -> str:
        """The head that they are for, as a place in a message."""
        return f"head of {self.output}" if self.output else "head"

    @property
    def units(self) -> int | None:
        """How many columns the head has."""
        return self.head.units if self.head is not None else None

    @property
    def activation(self) -> str | None:
        return self.head.activation if self.head is not None else None

    @property
    def columns(self) -> int | None:
        """How many columns the output has, by the head or else by what was said; None where nothing is known."""
        return self.units or self.n_classes

    def option(self, name: str) -> Any:
        """An option of the loss, None where it is not given."""
        return self.loss.options.get(name) if self.loss is not None else None

    @property
    def told_by(self) -> str:
        """Where `columns` is from, for a message."""
        if self.units:
            return f"a head of {counted(self.units, 'unit')}"
        if len(self.class_names) == self.n_classes:
            return counted(len(self.class_names), "class name")
        return f"n_classes={self.n_classes}"

    def finding(
        self, code: str, problem: str, *, expected: str = "", remedy: str = "", severity: Severity | None = None, where: str = "",
        kind: str | None = "", **evidence: Any,
    ) -> LabelFinding:  # fmt: skip
        """A finding on these labels; `what` says what they are, `expected` what they should be, with what they are instead."""
        loss = self.loss.name if self.loss is not None and not self.loss.custom else ""
        return make_finding(
            code, where or self.where, problem, expected=expected, remedy=remedy, severity=severity, output=self.output,
            split=self.split, loss=loss, kind=kind, evidence=evidence,
        )  # fmt: skip


def make_finding(
    code: str, where: str, problem: str, *, expected: str = "", remedy: str = "", severity: Severity | None = None,
    output: str = "", split: str = TRAINING, loss: str = "", kind: str | None = "", evidence: dict[str, Any] | None = None,
) -> LabelFinding:  # fmt: skip
    """A finding, its message put together as *where: what is wrong; expected X, got Y. What to do.*."""
    rule = RULES[code]
    middle = f"; expected {expected}" if expected else ""
    message = f"{where}: {problem}{middle}. {remedy or rule.remedy}"
    return LabelFinding(
        code=code, name=rule.name, severity=severity or rule.severities[0], where=where, message=message.strip(), output=output,
        split=split, loss=loss, kind=kind, evidence=evidence or {},
    )  # fmt: skip


def first_places(mask: np.ndarray) -> list[int] | list[list[int]]:
    """The indices of the first few True: numbers where `mask` has one axis, or else lists of them."""
    if mask.ndim == 1:
        return [int(index) for index in np.flatnonzero(mask)[:_MOST_NAMED]]
    flat = np.flatnonzero(mask.ravel())[:_MOST_NAMED]
    return [[int(part) for part in np.unravel_index(index, mask.shape)] for index in flat]


def values_in_words(values: Sequence[Any] | np.ndarray, counts: Sequence[int] | np.ndarray | None = None) -> str:
    """As in ``-1 (12 times), 255``: the first few, and how many more there are."""
    shown = [plain(value) for value in list(values)[:_MOST_NAMED]]
    if counts is not None:
        shown = [text if n == 1 else f"{text} ({n} times)" for text, n in zip(shown, counts, strict=False)]
    more = len(values) - _MOST_NAMED
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def plain(value: Any) -> str:
    """A number as one writes it: 3 for 3.0."""
    number = float(value)
    if number.is_integer() and abs(number) < 1e15:  # noqa: PLR2004 - beyond it the digits are none
        return str(int(number))
    return f"{number:g}"


def names_in_words(names: Sequence[str]) -> str:
    """``'cat', 'dog' and 3 more``."""
    more = len(names) - _MOST_NAMED
    return ", ".join(repr(str(name)) for name in names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
