"""What is to be kept while a case is made smaller: its leading finding, its first diagnosis, who raised what."""

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

_WORDS = 8  # of an exception's message: enough to tell two complaints apart, short of the values that it quotes


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Symptom:
    """What a case shows: its leading finding, all pairs of sides that it holds for, the code of the first diagnosis, if any."""

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
        """Whether the recordings alone tell it. That *no* backend rejects something is known to the author only."""
        return not (self.finding.kind == FindingKind.RAISED and not self.raised)

    def same_as(self, other: Symptom) -> bool:
        return (self.family, self.sides, self.diagnosis, self.raised) == (
            other.family, other.sides, other.diagnosis, other.raised
        )  # fmt: skip


def _family(finding: Finding) -> tuple[str, str | None, str]:
    name = finding.observation
    # What a case calls its own figures tells them apart; of everything else the kind does.
    quantity = quantity_of(name)
    family = str(quantity) if quantity is not Quantity.VALUE else name.partition(" (")[0]
    if family == "train/metric":
        family = name
    return finding.oracle, finding.kind, family


def symptom_of(
    recordings: Mapping[str, Recording], overrides: Sequence[Override] = (), like: Symptom | None = None
) -> Symptom | None:
    """What these recordings show; None if nothing does, or they cannot be compared.

    With `like`, the leading finding has to be of the same family; what else is found may differ.
    """
    judgement = judge(recordings, list(recordings), overrides)
    if judgement.problems or not judgement.findings:
        return None
    finding = leading(judgement.findings)
    if like is not None and _family(finding) != like.family:
        return None
    family = [one for one in judgement.findings if _family(one) == _family(finding)]
    diagnoses = diagnose(judgement.findings, recordings)
    return Symptom(
        finding=finding,
        sides=frozenset(frozenset(one.sides) for one in family),
        diagnosis=diagnoses[0].code if diagnoses else None,
        raised={leg: _raised(recording) for leg, recording in recordings.items() if recording.raised},
        legs=tuple(recordings),
    )


def _raised(recording: Recording) -> tuple[str, str, str]:
    error = recording.raised[0]
    words = re.findall(r"[A-Za-z]{2,}", first_line(error.message))
    return error.stage, error.type, " ".join(words[:_WORDS])
