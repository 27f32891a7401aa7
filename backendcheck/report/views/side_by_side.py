"""The backends and the reference side by side: what each has at the place where an observation differs most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backendcheck.compare.findings import Finding, partition
from backendcheck.recordings.recording import Recording
from backendcheck.report.views.examples import label_words
from backendcheck.report.views.values import class_names, value_text
from backendcheck.results.results import CaseResult
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import Observation, ObservationName, Quantity, flow_key, of_output, quantity_of

REFERENCE = "reference"
_MOST_ROWS = 6
_LONGEST_TEXT = 120  # characters of a value: a string, a list of names
_MOST_NAMES = 6
_BY_EXAMPLE = (Quantity.PREDICTIONS, Quantity.PREDICTED_CLASS, Quantity.PER_EXAMPLE_LOSS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRow:
    """One observation: where it differs most, the label there, what each side has; `marked` are those that stand apart."""

    observation: str
    door: str
    place: str
    label: str
    values: tuple[str, ...]
    marked: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Rows in the order of the computation, over the legs and, if it says anything, the reference; `n_more` are left out."""

    columns: tuple[str, ...]
    rows: tuple[SideRow, ...]
    n_more: int

    def place(self, side: str) -> int | None:
        """Where `side` is among the columns; None if it has no recording."""
        return self.columns.index(side) if side in self.columns else None


def sides(result: CaseResult, legs: Sequence[str]) -> Sides:
    """The observations with findings, each at its worst element."""
    there = [leg for leg in legs if leg in result.recordings]
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in result.findings:
        if finding.observation == "raised":
            continue
        found.setdefault((finding.observation, ""), []).append(finding)
        for door in (side.path for side in finding.sides):
            if door:
                found.setdefault((finding.observation, door), []).append(finding)
    ordered = sorted(found, key=lambda key: (flow_key(key[0]), bool(key[1]), key[1]))
    rows = [row for name, door in ordered[:_MOST_ROWS] if (row := _row(result, there, name, door, found[name, door])) is not None]
    with_reference = any(row.values[-1] for row in rows)
    if not with_reference:
        rows = [replace(row, values=row.values[:-1]) for row in rows]
    return Sides(
        columns=(*there, REFERENCE) if with_reference else tuple(there), rows=tuple(rows), n_more=len(ordered) - len(rows)
    )


def _row(result: CaseResult, legs: Sequence[str], name: str, door: str, findings: Sequence[Finding]) -> SideRow | None:
    worst = max(findings, key=_weight)
    index = worst.worst_index
    first = result.recordings[legs[0]] if legs else None
    if first is None:
        return None
    seen = {leg: _seen(result.recordings[leg], name, door) for leg in legs}
    values = [_value(result.recordings[leg], name, seen[leg], index, worst) for leg in legs]
    reference = "" if door else _reference(result, legs, name, index, worst)
    place, label = _place(first, name, index, next((one.value.shape for one in seen.values() if one is not None), ()))
    if "directions" in worst.evidence:  # slopes along drawn directions stand for the gradient
        slopes = {one.left.leg: one.worst_left for one in findings if "directions" in one.evidence}
        values = [value_text(np.float64(f"{slopes[leg]:.9g}")) if isinstance(slopes.get(leg), float) else "" for leg in legs]
        place, label = f"slope along direction {index[0]}" if index else "slope along a direction", ""
    if not any(values):
        return None
    return SideRow(
        observation=name, door=door, place=place, label=label, values=(*values, reference),
        marked=frozenset(legs.index(leg) for leg in _apart(result, name, door, findings) if leg in legs),
    )  # fmt: skip


def _weight(finding: Finding) -> float:
    if finding.excess is None or math.isnan(finding.excess):
        immeasurable = (FindingKind.NON_FINITE, FindingKind.SHAPE, FindingKind.DTYPE, FindingKind.MISSING)
        return math.inf if finding.kind in immeasurable else 0.0
    return finding.excess


def _seen(recording: Recording, name: str, door: str) -> Observation | None:
    if not door:
        return recording.observations.get(name)
    return next((one.observations[name] for one in recording.variants if one.path == door and name in one.observations), None)


