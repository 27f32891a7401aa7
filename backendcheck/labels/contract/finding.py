"""One thing that is wrong, or worth knowing, about labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backendcheck.labels.contract.backend_behavior import Today


class Severity(StrEnum):
    """An error makes training wrong, a warning may, an info is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFinding:
    """What a rule of the label contract says of some labels.

    Attributes:
        code: the rule, such as ``"L104"``; it never gets another meaning.
        name: the rule in words, such as ``"starts-at-one"``.
        severity: ``"error"``, ``"warning"`` or ``"info"``.
        where: which labels, such as ``"validation labels of Stage"``.
        message: one line: *where: what is wrong; expected X, got Y. What to do.*
        output: the output of the model that they are for; ``""`` for a single unnamed one.
        split: ``"training"``, ``"validation"`` or ``"test"``.
        loss: the loss of Keras that they are for; ``""`` where it is not known or the user's own.
        kind: which sort of the thing it is, where a rule has several: a value, a dtype, an activation. None where it is a sort
            that backends need not be asked about.
        evidence: numbers behind the message, ready for JSON: counts, and in ``first`` the first few indices.
    """

    code: str
    name: str
    severity: Severity
    where: str
    message: str
    output: str = ""
    split: str = "training"
    loss: str = ""
    kind: str | None = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def today(self) -> Today | None:
        """What each backend of Keras does with such labels, as cases have recorded it; None where no case is about it."""
        from backendcheck.labels.contract.backend_behavior import today

        return None if self.kind is None else today(self.code, self.loss or None, self.kind or None)

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON has it."""
        behavior = self.today
        behavior_json = None
        if behavior is not None:
            behavior_json = {
                "keras": behavior.keras,
                "cases": list(behavior.cases),
                "backends": dict(behavior.backends),
                "says": behavior.says,
            }
        return {
            "code": self.code, "name": self.name, "severity": self.severity.value, "where": self.where, "message": self.message,
            "output": self.output, "split": self.split, "loss": self.loss, "evidence": dict(self.evidence),
            "today": behavior_json,
        }  # fmt: skip

    def __str__(self) -> str:
        return f"{self.severity} {self.code} {self.name}  {self.message}"
