"""A finding of the label contract: which rule, which labels, how severe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backendcheck.labels.contract.backend_behavior import BackendBehavior


TRAINING = "training"


class Severity(StrEnum):
    """How bad a finding is: an error makes training wrong, a warning may do so, an info is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which labels, head or loss a finding is about; the attributes are those of `LabelFinding`."""

    where: str
    output: str = ""
    split: str = TRAINING
    loss: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFinding:
    """One rule that some labels break.

    Attributes:
        code: the code of the rule, such as ``"L104"``. A code never changes its meaning.
        name: the name of the rule, such as ``"starts-at-one"``.
        severity: ``"error"``, ``"warning"`` or ``"info"``.
        where: which labels, head or loss, such as ``"validation labels of Stage"``.
        message: one line: *where: what is wrong; expected X, got Y. What to do.*
        output: the output of the model that the labels are for; ``""`` for a single unnamed one.
        split: ``"training"``, ``"validation"`` or ``"test"``.
        loss: the Keras loss that the labels are for; ``""`` if it is not known or is a custom loss.
        variant: which variant of the rule it is: a label, a dtype or an activation. None if no recorded case can match.
        evidence: the numbers behind the message, ready for JSON: counts, and under ``first`` the first few indices.
    """

    code: str
    name: str
    severity: Severity
    where: str
    message: str
    output: str = ""
    split: str = TRAINING
    loss: str = ""
    variant: str | None = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str | None:
        """The former name of `variant`."""
        return self.variant

    @property
    def today(self) -> BackendBehavior | None:
        """What each Keras backend does with such labels, as recorded from cases; None if no case shows it."""
        from backendcheck.labels.contract.backend_behavior import backend_behavior

        return None if self.variant is None else backend_behavior(self.code, self.loss or None, self.variant or None)

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON."""
        return {
            "code": self.code, "name": self.name, "severity": self.severity.value, "where": self.where, "message": self.message,
            "output": self.output, "split": self.split, "loss": self.loss, "evidence": dict(self.evidence),
            "today": self.today.to_dict() if self.today is not None else None,
        }  # fmt: skip

    def __str__(self) -> str:
        return f"{self.severity} {self.code} {self.name}  {self.message}"
