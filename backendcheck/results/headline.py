"""What is wrong with a case, in one line and in the words of its labels. Pure functions from findings to text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from backendcheck.compare.backends import concerned_legs, errors_in_reach
from backendcheck.compare.findings import Finding, first_errors, leading, partition, what_came_instead
from backendcheck.recordings.recording import Recording
from backendcheck.text.words import first_line, listed
from backendcheck.verdicts.verdict import Judgement, not_supported, reasons_not_compared, supported
from backendcheck.vocabulary.findings import INSIDE_ONE_BACKEND, FindingKind, Oracle
from backendcheck.vocabulary.observations import Observation, ObservationName, Quantity, quantity_of
from backendcheck.vocabulary.problems import ProblemCode
from backendcheck.vocabulary.relations import is_relation

_LONGEST_LIST = 8  # names that a line can hold
_MOST_EXAMPLES = 4
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
        if finding.oracle == Oracle.ORDER and is_relation(finding.right.path):
            return "RELATION BROKEN"
        return {"reference": "WRONG VALUE", "paths": "PATHS DIFFER", "order": "DEPENDS ON ORDER"}.get(finding.oracle, "VALUE")
    return (finding.kind or "").upper()


def _sentence(finding: Finding, findings: Sequence[Finding], recordings: Mapping[str, Recording]) -> str:
    if finding.kind == FindingKind.RAISED:
        return _raised(findings, recordings)
    if finding.oracle == Oracle.REFERENCE:
        return _against_reference(finding, findings, recordings)
    if finding.oracle != Oracle.AGREEMENT:
        subject = "" if is_relation(finding.right.path) else f"{finding.observation}: "  # a relation names it itself
        return f"{subject}{finding.message}{_also(finding, findings)}"
    if finding.kind == FindingKind.NON_FINITE:
        return f"{finding.observation}: {_non_finite(finding.observation, findings, recordings)}"
    groups = partition(finding.observation, findings, concerned_legs(recordings, [finding]))
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
    if finding.n_elements == 1:
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
    """Which legs differ from the reference, each with its own value: all of them, or some."""
    name = finding.observation
    against = [
        similar
        for similar in findings
        if (similar.oracle, similar.observation, similar.kind) == (Oracle.REFERENCE, name, finding.kind)
    ]
    is_number = finding.n_elements == 1 and finding.kind == FindingKind.VALUE and "directions" not in finding.evidence
    groups: dict[str, list[Finding]] = {}  # by what a leg has at the worst place, up to rounding
    for similar in against:
        worst = similar.worst_left
        value = f"{worst:.4g}" if isinstance(worst, float) else repr(worst)
        groups.setdefault(value if is_number else similar.message.replace(f" on {similar.left}", "", 1), []).append(similar)
    if not is_number:
        same = next(group for group in groups.values() if finding in group)
        others = [similar.left for similar in against if similar not in same]
        also = f", also on {listed(others)}" if others else ""
        return f"{name}: {finding.message.replace(f' on {finding.left}', f' on {_who(same, recordings)}', 1)}{also}"
    numbers = _numbers([*(group[0].worst_left for group in groups.values()), finding.worst_right])
    parts = [f"{number} on {_who(group, recordings)}" for number, group in zip(numbers, groups.values(), strict=False)]
    return f"{name} is {'; '.join(parts)}; the reference says {numbers[-1]}"


def _who(group: Sequence[Finding], recordings: Mapping[str, Recording]) -> str:
    """The legs of findings; all of several are every backend."""
    return "every backend" if len(group) == len(recordings) > 1 else listed([finding.left for finding in group])


def _also(finding: Finding, findings: Sequence[Finding]) -> str:
    """The other legs with the same finding inside one backend."""
    legs = [
        similar.left.leg
        for similar in findings
        if (similar.oracle, similar.observation, similar.kind) == (finding.oracle, finding.observation, finding.kind)
        and similar.right.path == finding.right.path and similar.left.leg != finding.left.leg
    ]  # fmt: skip
    return f", also on {listed(legs)}" if legs else ""


def _non_finite(name: str, findings: Sequence[Finding], recordings: Mapping[str, Recording]) -> str:
    """Which legs have NaN or Inf, and for which examples, over all pairs."""
    involved = {side.leg for finding in findings if finding.observation == name for side in finding.sides}
    groups: dict[str, list[str]] = {}
    for leg, recording in recordings.items():
        observation = recording.observations.get(name)
        if leg in involved and observation is not None:
            groups.setdefault(_non_finite_places(name, observation, recording.reference.get(name)), []).append(leg)
    if len(groups) == 1 and len(involved) == len(recordings) > 1:
        return f"every backend returns {next(iter(groups))}"
    finite_last = sorted(groups.items(), key=lambda group: group[0] == "finite")
    return "; ".join(f"{words} on {listed(legs)}" for words, legs in finite_last)


def _non_finite_places(name: str, observation: Observation, reference: np.ndarray | None) -> str:
    """``NaN for example 1``, ``Inf in 2 of 9 elements``, or ``finite``. What the reference expects is left out."""
    value = np.asarray(observation.value, np.float64) if observation.value.dtype != object else np.zeros(1)
    bad = ~np.isfinite(value)
    if reference is not None and reference.dtype != object and reference.shape == value.shape:
        bad &= ~((value == reference) | (np.isnan(value) & np.isnan(reference)))
    if not bad.any():
        return "finite"
    what = "NaN" if np.isnan(value[bad]).all() else "NaN and Inf" if np.isnan(value[bad]).any() else "Inf"
    if value.size == 1:
        return what
    parsed = ObservationName.parse(name)
    if not (parsed.of_predictions or parsed.quantity in (Quantity.PREDICTIONS, Quantity.PER_EXAMPLE_LOSS)):
        return f"{what} in {int(bad.sum())} of {value.size} elements"
    examples = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))
    if len(examples) == len(bad):
        return f"{what} for every example"
    if len(examples) > _MOST_EXAMPLES:
        return f"{what} for {len(examples)} of {len(bad)} examples"
    return f"{what} for {'example' if len(examples) == 1 else 'examples'} {listed(list(map(str, examples)))}"


def _raised(findings: Sequence[Finding], recordings: Mapping[str, Recording]) -> str:
    throwers = [leg for leg, recording in recordings.items() if recording.raised]
    others = [
        leg for leg, recording in recordings.items()
        if leg not in throwers
        and not (recording.not_supported and throwers and not any(errors_in_reach(recordings[t], recording) for t in throwers))
    ]  # fmt: skip
    wrong = [finding for finding in findings if finding.oracle == Oracle.EXPECTATION]
    inside = [finding for finding in findings if finding.kind == FindingKind.RAISED and finding.oracle in INSIDE_ONE_BACKEND]
    if inside and not wrong and not (throwers and others):
        return _raised_inside(inside)
    if not throwers:
        instead = "; ".join(f"{what_came_instead(recordings[leg])} on {leg}" for leg in others)
        return f"expected every backend to reject this, none did: {instead}"
    errors = first_errors(recordings)
    if others:
        raising = [f"{listed(legs)} {'raises' if len(legs) == 1 else 'raise'} {words}" for words, legs in errors.items()]
        returned: dict[str, list[str]] = {}
        for leg in others:
            returned.setdefault(what_came_instead(recordings[leg]), []).append(leg)
        returning = [f"{listed(legs)} {'returns' if len(legs) == 1 else 'return'} {what}" for what, legs in returned.items()]
        return "; ".join([*raising, *returning])
    if wrong and recordings[wrong[0].left].expect is not None:
        mismatches: dict[str, list[str]] = {}
        for finding in wrong:
            mismatches.setdefault(finding.message, []).append(finding.left)
        return "; ".join(f"{listed(legs)} {message}" for message, legs in mismatches.items())
    mine = any(recordings[leg].raised[0].by_author for leg in throwers)
    refused = "every backend raises, unasked" if mine else "every backend refuses this"
    if len(errors) == 1:
        error = recordings[throwers[0]].raised[0]
        return f"{refused}: {error.type}: {first_line(error.message)}"
    return f"{refused}: {'; '.join(f'{words} on {listed(legs)}' for words, legs in errors.items())}"


def _raised_inside(findings: Sequence[Finding]) -> str:
    """What legs have raised through one path, each in its own words."""
    legs: dict[str, list[str]] = {}
    messages: dict[str, str] = {}
    for finding in findings:
        if finding.right.path == findings[0].right.path:
            error = finding.message.rpartition("; ")[0]  # what came instead is a number of its own
            messages.setdefault(error, finding.message)
            legs.setdefault(error, []).append(finding.left.leg)
    return "; ".join(f"{listed(names)}: {messages[error]}" for error, names in legs.items())


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
