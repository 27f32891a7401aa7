"""`check_model`: compare a model with its labels on every backend. It comes from a file, this process or a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backendcheck.argument_types import (
    ClassNames,
    DataSet,
    Losses,
    LossWeights,
    Metrics,
    ModelSource,
    Nest,
    Optimizer,
    Reference,
)
from backendcheck.case import Raises, Tolerance
from backendcheck.check.batch import materialized, sampled
from backendcheck.check.case_source import CaseSource
from backendcheck.check.model_case import NAME, claim, model_case
from backendcheck.check.model_source import model_source_of
from backendcheck.check.report import Report
from backendcheck.check.run import CASES, RunOptions, output_directory, run_case
from backendcheck.data.read import labels_as_indices
from backendcheck.errors import UsageError
from backendcheck.migrate import EPOCHS
from backendcheck.migrate.decision import migration_of
from backendcheck.migrate.page import write_pages
from backendcheck.model_file import describe_model, read_model_file

EXAMPLES = 256  # by default: includes every class of most data, and takes seconds


def check_model(
    model: ModelSource, x: Nest | DataSet | None = None, y: Nest | None = None, *, sample_weight: Nest | None = None,
    class_weight: Mapping[int, float] | None = None, loss: Losses | None = None, loss_weights: LossWeights | None = None,
    metrics: Metrics | None = None, weighted_metrics: Metrics | None = None, optimizer: Optimizer | None = None,
    class_names: ClassNames | None = None, weights: str | Path | None = None, imports: Sequence[str] = (),
    custom_objects: Mapping[str, Callable[..., Any]] | None = None,
    examples: int | None = EXAMPLES, batch_size: int | None = None, epochs: int | None = None, reference: Reference | None = None,
    expect: Raises | None = None, tolerance: Tolerance | Mapping[str, Tolerance] | None = None,
    backends: Sequence[str] | None = None, oracles: Sequence[str] | None = None, out: str | Path | None = None,
    device: str = "cpu", timeout_s: float = 300.0, progress: bool = True, source: str | None = None, target: str | None = None,
) -> Report:  # fmt: skip
    """Compare predictions, losses, training and metrics of one model and one batch on every backend, each in its own process.

    The weights are those of the model. By default, so are the loss, the metrics and the optimizer that it was compiled with. The
    backend of this process is not touched.

    Args:
        model: a ``.keras`` file, a model of this process (it is saved for the others), a function that builds one, or the name of
            such a function (``"my_package.models:build"``). A file is loaded with Keras's safe mode on.
        x: the inputs, N examples: an array, or a list or dict of them; or a `keras.utils.PyDataset`, a `tf.data.Dataset` or a
            torch `DataLoader` with labels and weights, whose batches are read into arrays here.
        y: the labels of the N examples, in the same form. Without labels, only predictions are compared.
        sample_weight: (N,), or as `model.fit` takes it.
        class_weight: as `model.fit` takes it.
        loss: as `model.compile` takes it.
        loss_weights: as `model.compile` takes them.
        metrics: as `model.compile` takes them.
        weighted_metrics: as `model.compile` takes them.
        optimizer: as `model.compile` takes it.
        class_names: the names of the classes in order, or a dict of them by output.
        weights: a ``.weights.h5`` file, for a function that builds the model.
        imports: modules to import, which register their classes with Keras.
        custom_objects: classes and functions that the file needs, by name. Those in a model of this process are found.
        examples: number of examples, evenly spread over the N in their order; None for all.
        batch_size: of training; by default that of the data set, or all examples.
        epochs: of training, 1 by default.
        reference: see `ModelCase`.
        expect: `Raises()`, if every backend must reject this.
        tolerance: see `Tolerance`.
        backends: by default all three, or those in pyproject.toml.
        oracles: comparisons to make, by default all four: agreement, paths, order, reference.
        out: a directory for the run; by default a temporary one.
        device: ``"cpu"``, ``"gpu"`` or ``"auto"``.
        timeout_s: seconds after which a backend counts as failed.
        progress: whether to show progress, on standard error or in the notebook.
        source: the leg that the model moves from, with `target`; the report then has the decision as `migration`. Training has 5
            epochs by default.
        target: the leg that the model moves to.

    Raises:
        UsageError: if the model or the data cannot be used, a backend is not installed, or something cannot be sent to it.
    """
    if x is None:
        message = "check_model: x is None; expected the inputs of the model, N examples."
        raise UsageError(message)
    backends, epochs = _legs_of_migration(source, target, backends, epochs)
    batch, batch_size_of_data = materialized(x, y, sample_weight)
    batch = sampled(batch, examples)
    y = labels_as_indices(batch.y, class_names, source="y", remedy="Give class_names")
    batch = replace(batch, y=y)
    if y is not None and loss is None:
        _check_has_loss(model)
    case_source = CaseSource()
    for name in imports:
        case_source.import_module(name)
    case_options = {
        "loss": loss, "loss_weights": loss_weights, "metrics": metrics, "weighted_metrics": weighted_metrics,
        "optimizer": optimizer, "class_weight": class_weight, "batch_size": batch_size or batch_size_of_data, "epochs": epochs,
        "class_names": class_names, "reference": reference, "expect": expect, "tolerance": tolerance,
    }  # fmt: skip
    with output_directory(out) as directory:
        model_source = model_source_of(
            case_source, model, directory.path / CASES, weights=Path(weights) if weights is not None else None,
            custom_objects=custom_objects,
        )  # fmt: skip
        report = run_case(
            case_source, model_source.stem, directory,
            RunOptions(backends=backends, oracles=oracles, device=device, timeout_s=timeout_s, progress=progress),
            name=NAME, claim=claim(model_source, batch), why=f"{model_source.title} on {batch.words}, written by check_model.",
            body=model_case(case_source, model_source, batch, case_options),
        )  # fmt: skip
    if source is not None and target is not None:
        report.migration = migration_of(report.results, model_source.title, source, target, imports)
        write_pages(report.migration, report.directory)
    return report


def _legs_of_migration(
    source: str | None, target: str | None, backends: Sequence[str] | None, epochs: int | None
) -> tuple[Sequence[str] | None, int | None]:
    """The legs to record and the epochs; those of a migration are its own."""
    if source is None and target is None:
        return backends, epochs
    if source is None or target is None or source == target or backends is not None:
        message = f"check_model: source={source!r}, target={target!r}; expected two different legs, and no backends."
        raise UsageError(message)
    return [source, target], epochs or EPOCHS


def _check_has_loss(model: Any) -> None:
    """Check before anything starts that the labels have a loss, where the model or its file tells.

    Raises:
        UsageError: if the model certainly has no loss.
    """
    if isinstance(model, str | Path):
        path = Path(model)
        description = read_model_file(path) if path.suffix == ".keras" and path.is_file() else None
    elif hasattr(model, "save") and hasattr(model, "predict") and getattr(model, "built", True):
        try:
            description = describe_model(model)
        except UsageError:  # a model that cannot be described may still be saved, and the worker then tells
            description = None
    else:
        description = None
    if description is not None and description.lacks_loss:
        message = f"{description.path}: has no loss, but there are labels (y). Pass loss, or leave the labels out."
        raise UsageError(message)
