"""What a set of findings says together: the leading one, the groups of legs that agree, the odd one out."""

from __future__ import annotations

from collections.abc import Sequence

from backendcheck.compare.arrays import Comparison
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import flow_key


def leading(findings: Sequence[Comparison]) -> Comparison:
    """The finding that says most: structure before values, early in the computation before late."""
    return min(
        findings,
        key=lambda finding: ((finding.kind or FindingKind.VALUE).rank, finding.oracle.rank, flow_key(finding.observation)),
    )


def partition(name: str, findings: Sequence[Comparison], legs: Sequence[str]) -> list[list[str]]:
    """The legs in groups that agree on an observation, the largest last, so that who stands alone is read first."""
    differing = {frozenset(f.sides) for f in findings if f.oracle == Oracle.AGREEMENT and f.observation == name}
    groups: list[list[str]] = []
    for leg in legs:
        for group in groups:
            if all(frozenset((leg, other)) not in differing for other in group):
                group.append(leg)
                break
        else:
            groups.append([leg])
    return sorted(groups, key=len)


def odd_one_out(legs: Sequence[str], findings: Sequence[Comparison]) -> str | None:
    """The leg that every disagreement involves, while the others agree among themselves; None if there is no such leg."""
    pairs = {frozenset(finding.sides) for finding in findings if finding.oracle == Oracle.AGREEMENT}
    if len(legs) > 2 and pairs:  # noqa: PLR2004 - of two that differ, neither is the odd one
        common = frozenset.intersection(*pairs)
        if len(common) == 1 and len(pairs) == len(legs) - 1:
            return next(iter(common))
        return None
    alone = {finding.left for finding in findings if finding.oracle != Oracle.AGREEMENT}
    return next(iter(alone)) if not pairs and len(alone) == 1 and len(legs) > 1 else None


def what_came_instead(recording: Recording) -> str:
    """What a backend returned where another raised, in a few words: the loss if there is one."""
    for name in ("loss", "train/loss", *recording.observations):
        seen = recording.observations.get(name)
        if seen is not None and seen.value.size and not seen.is_text and seen.is_float:
            figure = seen.value.ravel()[0]
            many = "" if seen.value.size == 1 else f" (first of {seen.value.size})"
            return f"{name} {figure:.6g}{many}"
    return f"{len(recording.observations)} observations and no error"
