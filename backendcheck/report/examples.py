"""The examples on which backends decide for different classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backendcheck.observation import Kind, kind_of
from backendcheck.report.view_values import class_names
from backendcheck.results import CaseResult

_MOST_EXAMPLES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleTable:
    """The examples on which backends decide differently: example, label, and for each leg its class and its margin."""

    legs: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]
    n_examples: int
    n_differing: int


def disagreements(result: CaseResult, legs: Sequence[str]) -> list[tuple[str, ExampleTable]]:
    """For each output whose classes differ, the examples that do; the margin is the best score over the second."""
    tables = []
    names = {f.observation for f in result.findings if kind_of(f.observation) is Kind.PREDICTED_CLASS and f.oracle == "agreement"}
    for name in sorted(names):
        there = [leg for leg in legs if leg in result.recordings and name in result.recordings[leg].observations]
        classes = {leg: result.recordings[leg].observations[name].value for leg in there}
        if len({one.shape for one in classes.values()}) > 1 or len(there) < 2:  # noqa: PLR2004
            continue
        stacked = np.stack([one.ravel() for one in classes.values()])
        differing = np.flatnonzero((stacked != stacked[0]).any(axis=0))
        labels = result.recordings[there[0]].labels.get(name.replace("predicted_class", "y_true", 1))
        shape = classes[there[0]].shape
        given = None if labels is None or labels.size != stacked.shape[1] else labels.ravel()
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
            place = ", ".join(str(int(i)) for i in np.unravel_index(index, shape))
            rows.append((place, "" if given is None else label_words(called, given[index]), tuple(cells)))
        tables.append(
            (name, ExampleTable(legs=tuple(there), rows=tuple(rows), n_examples=stacked.shape[1], n_differing=len(differing)))
        )
    return tables


def label_words(names: Sequence[str], value: object) -> str:
    """A label with the name of its class behind it: ``2 fox``."""
    if not isinstance(value, int | float | np.integer | np.floating):
        return str(value)
    if not float(value).is_integer():
        return f"{value:g}"
    index = int(value)
    return f"{index} {names[index]}" if 0 <= index < len(names) else str(index)
