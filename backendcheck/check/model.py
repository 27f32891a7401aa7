"""`check_model`: a model with its labels on every backend, from a file, from this process, or from a function that builds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backendcheck.case import Raises, Tolerance
from backendcheck.check.batch import drawn, sampled
from backendcheck.check.case_source import CaseSource
from backendcheck.check.model_case import NAME, claim, model_case
from backendcheck.check.model_source import subject_of
from backendcheck.check.report import Report
from backendcheck.check.run import CASES, Manner, ask, place_at
from backendcheck.data.read import labels_as_indices
from backendcheck.errors import UsageError

EXAMPLES = 256  # taken of the data unless asked otherwise: every class of most data is among them, and they take seconds


def check_model(
    model: Any, x: Any = None, y: Any = None, *, sample_weight: Any = None, class_weight: Any = None, loss: Any = None,
    loss_weights: Any = None, metrics: Any = None, weighted_metrics: Any = None, optimizer: Any = None, class_names: Any = None,
    weights: str | Path | None = None, imports: Sequence[str] = (), custom_objects: Mapping[str, Any] | None = None,
    examples: int | None = EXAMPLES, batch_size: int | None = None, epochs: int | None = None, reference: Any = None,
    expect: Raises | None = None, tolerance: Tolerance | Mapping[str, Tolerance] | None = None,
    backends: Sequence[str] | None = None, oracles: Sequence[str] | None = None, out: str | Path | None = None,
    device: str = "cpu", timeout_s: float = 300.0, progress: bool = True,
) -> Report:  # fmt: skip
    """Predict, lose, learn and measure with one model and one batch on every backend, each in a process of its own, and compare.

    The weights are those that the model has. The loss, the metrics and the optimizer that it was compiled with are used where
    none are given. The backend of this process is not touched.

    Args:
        model: a ``.keras`` file, a model of this process (its file is what travels), a function that builds one, or the name of
            such a function (``"my_package.models:build"``). A file is loaded with Keras's safe mode on.
        x: the inputs, N examples: an array, or a list or dict of them; or a `keras.utils.PyDataset`, a `tf.data.Dataset` or a
            torch `DataLoader` with labels and weights, whose batches are drawn into arrays here.
        y: the labels of the N examples, likewise. Without labels, predictions alone are compared.
        sample_weight: (N,), or as `model.fit` takes it.
        class_weight: as `model.fit` takes it.
        loss: as `model.compile` takes it.
        loss_weights: as `model.compile` takes them.
        metrics: as `model.compile` takes them.
        weighted_metrics: as `model.compile` takes them.
        optimizer: as `model.compile` takes it.
        class_names: the names of the classes in order, or a dict of them by output.
        weights: a ``.weights.h5`` file, for a function that builds the model.
        imports: modules to import for what they register with Keras.
        custom_objects: classes and functions that the file needs, by name; those of a model of this process are found.
        examples: how many examples to take, evenly spread over the N in their order; None for all.
        batch_size: of training; by default that of the data set, or all examples.
        epochs: of training, 1 by default.
        reference: see `ModelCase`, as are `expect` and `tolerance`.
        expect: `Raises()`, if every backend is to reject this.
        tolerance: see `Tolerance`.
        backends: by default all three, or those that pyproject.toml names.
        oracles: what to hold against what, all four by default.
        out: a directory that keeps the run; a temporary one by default.
        device: ``"cpu"``, ``"gpu"`` or ``"auto"``.
        timeout_s: seconds after which a backend has failed.
        progress: whether to show on standard error, or in the notebook, how far it is.

    Raises:
        UsageError: if the model or the data is none, a backend is not installed, or something cannot be sent to it.
    """
    if x is None:
        message = "check_model: x is None; expected the inputs of the model, N examples."
        raise UsageError(message)
    batch, size_of_batches = drawn(x, y, sample_weight)
    batch = sampled(batch, examples)
    y = labels_as_indices(batch.y, class_names, source="y", remedy="Give class_names")
    batch = replace(batch, y=y)
    source = CaseSource()
    for name in imports:
        source.import_module(name)
    options = {
        "loss": loss, "loss_weights": loss_weights, "metrics": metrics, "weighted_metrics": weighted_metrics,
        "optimizer": optimizer, "class_weight": class_weight, "batch_size": batch_size or size_of_batches, "epochs": epochs,
        "class_names": class_names, "reference": reference, "expect": expect, "tolerance": tolerance,
    }  # fmt: skip
    with place_at(out) as place:
        subject = subject_of(
            source, model, place.directory / CASES, weights=Path(weights) if weights is not None else None,
            custom_objects=custom_objects,
        )  # fmt: skip
        return ask(
            source, subject.stem, place,
            Manner(backends=backends, oracles=oracles, device=device, timeout_s=timeout_s, progress=progress),
            name=NAME, claim=claim(subject, batch), why=f"{subject.called} on {batch.words}, as check_model was asked.",
            body=model_case(source, subject, batch, options),
        )  # fmt: skip
