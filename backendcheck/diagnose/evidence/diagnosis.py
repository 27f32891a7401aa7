"""What a detector says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backendcheck.diagnose.evidence.difference import Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """A named cause: `code`, the legs it is about, a message with what to do, and figures that prove it.

    `evidence` maps words to what they stand for, ready to be printed and to be JSON. `headline` replaces the headline of the
    findings where the cause says more than they do. `remedy` is what to do: the end of the message,
    by itself.
    """

    code: str
    backends: tuple[str, ...]
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)
    headline: str = ""
    remedy: str = ""

    @property
    def reason(self) -> str:
        """The message without what to do."""
        return self.message.removesuffix(self.remedy).rstrip()


def claim(difference: Difference, code: str, text: str, remedy: str, **evidence: Any) -> Diagnosis:
    """The diagnosis that explains one difference: `text` is a clause that says what is so on the suspected side."""
    return Diagnosis(
        code=code,
        backends=difference.suspects,
        message=f"{sentence(text)}, against {difference.reference_side}. {remedy}",
        evidence={"observation": difference.observation, **evidence},
        headline=f"{title(code)}: {text}, against {difference.reference_side}",
        remedy=remedy,
    )


def sentence(clause: str) -> str:
    """A clause as a sentence begins, unless it begins with the name of an observation."""
    first = clause.partition(" ")[0]
    return clause if "/" in first or "_" in first else clause[0].upper() + clause[1:]


def title(code: str) -> str:
    """A code as a headline begins: CLASS ORDER."""
    return code.upper().replace("-", " ")
