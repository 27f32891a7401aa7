"""The source of a `ModelCase`: a model, its data, and the arguments of compile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backendcheck.case import AS_COMPILED
from backendcheck.check.batch import Batch
from backendcheck.check.case_source import CaseSource
from backendcheck.check.model_source import ModelSource
from backendcheck.errors import UsageError

NAME = "saved_model"  # of the case; that of classifier.keras is classifier/saved_model
COMPILED = ("loss", "loss_weights", "metrics", "weighted_metrics", "optimizer")
_NEED_LABELS = ("loss", "loss_weights", "metrics", "weighted_metrics", "class_weight")


def model_case(source: CaseSource, model: ModelSource, batch: Batch, options: Mapping[str, Any]) -> list[str]:
    """The lines of a case that returns the model with its batch. `options` are arguments of `ModelCase`; None is left out.

    Arguments that are left out are those the model was compiled with. Without labels the case compares predictions, and the loss
    of a model that needs no labels.

    Raises:
        UsageError: if an option needs labels and the batch has none.
    """
    arguments = {name: value for name, value in options.items() if value is not None}
    as_compiled = [name for name in COMPILED if name not in ("loss", "loss_weights")] if "loss" in arguments else ["loss"]
    labels = f"y={source.array('y', batch.y)}"
    if batch.y is None:
        _check_without_labels(batch, arguments)
        as_compiled, labels = [], "loss=None"
    lines = [
        *model.lines,
        "return ModelCase(",
        "    model,",
        f"    x={source.array('x', batch.x)},",
        f"    {labels},",
    ]
    if batch.sample_weight is not None:
        lines.append(f"    sample_weight={source.array('sample_weight', batch.sample_weight)},")
    for name in COMPILED:
        if name in arguments:
            lines.append(f"    {name}={source.expression(name, arguments.pop(name))},")
        elif name in as_compiled:
            lines.append(f"    {name}={AS_COMPILED!r},")
    if model.has_weights:
        lines.append("    weights='as built',")
    lines += [f"    {name}={source.expression(name, value)}," for name, value in arguments.items()]
    return [*lines, ")"]


def claim(model: ModelSource, batch: Batch) -> str:
    """The claim of such a case."""
    what = "predictions" if batch.y is None else "predictions, losses, training and metrics"
    return f"{model.title} gives the same {what} on every backend."


def _check_without_labels(batch: Batch, arguments: Mapping[str, Any]) -> None:
    unusable = [name for name in _NEED_LABELS if name in arguments] + ["sample_weight"] * (batch.sample_weight is not None)
    if unusable:
        name = unusable[0]
        message = f"{name}: needs labels; expected y beside x. Pass the labels, or leave {name} out."
        raise UsageError(message)