def _value(recording: Recording, name: str, seen: Observation | None, index: tuple[int, ...] | None, worst: Finding) -> str:
    if seen is None:
        return "" if recording.raised else "missing"
    if worst.kind == FindingKind.SHAPE:
        return f"shape {seen.value.shape}"
    if worst.kind == FindingKind.DTYPE:
        return seen.dtype
    if worst.kind == FindingKind.ORDER:
        names = [str(one) for one in seen.value.ravel()[:_MOST_NAMES]]
        more = f" … ({seen.value.size})" if seen.value.size > _MOST_NAMES else ""
        return _cut(", ".join(names) + more)
    return _element(recording, name, seen.value, index)


def _element(recording: Recording, name: str, value: np.ndarray, index: tuple[int, ...] | None) -> str:
    """One element of an array, a class with its name; that of an array of one where no place is told."""
    if index is None:
        index = (0,) * value.ndim if value.size == 1 else None
    if index is None or len(index) != value.ndim or any(i >= n for i, n in zip(index, value.shape, strict=True)):
        return f"shape {value.shape}" if value.size != 1 else ""
    one = value[index]
    if quantity_of(name) is Quantity.PREDICTED_CLASS:
        return label_words(class_names(name, recording), one)
    return _cut(value_text(np.float64(f"{one:.9g}") if isinstance(one, np.float64) else one))


def _reference(result: CaseResult, legs: Sequence[str], name: str, index: tuple[int, ...] | None, worst: Finding) -> str:
    """What the case's own reference or the built-in one has there; empty if it has nothing to say."""
    if worst.kind in (FindingKind.SHAPE, FindingKind.DTYPE, FindingKind.ORDER, FindingKind.MISSING):
        return ""
    if "directions" in worst.evidence:
        return value_text(np.float64(f"{worst.worst_right:.9g}")) if isinstance(worst.worst_right, float) else ""
    recording = result.recordings[worst.left.leg if worst.left.leg in legs else legs[0]]
    if name in recording.reference:
        return _element(recording, name, recording.reference[name], index)
    expected = recording.reference_values.get(name)
    if expected is None or expected.directions is not None:
        return ""
    at = index if index is not None and len(index) == expected.value.ndim else None
    if at is not None and expected.defined is not None and not expected.defined[at]:
        return "no single value"
    return _element(recording, name, expected.value, index)


def _apart(result: CaseResult, name: str, door: str, findings: Sequence[Finding]) -> Iterator[str]:
    """The legs that stand apart: from the reference, from themselves through a door, or from the others."""
    alone = [one.left.leg for one in findings if one.oracle != Oracle.AGREEMENT]
    if alone or door:
        yield from dict.fromkeys(alone)
        return
    groups = partition(name, findings, list(result.recordings))
    if len(groups) > 1 and len(groups[0]) < len(groups[-1]):
        yield from (leg for group in groups[:-1] for leg in group)


def _place(recording: Recording, name: str, index: tuple[int, ...] | None, shape: tuple[int, ...]) -> tuple[str, str]:
    """Where it is in words, and the label there: ``example 37, class grignolino``, ``0 barolo``."""
    if not index or len(index) != len(shape):
        return "", ""
    if quantity_of(name) not in _BY_EXAMPLE and not ObservationName.parse(name).of_predictions:
        return (f"epoch {index[0] + 1}" if quantity_of(name) is Quantity.TRAIN_LOSS else f"at {list(index)}"), ""
    names = class_names(name, recording)
    words = f"example {index[0]}"
    of_classes = quantity_of(name) is Quantity.PREDICTIONS or ObservationName.parse(name).of_predictions
    steps = index[1:-1] if of_classes else index[1:]
    if steps:
        words += f", step {', '.join(map(str, steps))}"
    if of_classes and len(index) > 1 and shape[-1] > 1:
        words += f", class {names[index[-1]] if index[-1] < len(names) else index[-1]}"
    return _cut(words), _cut(_label_there(recording, name, index, names))


def _label_there(recording: Recording, name: str, index: tuple[int, ...], names: Sequence[str]) -> str:
    output = ObservationName.parse(name).output
    labels = recording.labels.get(of_output("y_true", output))
    if labels is None or not labels.ndim or index[0] >= len(labels):
        return ""
    one = labels[index[0]]
    if one.size == 1:
        return label_words(names, one.item())
    if one.ndim == 1 and one.dtype.kind in "iufb" and np.count_nonzero(one) == 1 and one.max() == 1:  # one-hot
        return label_words(names, int(one.argmax()))
    return ""


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}… ({len(text)} characters)"
