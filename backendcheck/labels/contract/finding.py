"""A finding of the label contract: which rule, which labels, how severe."""

from __future__ import annotations

import html
import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from backendcheck.errors import UsageError

if TYPE_CHECKING:
    from backendcheck.labels.contract.backend_behavior import BackendBehavior


TRAINING = "training"
_COLUMNS = ("severity", "code", "name", "where", "message", "output", "split", "loss")  # of a data frame


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


class LabelFindings(list[LabelFinding]):
    """The findings of `check_labels`, errors first: a list, which prints as lines and shows as a table in a notebook."""

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "no finding"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """The findings as a table, with what the backends do with such labels."""
        if not self:
            return "<p>no finding</p>"
        style = "text-align:left;vertical-align:top;white-space:normal"
        head = "".join(f'<th scope="col" style="{style}">{title}</th>' for title in ("severity", "rule", "finding"))
        rows = "".join(f"<tr>{''.join(f'<td style={style!r}>{cell}</td>' for cell in _cells(finding))}</tr>" for finding in self)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def to_frame(self) -> Any:
        """The findings as a data frame of pandas, or of polars if pandas is not installed: a row for each finding.

        Raises:
            UsageError: if neither is installed.
        """
        columns: dict[str, list[str]] = {name: [str(getattr(finding, name)) for finding in self] for name in _COLUMNS}
        columns["today"] = ["" if finding.today is None else finding.today.says for finding in self]
        for library in ("pandas", "polars"):
            if importlib.util.find_spec(library) is not None:
                return importlib.import_module(library).DataFrame(columns)
        message = "to_frame: neither pandas nor polars is installed. Install with: pip install pandas"
        raise UsageError(message)


def _cells(finding: LabelFinding) -> tuple[str, str, str]:
    rule = f"<b>{finding.code}</b> {html.escape(finding.name)}"
    today = f"<br><small>{html.escape(finding.today.says)}</small>" if finding.today is not None else ""
    return finding.severity.value, rule, html.escape(finding.message) + today
