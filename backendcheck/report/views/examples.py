"""The examples for which backends predict different classes or compute different losses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from backendcheck.compare.findings import Finding
from backendcheck.report.views.values import MOST_ELEMENTS, class_names, value_text
from backendcheck.results.results import CaseResult
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import ObservationName, Quantity, quantity_of

_MOST_EXAMPLES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleTable:
    """The examples that differ. A row is the example, its label, and for each leg its value and the margin of a class.

    `what` is a title. `rows` may be fewer than `n_differing`: the first examples, or those with the worst losses.
    """

    what: str
    legs: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]
    n_examples: int
    n_differing: int


def disagreements(result: CaseResult, legs: Sequence[str]) -> list[tuple[str, ExampleTable]]:
    """A table for each output whose classes differ; the margin is the best score minus the second.

    Where classes agree and losses differ, a table of the examples whose loss differs, unless all values are shown anyway.
    """
    tables = []
    findings = [finding for finding in result.findings if finding.oracle is Oracle.AGREEMENT]
    names = {f.observation for f in findings if quantity_of(f.observation) is Quantity.PREDICTED_CLASS}
    for name in sorted(names):
        present = _legs_with(result, legs, name)
        classes = {leg: result.recordings[leg].observations[name].value for leg in present}
        if len({array.shape for array in classes.values()}) > 1 or len(present) < 2:  # noqa: PLR2004
            continue
        stacked = np.stack([array.ravel() for array in classes.values()])
        differing = np.flatnonzero((stacked != stacked[0]).any(axis=0))
        shape = classes[present[0]].shape
        names_of_classes = class_names(name, result.recordings[present[0]])
        rows = []
        for index in differing[:_MOST_EXAMPLES]:
            cells = []
            for leg in present:
                scores = result.recordings[leg].observations.get(name.replace("predicted_class", "predictions", 1))
                margin = ""
                if scores is not None and scores.value.shape[:-1] == shape and scores.value.shape[-1] > 1:
                    best = np.sort(scores.value.reshape(-1, scores.value.shape[-1])[index].astype(np.float64))
                    margin = f"{best[-1] - best[-2]:.3g}"
                cells.append((label_words(names_of_classes, classes[leg].ravel()[index]), margin))
            rows.append((_place(index, shape), _label(result, present[0], name, int(index), stacked.shape[1]), tuple(cells)))
        table = ExampleTable(
            what="Examples with different predicted classes", legs=tuple(present), rows=tuple(rows), n_examples=stacked.shape[1],
            n_differing=len(differing),
        )  # fmt: skip
        tables.append((name, table))
    outputs = {ObservationName.parse(name).output for name in names}
    return [*tables, *_losses(result, legs, without=outputs)]


def _losses(result: CaseResult, legs: Sequence[str], *, without: set[str]) -> Iterator[tuple[str, ExampleTable]]:
    by_name: dict[str, list[Finding]] = {}
    for finding in result.findings:
        numeric = finding.oracle == Oracle.AGREEMENT and finding.tolerance is not None
        if numeric and quantity_of(finding.observation) is Quantity.PER_EXAMPLE_LOSS:
            by_name.setdefault(finding.observation, []).append(finding)
    for name, findings in by_name.items():
        present = _legs_with(result, legs, name)
        arrays = [result.recordings[leg].observations[name].value for leg in present]
        if ObservationName.parse(name).output in without or any(array.shape != arrays[0].shape for array in arrays):
            continue
        if len(present) < 2 or arrays[0].size <= MOST_ELEMENTS or any(array.dtype.kind not in "iuf" for array in arrays):  # noqa: PLR2004
            continue
        excess = _excess(np.stack([array.astype(np.float64).ravel() for array in arrays]), findings[0])
        worst = np.argsort(-excess, kind="stable")
        n_differing = int((excess > 1).sum())
        rows = []
        for index in worst[: min(n_differing, _MOST_EXAMPLES)]:
            cells = tuple((value_text(array.ravel()[index]), "") for array in arrays)
            rows.append((_place(index, arrays[0].shape), _label(result, present[0], name, int(index), arrays[0].size), cells))
        yield name, ExampleTable(
            what="Examples with different losses", legs=tuple(present), rows=tuple(rows), n_examples=arrays[0].size,
            n_differing=n_differing,
        )  # fmt: skip


def _legs_with(result: CaseResult, legs: Sequence[str], name: str) -> list[str]:
    return [leg for leg in legs if leg in result.recordings and name in result.recordings[leg].observations]


def _excess(values: np.ndarray, finding: Finding) -> np.ndarray:
    """The largest difference between legs over the allowed one, for each example: (legs, N) to (N,)."""
    tolerance = finding.tolerance
    assert tolerance is not None  # noqa: S101 - only findings with a tolerance get here
    with np.errstate(all="ignore"):
        apart = np.ptp(values, axis=0)
        excess = apart / (tolerance.atol + tolerance.rtol * np.abs(values).max(axis=0))
    finite = np.isfinite(values)
    same = (values == values[0]).all(axis=0) | np.isnan(values).all(axis=0)
    return np.where(same, 0.0, np.where(finite.all(axis=0), excess, np.inf))


def _place(index: np.integer, shape: tuple[int, ...]) -> str:
    return ", ".join(str(int(i)) for i in np.unravel_index(index, shape))


def _label(result: CaseResult, leg: str, name: str, index: int, n: int) -> str:
    """The label of an example: the element at its place, or the class of its one-hot row."""
    recording = result.recordings[leg]
    labels = recording.labels.get(name.replace(quantity_of(name).value, "y_true", 1))
    if labels is None:
        return ""
    names = class_names(name, recording)
    if labels.size == n:
        return label_words(names, labels.ravel()[index])
    if labels.ndim == 2 and len(labels) == n and labels.dtype.kind in "iufb":  # noqa: PLR2004
        row = labels[index]
        if np.count_nonzero(row) == 1 and row.max() == 1:
            return label_words(names, int(row.argmax()))
    return ""


def label_words(names: Sequence[str], value: object) -> str:
    """A label followed by the name of its class: ``2 fox``."""
    if not isinstance(value, int | float | np.integer | np.floating):
        return str(value)
    if not float(value).is_integer():
        return f"{value:g}"
    index = int(value)
    return f"{index} {names[index]}" if 0 <= index < len(names) else str(index)
