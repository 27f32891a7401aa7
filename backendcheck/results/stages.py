"""Where a difference begins: the computation stage by stage, with what is known of each. Pure; it changes no verdict.

Differences are those between backends, and from the reference. What a backend returns on another path (the oracles ``paths``
and ``order``) is another computation, which these stages leave out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from backendcheck.compare.findings import Comparison, findings_of, odd_one_out
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.stages import FLOW_STAGES, FlowStage, RecordingStage, flow_stage_of, raised_in

STATES = ("same", "differs", "raised", "not compared", "not recorded")
_GIVEN_AS_LABELS = ("y", "y_true", "sample_weight", "class_weight")
_ORACLES = (Oracle.AGREEMENT, Oracle.REFERENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of the computation of a case.

    `state` is ``same``, ``differs``, ``raised``, ``not compared`` or ``not recorded``. `first` marks the stage with which
    differences begin: one that differs, or that raised on some backends and not on others. `backends` are those that raised,
    that differ (the odd one out where there is one, otherwise all that are involved), or that are missing where others agree.
    """

    name: FlowStage
    state: str
    first: bool = False
    backends: tuple[str, ...] = ()


def case_type(recordings: Mapping[str, Recording]) -> str:
    """``model``, ``loss`` or ``value``, by what was recorded; empty where the case raised before that could be seen."""
    fed = {name.partition("/")[0] for recording in recordings.values() for name in recording.digests}
    if "x" in fed or "y" in fed:
        return "model"
    recorded = {flow_stage_of(name) for recording in recordings.values() for name in recording.observations}
    if "y_true" in fed:
        return "loss"
    errors = [error for recording in recordings.values() for error in recording.raised]
    if recorded == {FlowStage.VALUE} or any(error.stage == RecordingStage.COMPUTE for error in errors):
        return "value"
    if recorded:  # recorded without digests
        return "model" if recorded - set(FLOW_STAGES["loss"]) else "loss"
    return ""


def stages(recordings: Mapping[str, Recording], comparisons: Sequence[Comparison]) -> tuple[Stage, ...]:
    """The stages of one case in the order of the computation, from its recordings by leg and all that was compared of them."""
    raised: dict[FlowStage, list[str]] = {}
    for leg, recording in recordings.items():
        for error in recording.raised:
            for name in raised_in(error.stage):
                raised.setdefault(name, []).append(leg)
    names = ((FlowStage.CASE,) if FlowStage.CASE in raised else ()) + FLOW_STAGES.get(case_type(recordings), ())
    recorded = {flow_stage_of(name) for recording in recordings.values() for name in recording.observations}
    by_stage: dict[FlowStage, list[Comparison]] = {}
    for comparison in comparisons:
        if comparison.oracle in _ORACLES and comparison.observation != "raised":  # that is about the recordings themselves
            by_stage.setdefault(flow_stage_of(comparison.observation), []).append(comparison)
    results: list[Stage] = []
    for name in names:
        began = any(stage.first for stage in results)
        legs = tuple(dict.fromkeys(raised.get(name, ())))
        if legs:
            results.append(Stage(name=name, state="raised", first=not began and len(legs) < len(recordings), backends=legs))
            continue
        if name in (FlowStage.LABELS, FlowStage.INPUTS):
            state, backends = _fed(name, recordings)
        else:
            able = [leg for leg, recording in recordings.items() if name not in _lacking(recording)]
            state, backends = _compared(by_stage.get(name, ()), able)
        if state == "not recorded" and name in recorded:
            state = "not compared"
        results.append(Stage(name=name, state=state, first=state == "differs" and not began, backends=backends))
    return tuple(results)


def _lacking(recording: Recording) -> set[FlowStage]:
    """The stages that the backend of a leg does not support."""
    return {name for stage in recording.not_supported for name in raised_in(stage)}


def _compared(comparisons: Sequence[Comparison], legs: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    findings = findings_of(comparisons)
    if findings:
        odd = odd_one_out(legs, findings)
        involved = {side for finding in findings for side in finding.sides}
        return "differs", (odd,) if odd else tuple(leg for leg in legs if leg in involved)
    reached = {side for comparison in comparisons if comparison.compared for side in comparison.sides}
    if not reached:
        return "not recorded", ()
    missing = tuple(leg for leg in legs if leg not in reached)  # agreement of some legs does not show that the missing ones agree
    return "not compared" if missing else "same", missing


def _fed(name: FlowStage, recordings: Mapping[str, Recording]) -> tuple[str, tuple[str, ...]]:
    """Whether the inputs of the legs differ, by digest: labels with their weights, or everything else a case starts from."""
    fed = {leg: dict(_given(name, recording.digests)) for leg, recording in recordings.items()}
    if not any(fed.values()):
        return "not recorded", ()
    pairs = [(left, right) for left, right in combinations(fed, 2) if fed[left].keys() & fed[right].keys()]
    differing = [
        pair for pair in pairs if any(fed[pair[0]][path] != fed[pair[1]][path] for path in fed[pair[0]].keys() & fed[pair[1]])
    ]
    if not differing:
        return ("same" if pairs else "not compared"), ()
    common = set.intersection(*map(set, differing))
    if len(common) == 1 and len(recordings) > 2 and len(differing) == len(recordings) - 1:  # noqa: PLR2004 - of two neither is odd
        return "differs", tuple(common)
    involved = {leg for pair in differing for leg in pair}
    return "differs", tuple(leg for leg in recordings if leg in involved)


def _given(name: FlowStage, digests: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for path, digest in digests.items():
        if (path.partition("/")[0] in _GIVEN_AS_LABELS) == (name is FlowStage.LABELS):
            yield path, digest


def runs_in_words(stages: Sequence[Stage]) -> list[tuple[str, str]]:
    """The stages as runs of one state: ``same``, ``labels, inputs, forward``; then ``first difference``, ``loss (jax)``."""
    runs: list[tuple[str, tuple[str, ...], list[str]]] = []
    for stage in stages:
        words = state_words(stage)
        if runs and runs[-1][:2] == (words, stage.backends) and not stage.first:
            runs[-1][2].append(stage.name)
        else:
            runs.append((words, stage.backends, [stage.name]))
    return [(words, ", ".join(names) + (f" ({', '.join(backends)})" if backends else "")) for words, backends, names in runs]


def state_words(stage: Stage) -> str:
    """The state of a stage as it reads in a report."""
    if stage.state == "differs":
        return "first difference" if stage.first else "differs after it"
    return f"{stage.state}, the first difference" if stage.first else stage.state
