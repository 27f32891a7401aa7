"""A diagnosis, and how its sentences are put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backendcheck.diagnose.evidence.difference import Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """A named cause of findings.

    Attributes:
        code: the name of the cause, one of `CODES`.
        backends: the legs that show it.
        message: one or more sentences, with the remedy at the end.
        evidence: the numbers that prove it, by what they are, ready to be printed and for JSON.
        headline: replaces the headline of the findings; empty if theirs is as good.
        remedy: what to do; the end of the message.
    """

    code: str
    backends: tuple[str, ...]
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)
    headline: str = ""
    remedy: str = ""

    @property
    def reason(self) -> str:
        """The message without the remedy."""
        return self.message.removesuffix(self.remedy).rstrip()


def claim(difference: Difference, code: str, text: str, remedy: str, **evidence: Any) -> Diagnosis:
    """A diagnosis of one difference. `text` is a clause about the suspected side; `evidence` is added to the observation."""
    return Diagnosis(
        code=code,
        backends=difference.suspects,
        message=f"{sentence(text)}, against {difference.reference_side}. {remedy}",
        evidence={"observation": difference.observation, **evidence},
        headline=f"{title(code)}: {text}, against {difference.reference_side}",
        remedy=remedy,
    )


def sentence(clause: str) -> str:
    """A clause with a capital letter, unless it begins with the name of an observation."""
    first = clause.partition(" ")[0]
    return clause if "/" in first or "_" in first else clause[0].upper() + clause[1:]


def title(code: str) -> str:
    """A code as the start of a headline: CLASS ORDER."""
    return code.upper().replace("-", " ")
