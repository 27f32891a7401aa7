"""Comparisons and findings, and what a set of findings says together: the leading one, groups that agree, the odd one out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from backendcheck.case import Tolerance
from backendcheck.recordings.noise import NoiseFloor
from backendcheck.recordings.recording import Raised, Recording
from backendcheck.text.words import counted, cut, first_line
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import flow_key
from backendcheck.vocabulary.sides import Side


@dataclass(slots=True, kw_only=True)
class Comparison:
    """What an oracle saw of one observation on two sides. One that differs is a `Finding`.

    `excess` is the largest |difference| / allowed, or None where the comparison is exact or structural. `message` is a note, for
    example on ties. `noise` is how far numerical noise moves the two sides, where that was measured.

    No one changes it. It is not frozen, because a run has tens of thousands, and a frozen one takes four times as long to make.
    """

    oracle: Oracle
    observation: str
    left: Side
    right: Side
    message: str = ""
    excess: float | None = None
    tolerance: Tolerance | None = None
    origin: str = "exact"
    n_elements: int = 0
    n_different: int = 0
    max_abs: float | None = None
    max_rel: float | None = None
    worst_index: tuple[int, ...] | None = None
    worst_left: Any = None
    worst_right: Any = None
    evidence: dict[str, Any] = field(default_factory=dict)
    noise: NoiseFloor | None = None

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.left, self.right

    @property
    def compared(self) -> bool:
        """Whether any element, or the structure, was really compared with another."""
        return self.n_elements > 0


@dataclass(slots=True, kw_only=True)
class Finding(Comparison):
    """A comparison whose sides differ. `message` says in words what differs."""

    kind: FindingKind

    @property
    def compared(self) -> bool:
        """A difference in structure is one without elements."""
        return True


@dataclass(slots=True, kw_only=True)
class Pairing:
    """What is compared: an observation on two sides, by an oracle."""

    oracle: Oracle
    observation: str
    left: Side
    right: Side

    def passed(self, **measured: Any) -> Comparison:
        return Comparison(oracle=self.oracle, observation=self.observation, left=self.left, right=self.right, **measured)

    def finding(self, kind: FindingKind, message: str, **measured: Any) -> Finding:
        return Finding(
            oracle=self.oracle, observation=self.observation, left=self.left, right=self.right, kind=kind, message=message,
            **measured,
        )  # fmt: skip

    def structural(self, kind: FindingKind, message: str) -> Finding:
        """A finding about the structure, which no tolerance applies to."""
        return self.finding(kind, message, origin="structure")


def findings_of(comparisons: Iterable[Comparison]) -> tuple[Finding, ...]:
    return tuple(comparison for comparison in comparisons if isinstance(comparison, Finding))


def leading(findings: Sequence[Finding]) -> Finding:
    """The finding that says most: structure before values, early in the computation before late."""
    return min(findings, key=lambda finding: (finding.kind.rank, finding.oracle.rank, flow_key(finding.observation)))


def partition(name: str, findings: Sequence[Finding], legs: Sequence[str]) -> list[list[str]]:
    """The legs in groups that agree on an observation, the largest last: a leg that stands alone is read first."""
    differing = {frozenset(f.sides) for f in findings if f.oracle is Oracle.AGREEMENT and f.observation == name}
    return agreeing_groups(legs, differing)


def agreeing_groups(legs: Sequence[str], differing: Collection[Collection[str]]) -> list[list[str]]:
    """The legs in groups in which no pair is one of the `differing` ones, the largest last."""
    groups: list[list[str]] = []
    for leg in legs:
        for group in groups:
            if all(frozenset((leg, member)) not in differing for member in group):
                group.append(leg)
                break
        else:
            groups.append([leg])
    return sorted(groups, key=len)


def odd_one_out(legs: Sequence[str], findings: Sequence[Finding]) -> str | None:
    """The leg that every disagreement involves, while the others agree among themselves; None without such a leg."""
    pairs = {frozenset(finding.sides) for finding in findings if finding.oracle is Oracle.AGREEMENT}
    if len(legs) > 2 and pairs:  # noqa: PLR2004 - of two that differ, neither is the odd one
        common = frozenset.intersection(*pairs)
        if len(common) == 1 and len(pairs) == len(legs) - 1:
            return next(iter(common))
        return None
    alone = {finding.left.leg for finding in findings if finding.oracle is not Oracle.AGREEMENT}
    return next(iter(alone)) if not pairs and len(alone) == 1 and len(legs) > 1 else None


_LONGEST_ERROR: Final = 120  # characters of a message beside those of other legs


def error_words(error: Raised, where: str = "") -> str:
    """The class of an exception and the first line of its message: ``IndexError: Target 3 is out of bounds``.

    `where` follows the class: ``IndexError through fit: Target 3 is out of bounds``.
    """
    line = cut(first_line(error.message, 2 * _LONGEST_ERROR).rstrip("."), _LONGEST_ERROR)
    return f"{error.type}{where}: {line}" if line else f"{error.type}{where}"


def first_errors(recordings: Mapping[str, Recording]) -> dict[str, list[str]]:
    """What the legs have raised first, each in its own words, with the legs that raised the same."""
    legs: dict[str, list[str]] = {}
    for leg, recording in recordings.items():
        if recording.raised:
            legs.setdefault(error_words(recording.raised[0]), []).append(leg)
    return legs


def what_came_instead(recording: Recording) -> str:
    """What a backend returned where another raised, in a few words: the loss if there is one."""
    for name in ("loss", "train/loss", *recording.observations):
        observation = recording.observations.get(name)
        if observation is not None and observation.value.size and not observation.is_text and observation.is_float:
            number = observation.value.ravel()[0]
            many = "" if observation.value.size == 1 else f" (first of {observation.value.size})"
            return f"{name} {number:.6g}{many}"
    return f"{counted(len(recording.observations), 'observation')} and no error"
