"""What a detector says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """A named cause: `code`, the legs it is about, a message with what to do, and figures that prove it.

    `evidence` maps words to what they stand for, ready to be printed and to be JSON. `headline` replaces the headline of the
    findings where the cause says more than they do.
    """

    code: str
    backends: tuple[str, ...]
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)
    headline: str = ""
