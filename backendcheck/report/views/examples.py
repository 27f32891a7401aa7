"""The examples on which backends decide for different classes, or compute different losses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from backendcheck.compare.findings import Finding
from backendcheck.report.views.values import MOST_ELEMENTS, class_names, value_text
from backendcheck.results.results import CaseResult
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Quantity, quantity_of

_MOST_EXAMPLES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleTable:
    """The examples that differ: example, label, and for each leg what it has and, of a class, its margin.

    `what` says in what they differ. Where there are more than are in `rows`, these are the first, of losses the worst.
    """

    what: str
    legs: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]
    n_examples: int
    n_differing: int


def disagreements(result: CaseResult, legs: Sequence[str]) -> list[tuple[str, ExampleTable]]:
    """For each output whose classes differ, the examples that do; the margin is the best score over the second.

    Where classes agree and losses do not, the examples whose loss differs, unless all of them are shown anyway.
    """
    tables = []
    agreement = [finding for finding in result.findings if finding.oracle is Oracle.AGREEMENT]
    names = {f.observation for f in agreement if quantity_of(f.observation) is Quantity.PREDICTED_CLASS}
    for name in sorted(names):
        there = [leg for leg in legs if leg in result.recordings and name in result.recordings[leg].observations]
        classes = {leg: result.recordings[leg].observations[name].value for leg in there}
        if len({one.shape for one in classes.values()}) > 1 or len(there) < 2:  # noqa: PLR2004
            continue
        stacked = np.stack([one.ravel() for one in classes.values()])
        differing = np.flatnonzero((stacked != stacked[0]).any(axis=0))
        shape = classes[there[0]].shape
        called = class_names(name, result.recordings[there[0]])
        rows = []
        for index in differing[:_MOST_EXAMPLES]:
            cells = []
            for leg in there:
                scores = result.recordings[leg].observations.get(name.replace("predicted_class", "predictions", 1))
                margin = ""
                if scores is not None and scores.value.shape[:-1] == shape and scores.value.shape[-1] > 1:
                    best = np.sort(scores.value.reshape(-1, scores.value.shape[-1])[index].astype(np.float64))
                    margin = f"{best[-1] - best[-2]:.3g}"
                cells.append((label_words(called, classes[leg].ravel()[index]), margin))
            rows.append((_place(index, shape), _label(result, there[0], name, int(index), stacked.shape[1]), tuple(cells)))
        table = ExampleTable(
            what="Examples decided differently", legs=tuple(there), rows=tuple(rows), n_examples=stacked.shape[1],
            n_differing=len(differing),
        )  # fmt: skip
        tables.append((name, table))
    outputs = {name.removeprefix("predicted_class") for name in names}
    return [*tables, *_losses(result, legs, without=outputs)]


def _losses(result: CaseResult, legs: Sequence[str], *, without: set[str]) -> Iterator[tuple[str, ExampleTable]]:
    by_name: dict[str, list[Finding]] = {}
    for finding in (one for one in result.findings if one.oracle == Oracle.AGREEMENT and one.tolerance is not None):
        if quantity_of(finding.observation) is Quantity.PER_EXAMPLE_LOSS:
            by_name.setdefault(finding.observation, []).append(finding)
    for name, findings in by_name.items():
        there = [leg for leg in legs if leg in result.recordings and name in result.recordings[leg].observations]
        values = [result.recordings[leg].observations[name].value for leg in there]
        if name.removeprefix("per_example_loss") in without or any(one.shape != values[0].shape for one in values):
            continue
        if len(there) < 2 or values[0].size <= MOST_ELEMENTS or any(one.dtype.kind not in "iuf" for one in values):  # noqa: PLR2004
            continue
        excess = _excess(np.stack([one.astype(np.float64).ravel() for one in values]), findings[0])
        worst = np.argsort(-excess, kind="stable")
        n_differing = int((excess > 1).sum())
        rows = []
        for index in worst[: min(n_differing, _MOST_EXAMPLES)]:
            cells = tuple((value_text(one.ravel()[index]), "") for one in values)
            rows.append((_place(index, values[0].shape), _label(result, there[0], name, int(index), values[0].size), cells))
        yield name, ExampleTable(
            what="Examples whose loss differs", legs=tuple(there), rows=tuple(rows), n_examples=values[0].size,
            n_differing=n_differing,
        )  # fmt: skip


def _excess(values: np.ndarray, finding: Finding) -> np.ndarray:
    """How many times what is allowed the legs are apart at each example: (legs, N) to (N,)."""
    tolerance = finding.tolerance
    assert tolerance is not None  # noqa: S101 - such findings alone are asked for
    with np.errstate(all="ignore"):
        apart = np.ptp(values, axis=0)
        found = apart / (tolerance.atol + tolerance.rtol * np.abs(values).max(axis=0))
    finite = np.isfinite(values)
    same = (values == values[0]).all(axis=0) | np.isnan(values).all(axis=0)
    return np.where(same, 0.0, np.where(finite.all(axis=0), found, np.inf))


def _place(index: np.integer, shape: tuple[int, ...]) -> str:
    return ", ".join(str(int(i)) for i in np.unravel_index(index, shape))


def _label(result: CaseResult, leg: str, name: str, index: int, n: int) -> str:
    """The label that belongs to an example: by its place, or as a one-hot row."""
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
    """A label with the name of its class behind it: ``2 fox``."""
    if not isinstance(value, int | float | np.integer | np.floating):
        return str(value)
    if not float(value).is_integer():
        return f"{value:g}"
    index = int(value)
    return f"{index} {names[index]}" if 0 <= index < len(names) else str(index)
