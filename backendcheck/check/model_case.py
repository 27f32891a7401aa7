"""A model, its data and how it is compiled, as the source of a `ModelCase`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backendcheck.case import AS_COMPILED
from backendcheck.check.case_source import CaseSource
from backendcheck.check.sample import Batch
from backendcheck.check.subject import Subject

NAME = "saved_model"  # of the case: classifier.keras is judged as classifier/saved_model
COMPILED = ("loss", "loss_weights", "metrics", "weighted_metrics", "optimizer")


def model_case(source: CaseSource, subject: Subject, batch: Batch, options: Mapping[str, Any]) -> list[str]:
    """The lines of a case that returns the model with its batch; `options` are those of `ModelCase`, None for what it has.

    What the model is compiled with stands where `options` has nothing.
    """
    lines = [
        *subject.lines,
        "return ModelCase(",
        "    model,",
        f"    x={source.array('x', batch.x)},",
        f"    y={source.array('y', batch.y)},",
    ]
    if batch.sample_weight is not None:
        lines.append(f"    sample_weight={source.array('sample_weight', batch.sample_weight)},")
    given = {name: value for name, value in options.items() if value is not None}
    as_compiled = ["loss"] if "loss" not in given else [name for name in COMPILED if name not in ("loss", "loss_weights")]
    for name in COMPILED:
        if name in given:
            lines.append(f"    {name}={source.expression(name, given.pop(name))},")
        elif name in as_compiled:
            lines.append(f"    {name}={AS_COMPILED!r},")
    if subject.has_weights:
        lines.append("    weights='as built',")
    lines += [f"    {name}={source.expression(name, value)}," for name, value in given.items()]
    return [*lines, ")"]


def claim(subject: Subject) -> str:
    """What such a case says."""
    return f"{subject.called} predicts, loses, learns and measures the same on every backend."
