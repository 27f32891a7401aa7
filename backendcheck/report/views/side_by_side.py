"""The backends and the reference side by side: the value of each where an observation differs most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backendcheck.compare.backends import concerned_legs
from backendcheck.compare.findings import Finding, partition
from backendcheck.recordings.recording import Recording
from backendcheck.report.views.examples import label_words
from backendcheck.report.views.values import class_names, value_text
from backendcheck.results.results import CaseResult
from backendcheck.text.words import cut
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import Observation, ObservationName, Quantity, flow_key, of_output, quantity_of
from backendcheck.vocabulary.sides import REFERENCE

_MOST_ROWS = 6
_LONGEST_TEXT = 120  # characters of a value: a string, a list of names
_MOST_NAMES = 6
_BY_EXAMPLE = (Quantity.PREDICTIONS, Quantity.PREDICTED_CLASS, Quantity.PER_EXAMPLE_LOSS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRow:
    """One observation: where it differs most, the label there, the value of each side. The columns `marked` stand apart."""

    observation: str
    path: str
    place: str
    label: str
    values: tuple[str, ...]
    marked: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Rows in the order of the computation; columns are the legs, and the reference if it has values. `n_more` are left out."""

    columns: tuple[str, ...]
    rows: tuple[SideRow, ...]
    n_more: int

    def place(self, side: str) -> int | None:
        """The column of `side`; None if it has no recording."""
        return self.columns.index(side) if side in self.columns else None


def sides(result: CaseResult, legs: Sequence[str]) -> Sides:
    """The observations with findings, each at its worst element."""
    present = [leg for leg in legs if leg in result.recordings]
    by_key: dict[tuple[str, str], list[Finding]] = {}
    for finding in result.findings:
        if finding.observation == "raised":
            continue
        by_key.setdefault((finding.observation, ""), []).append(finding)
        for path in (side.path for side in finding.sides):
            if path:
                by_key.setdefault((finding.observation, path), []).append(finding)
    ordered = sorted(by_key, key=lambda key: (flow_key(key[0]), bool(key[1]), key[1]))
    shown = (_row(result, present, name, path, by_key[name, path]) for name, path in ordered[:_MOST_ROWS])
    rows = [row for row in shown if row is not None]
    with_reference = any(row.values[-1] for row in rows)
    if not with_reference:
        rows = [replace(row, values=row.values[:-1]) for row in rows]
    columns = (*present, REFERENCE) if with_reference else tuple(present)
    return Sides(columns=columns, rows=tuple(rows), n_more=len(ordered) - len(rows))


def _row(result: CaseResult, legs: Sequence[str], name: str, path: str, findings: Sequence[Finding]) -> SideRow | None:
    worst = max(findings, key=_weight)
    index = worst.worst_index
    first = result.recordings[legs[0]] if legs else None
    if first is None:
        return None
    observations = {leg: _observation(result.recordings[leg], name, path) for leg in legs}
    values = [_value(result.recordings[leg], name, observations[leg], index, worst) for leg in legs]
    reference = "" if path else _reference(result, legs, name, index, worst)
    shape = next((observation.value.shape for observation in observations.values() if observation is not None), ())
    place, label = _place(first, name, index, shape)
    if "directions" in worst.evidence:  # slopes along random directions stand for the gradient
        slopes = {finding.left.leg: finding.worst_left for finding in findings if "directions" in finding.evidence}
        values = [value_text(np.float64(f"{slopes[leg]:.9g}")) if isinstance(slopes.get(leg), float) else "" for leg in legs]
        place, label = f"slope along direction {index[0]}" if index else "slope along a direction", ""
    if not any(values):
        return None
    return SideRow(
        observation=name, path=path, place=place, label=label, values=(*values, reference),
        marked=frozenset(legs.index(leg) for leg in _apart(result, name, path, findings) if leg in legs),
    )  # fmt: skip


def _weight(finding: Finding) -> float:
    if finding.excess is None or math.isnan(finding.excess):
        immeasurable = (FindingKind.NON_FINITE, FindingKind.SHAPE, FindingKind.DTYPE, FindingKind.MISSING)
        return math.inf if finding.kind in immeasurable else 0.0
    return finding.excess


def _observation(recording: Recording, name: str, path: str) -> Observation | None:
    if not path:
        return recording.observations.get(name)
    variants = (variant for variant in recording.variants if variant.path == path and name in variant.observations)
    return next((variant.observations[name] for variant in variants), None)


def _value(
    recording: Recording, name: str, observation: Observation | None, index: tuple[int, ...] | None, worst: Finding
) -> str:
    if observation is None:
        return "" if recording.raised else "missing"
    if worst.kind == FindingKind.SHAPE:
        return f"shape {observation.value.shape}"
    if worst.kind == FindingKind.DTYPE:
        return observation.dtype
    if worst.kind == FindingKind.ORDER:
        names = [str(item) for item in observation.value.ravel()[:_MOST_NAMES]]
        more = f" … ({observation.value.size})" if observation.value.size > _MOST_NAMES else ""
        return cut(", ".join(names) + more, _LONGEST_TEXT, count=True)
    return _element(recording, name, observation.value, index)


def _element(recording: Recording, name: str, value: np.ndarray, index: tuple[int, ...] | None) -> str:
    """One element of an array, a class with its name. Without an index, the only element, or else the shape."""
    if index is None:
        index = (0,) * value.ndim if value.size == 1 else None
    if index is None or len(index) != value.ndim or any(i >= n for i, n in zip(index, value.shape, strict=True)):
        return f"shape {value.shape}" if value.size != 1 else ""
    element = value[index]
    if quantity_of(name) is Quantity.PREDICTED_CLASS:
        return label_words(class_names(name, recording), element)
    if isinstance(element, np.float64):
        element = np.float64(f"{element:.9g}")
    return cut(value_text(element), _LONGEST_TEXT, count=True)


def _reference(result: CaseResult, legs: Sequence[str], name: str, index: tuple[int, ...] | None, worst: Finding) -> str:
    """The value of the case's own reference or of the built-in one; empty if neither has a value there."""
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


def _apart(result: CaseResult, name: str, path: str, findings: Sequence[Finding]) -> Iterator[str]:
    """The legs that stand apart: from the reference, from their own recording through a path, or from the other legs."""
    inside_one_leg = [finding.left.leg for finding in findings if finding.oracle != Oracle.AGREEMENT]
    if inside_one_leg or path:
        yield from dict.fromkeys(inside_one_leg)
        return
    groups = partition(name, findings, concerned_legs(result.recordings, findings))
    if len(groups) > 1 and len(groups[0]) < len(groups[-1]):
        yield from (leg for group in groups[:-1] for leg in group)


def _place(recording: Recording, name: str, index: tuple[int, ...] | None, shape: tuple[int, ...]) -> tuple[str, str]:
    """The place in words, and the label there: ``example 37, class grignolino``, ``0 barolo``."""
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
    return cut(words, _LONGEST_TEXT, count=True), cut(_label_at(recording, name, index, names), _LONGEST_TEXT, count=True)


def _label_at(recording: Recording, name: str, index: tuple[int, ...], names: Sequence[str]) -> str:
    labels = recording.labels.get(of_output("y_true", ObservationName.parse(name).output))
    if labels is None or not labels.ndim or index[0] >= len(labels):
        return ""
    label = labels[index[0]]
    if label.size == 1:
        return label_words(names, label.item())
    if label.ndim == 1 and label.dtype.kind in "iufb" and np.count_nonzero(label) == 1 and label.max() == 1:  # one-hot
        return label_words(names, int(label.argmax()))
    return ""
