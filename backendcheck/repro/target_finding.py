"""What must stay the same while a case is made smaller: the leading finding, the first diagnosis, the exceptions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backendcheck.compare.findings import Finding, leading
from backendcheck.compare.tolerances import Override
from backendcheck.diagnose import diagnose
from backendcheck.recordings.recording import Recording
from backendcheck.text.words import first_line
from backendcheck.verdicts.verdict import judge
from backendcheck.vocabulary.findings import FindingKind
from backendcheck.vocabulary.observations import Quantity, quantity_of
from backendcheck.vocabulary.sides import Side

_WORDS = 8  # of an exception's message: enough to distinguish errors, but without the values that it quotes


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TargetFinding:
    """The leading finding of a case, all pairs of sides that have it, the first diagnosis, and the exceptions by leg."""

    finding: Finding
    sides: frozenset[frozenset[Side]]
    diagnosis: str | None
    raised: Mapping[str, tuple[str, str, str]]
    legs: tuple[str, ...]

    @property
    def family(self) -> tuple[str, str | None, str]:
        return _family(self.finding)

    @property
    def grounded(self) -> bool:
        """Whether the recordings alone show the finding. That every backend should raise is known to the author only."""
        return not (self.finding.kind == FindingKind.RAISED and not self.raised)

    def same_as(self, target: TargetFinding) -> bool:
        return (self.family, self.sides, self.diagnosis, self.raised) == (
            target.family, target.sides, target.diagnosis, target.raised
        )  # fmt: skip


def _family(finding: Finding) -> tuple[str, str | None, str]:
    name = finding.observation
    # Values have names given by the case; other observations are grouped by their quantity.
    quantity = quantity_of(name)
    family = str(quantity) if quantity is not Quantity.VALUE else name.partition(" (")[0]
    if family == "train/metric":
        family = name
    return finding.oracle, finding.kind, family


def target_finding_of(
    recordings: Mapping[str, Recording], overrides: Sequence[Override] = (), like: TargetFinding | None = None
) -> TargetFinding | None:
    """The target finding in these recordings; None without a finding, or if they cannot be compared.

    With `like`, the leading finding must be of the same family; other findings may differ.
    """
    judgement = judge(recordings, list(recordings), overrides)
    if judgement.problems or not judgement.findings:
        return None
    finding = leading(judgement.findings)
    if like is not None and _family(finding) != like.family:
        return None
    family = [similar for similar in judgement.findings if _family(similar) == _family(finding)]
    diagnoses = diagnose(judgement.findings, recordings)
    return TargetFinding(
        finding=finding,
        sides=frozenset(frozenset(similar.sides) for similar in family),
        diagnosis=diagnoses[0].code if diagnoses else None,
        raised={leg: _raised(recording) for leg, recording in recordings.items() if recording.raised},
        legs=tuple(recordings),
    )


def _raised(recording: Recording) -> tuple[str, str, str]:
    error = recording.raised[0]
    words = re.findall(r"[A-Za-z]{2,}", first_line(error.message))
    return error.stage, error.type, " ".join(words[:_WORDS])
