"""The same examples as a data set: one made of the arrays of a case, and the one that a case gave as its data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from backendcheck.record.observe import outputs
from backendcheck.record.observe.arrays import leaves, map_nest
from backendcheck.record.observe.model import see_history, see_metrics, see_named_predictions, see_weights
from backendcheck.record.observe.model_under_test import Subject
from backendcheck.record.observe.trace import Trace
from backendcheck.vocabulary.findings import Oracle

# --- made of arrays --------------------------------------------------------------------------------------------


def one_batch_datasets(arrays: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """The same examples as one batch of each kind of dataset that the backend takes."""
    floatx = keras.config.floatx()

    def as_fit_casts(array: np.ndarray) -> np.ndarray:
        return array.astype(floatx) if array.dtype.kind == "f" else array

    batch = tuple(map_nest(as_fit_casts, nest) for nest in arrays)
    # TensorFlow reads a list in a dataset as an array, and a tuple as a structure.

    class OneBatch(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> Any:
            return _with_tuples(batch)

    yield "PyDataset", OneBatch()
    if any(leaf.dtype.kind in "OUS" for nest in batch for _, leaf in leaves(nest)):
        return
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        yield "tf.data", tf.data.Dataset.from_tensors(_with_tuples(batch))
    if keras.backend.backend() == "torch":
        import torch

        tensors = tuple(map_nest(torch.as_tensor, nest) for nest in batch)
        yield "DataLoader", torch.utils.data.DataLoader([tensors], batch_size=None, collate_fn=lambda one: one)


def _with_tuples(nest: Any) -> Any:
    if isinstance(nest, Mapping):
        return {key: _with_tuples(value) for key, value in nest.items()}
    return tuple(map(_with_tuples, nest)) if isinstance(nest, list | tuple) else nest


# --- given by the case -----------------------------------------------------------------------------------------


def predict_on_dataset(subject: Subject, trace: Trace) -> None:
    """The predictions once more, on the data set."""
    if subject.dataset is None:
        return
    with subject.variant(trace, Oracle.PATHS, f"predict on {subject.dataset_kind}") as door:
        see_named_predictions(outputs.by_output(subject.model.predict(subject.dataset, verbose=0), subject.model), door)


def evaluate_on_dataset(subject: Subject, trace: Trace) -> None:
    """Loss and metrics once more, on the data set."""
    if subject.dataset is None:
        return
    with subject.variant(trace, Oracle.PATHS, f"evaluate on {subject.dataset_kind}") as door:
        figures = subject.model.evaluate(subject.dataset, verbose=0, return_dict=True)
        see_metrics(figures, door, loss=subject.evaluated_loss or "loss")


def fit_on_dataset(subject: Subject, trace: Trace) -> None:
    """The whole training once more, on the data set instead of its examples as arrays."""
    if not subject.restore():
        return
    with subject.variant(trace, Oracle.PATHS, f"fit on {subject.dataset_kind}") as door:
        history = subject.model.fit(
            subject.dataset, class_weight=subject.case.class_weight, epochs=int(subject.case.epochs), shuffle=False, verbose=0
        ).history
        see_history(history, door)
        see_weights(subject, door)
