"""A model, its data and how it is compiled, as the source of a `ModelCase`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backendcheck.case import AS_COMPILED
from backendcheck.check.batch import Batch
from backendcheck.check.case_source import CaseSource
from backendcheck.check.model_source import Subject
from backendcheck.errors import UsageError

NAME = "saved_model"  # of the case: classifier.keras is judged as classifier/saved_model
COMPILED = ("loss", "loss_weights", "metrics", "weighted_metrics", "optimizer")
_OF_LABELS = ("loss", "loss_weights", "metrics", "weighted_metrics", "class_weight")  # what nobody can say without labels


def model_case(source: CaseSource, subject: Subject, batch: Batch, options: Mapping[str, Any]) -> list[str]:
    """The lines of a case that returns the model with its batch; `options` are those of `ModelCase`, None for what it has.

    What the model is compiled with stands where `options` has nothing. Without labels there are predictions, and a loss only of
    a model that needs none.

    Raises:
        UsageError: if something is asked of labels, and there are none.
    """
    given = {name: value for name, value in options.items() if value is not None}
    as_compiled = [name for name in COMPILED if name not in ("loss", "loss_weights")] if "loss" in given else ["loss"]
    labels = f"y={source.array('y', batch.y)}"
    if batch.y is None:
        _check_without_labels(batch, given)
        as_compiled, labels = [], "loss=None"
    lines = [
        *subject.lines,
        "return ModelCase(",
        "    model,",
        f"    x={source.array('x', batch.x)},",
        f"    {labels},",
    ]
    if batch.sample_weight is not None:
        lines.append(f"    sample_weight={source.array('sample_weight', batch.sample_weight)},")
    for name in COMPILED:
        if name in given:
            lines.append(f"    {name}={source.expression(name, given.pop(name))},")
        elif name in as_compiled:
            lines.append(f"    {name}={AS_COMPILED!r},")
    if subject.has_weights:
        lines.append("    weights='as built',")
    lines += [f"    {name}={source.expression(name, value)}," for name, value in given.items()]
    return [*lines, ")"]


def claim(subject: Subject, batch: Batch) -> str:
    """What such a case says."""
    does = "predicts" if batch.y is None else "predicts, loses, learns and measures"
    return f"{subject.called} {does} the same on every backend."


def _check_without_labels(batch: Batch, given: Mapping[str, Any]) -> None:
    asked = [name for name in _OF_LABELS if name in given] + ["sample_weight"] * (batch.sample_weight is not None)
    if asked:
        message = f"{asked[0]}: is given without labels; expected y beside x. Give the labels, or leave {asked[0]} out."
        raise UsageError(message)
