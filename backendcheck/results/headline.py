"""What is wrong with a case, in one line and in the words of its labels. Pure functions from findings to text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backendcheck.compare.findings import Finding, leading, partition, what_came_instead
from backendcheck.recordings.recording import Recording
from backendcheck.text.words import first_line, listed
from backendcheck.verdicts.verdict import Judgement, not_supported, reasons_not_compared, supported
from backendcheck.vocabulary.findings import INSIDE_ONE_BACKEND, FindingKind, Oracle
from backendcheck.vocabulary.observations import Observation, Quantity, quantity_of
from backendcheck.vocabulary.problems import ProblemCode

_LONGEST_LIST = 8  # names that a line can hold
_LABELS = {
    ProblemCode.NO_RECORDING: "MISSING",
    ProblemCode.TIMED_OUT: "TIMED OUT",
    ProblemCode.CRASHED: "CRASHED",
    ProblemCode.SKIPPED: "SKIPPED",
    ProblemCode.ONE_LEG: "NOTHING COMPARED",
    ProblemCode.NOTHING_COMPARED: "NOTHING COMPARED",
}


def headline(judgement: Judgement, recordings: Mapping[str, Recording]) -> str:
    """The first line of a report about a case: what differs and who is on which side."""
    if judgement.problems:
        first = judgement.problems[0]
        more = f" (and {len(judgement.problems) - 1} more)" if len(judgement.problems) > 1 else ""
        return f"{_problem_label(first.code)}: {first_line(first.sentence)}{more}"
    if not judgement.findings:
        # A case that passes without some of its comparisons does not pass in silence.
        if unsupported := not_supported(recordings):
            return f"NOT SUPPORTED: {'; '.join(unsupported)}"
        reasons = reasons_not_compared(recordings)
        return f"NOT COMPARED: {'; '.join(reasons)}" if reasons else ""
    recordings = supported(recordings)
    finding = leading(judgement.findings)
    text = _sentence(finding, judgement.findings, recordings)
    return f"{_label(finding)}: {text}"


def _problem_label(code: ProblemCode) -> str:
    return "NOT COMPARABLE" if code.incomparable else _LABELS.get(code, "ERROR")


def _label(finding: Finding) -> str:
    if finding.kind == FindingKind.ORDER:
        return "OUTPUT ORDER" if quantity_of(finding.observation) is Quantity.OUTPUT_ORDER else "ORDER"
    if finding.kind == FindingKind.VALUE:
        return {"reference": "WRONG VALUE", "paths": "PATHS DIFFER", "order": "DEPENDS ON ORDER"}.get(finding.oracle, "VALUE")
    return (finding.kind or "").upper()


def _sentence(finding: Finding, findings: Sequence[Finding], recordings: Mapping[str, Recording]) -> str:
    if finding.kind == FindingKind.RAISED:
        return _raised(findings, recordings)
    if finding.oracle == Oracle.REFERENCE:
        return _against_reference(finding, findings, recordings)
    if finding.oracle != Oracle.AGREEMENT:
        return f"{finding.observation}: {finding.message}"
    groups = partition(finding.observation, findings, list(recordings))
    name = finding.observation
    if finding.kind == FindingKind.ORDER:
        what = "predict returns" if name == "output_order" else f"{name} is"
        parts = [f"{_listed(_text(recordings[group[0]], name))} on {listed(group)}" for group in groups]
        return f"{what} {'; '.join(parts)}"
    if finding.kind == FindingKind.MISSING:
        present = [leg for leg, recording in recordings.items() if name in recording.observations]
        absent = [leg for leg in recordings if leg not in present]
        return f"{name} recorded on {listed(present)}, missing on {listed(absent)}"
    if finding.kind in (FindingKind.SHAPE, FindingKind.DTYPE):
        parts = [
            f"{observation.value.shape if finding.kind == FindingKind.SHAPE else observation.dtype} on {listed(group)}"
            for group, observation in _by_group(name, groups, recordings)
        ]
        return f"{name} is {'; '.join(parts)}"
    if finding.kind == FindingKind.VALUE and finding.n_elements == 1:
        by_group = _by_group(name, groups, recordings)
        singles = [(group, observation.value.item()) for group, observation in by_group if observation.value.size == 1]
        numbers = _numbers([value for _, value in singles])
        parts = [f"{number} on {listed(group)}" for (group, _), number in zip(singles, numbers, strict=True)]
        return f"{name} is {'; '.join(parts)}"
    return f"{name}: {finding.message}"


def _by_group(name: str, groups: Sequence[list[str]], recordings: Mapping[str, Recording]) -> list[tuple[list[str], Observation]]:
    """The groups that have the observation, each with what its first leg recorded."""
    observations = [(group, recordings[group[0]].observations.get(name)) for group in groups]
    return [(group, observation) for group, observation in observations if observation is not None]


def _against_reference(finding: Finding, findings: Sequence[Finding], recordings: Mapping[str, Recording]) -> str:
    """Which legs differ from the reference: all of them, or some."""
    name = finding.observation
    against = [finding for finding in findings if finding.oracle is Oracle.REFERENCE and finding.observation == name]
    legs = [finding.left for finding in against]
    who = "every backend" if len(legs) == len(recordings) and len(legs) > 1 else listed(legs)
    if finding.n_elements != 1 or finding.kind != FindingKind.VALUE or "directions" in finding.evidence:
        return f"{name}: {finding.message.replace(f' on {finding.left}', f' on {who}', 1)}"
    left, right = _numbers([finding.worst_left, finding.worst_right])
    return f"{name} is {left} on {who}; the reference says {right}"


def _raised(findings: Sequence[Finding], recordings: Mapping[str, Recording]) -> str:
    throwers = [leg for leg, recording in recordings.items() if recording.raised]
    others = [leg for leg in recordings if leg not in throwers]
    wrong = [finding for finding in findings if finding.oracle == Oracle.EXPECTATION]
    inside = [finding for finding in findings if finding.kind == FindingKind.RAISED and finding.oracle in INSIDE_ONE_BACKEND]
    if inside and not wrong and not (throwers and others):
        return f"{inside[0].left}: {inside[0].message}"
    if not throwers:
        returned = "; ".join(f"{what_came_instead(recordings[leg])} on {leg}" for leg in others)
        return f"expected every backend to reject this, none did: {returned}"
    types = [recordings[leg].raised[0].type for leg in throwers]
    if others:
        verb = "raises" if len(throwers) == 1 else "raise"
        names = types[0] if len(set(types)) == 1 else ", ".join(types)
        returned = "; ".join(f"{leg} returns {what_came_instead(recordings[leg])}" for leg in others)
        return f"{listed(throwers)} {verb} {names}; {returned}"
    error = recordings[wrong[0].left].raised[0] if wrong else recordings[throwers[0]].raised[0]
    if wrong and recordings[wrong[0].left].expect is not None:
        return f"{wrong[0].left} {wrong[0].message}"
    return f"every backend raises, unasked: {error.type}: {first_line(error.message)}"


def _text(recording: Recording, name: str) -> list[str]:
    observation = recording.observations.get(name)
    return [] if observation is None else [str(item) for item in observation.value.ravel().tolist()]


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _LONGEST_LIST:
        return ", ".join(names)
    return f"{', '.join(names[:_LONGEST_LIST])} … ({len(names)})"


def _numbers(values: Sequence[object]) -> list[str]:
    """Values with enough digits to tell them apart; all but floats in full."""
    short = [f"{value:.7g}" if isinstance(value, float) else repr(value) for value in values]
    return short if len(set(short)) == len(short) else [repr(value) for value in values]
