"""The paths oracle on data sets: one made of the arrays of a case, and the one that a case gives as its data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from backendcheck.nests import with_tuples
from backendcheck.record.observe import outputs
from backendcheck.record.observe.arrays import as_fed, is_text, leaves, map_nest
from backendcheck.record.observe.fits import add_history, add_trained_weights
from backendcheck.record.observe.model import add_metrics, add_predictions
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.trace import Trace
from backendcheck.vocabulary.findings import Oracle

# --- made of arrays --------------------------------------------------------------------------------------------


def arrays_with_labels(under_test: ModelUnderTest) -> tuple[Any, ...]:
    """``(x, y)`` or ``(x, y, sample_weight)``, as a data set yields them."""
    return tuple(nest for nest in under_test.fed if nest is not None)


def one_batch_datasets(under_test: ModelUnderTest) -> Iterator[tuple[str, Any]]:
    """The examples as one batch, in each kind of data set that the backend takes."""
    floatx = keras.config.floatx()

    def cast_as_fit(array: np.ndarray) -> np.ndarray:
        return array.astype(floatx) if array.dtype.kind == "f" else array

    batch = tuple(as_fed(map_nest(cast_as_fit, nest)) for nest in under_test.arrays if nest is not None)
    # TensorFlow reads a list in a data set as an array, and a tuple as a structure.

    class OneBatch(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> Any:
            return with_tuples(batch)

    yield "PyDataset", OneBatch()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        yield "tf.data", tf.data.Dataset.from_tensors(with_tuples(batch))
    if keras.backend.backend() == "torch" and not any(is_text(leaf) for nest in batch for _, leaf in leaves(nest)):
        import torch

        tensors = tuple(map_nest(torch.as_tensor, nest) for nest in batch)
        yield "DataLoader", torch.utils.data.DataLoader([tensors], batch_size=None, collate_fn=lambda item: item)


# --- given by the case -----------------------------------------------------------------------------------------


def predict_on_dataset(under_test: ModelUnderTest, trace: Trace) -> None:
    """The predictions on the data set of the case."""
    if under_test.dataset is None:
        return
    with under_test.variant(trace, Oracle.PATHS, f"predict on {under_test.dataset_type}") as variant:
        predictions = under_test.model.predict(under_test.dataset, verbose=0)
        add_predictions(outputs.by_output(predictions, under_test.model), variant)


def evaluate_on_dataset(under_test: ModelUnderTest, trace: Trace) -> None:
    """Loss and metrics on the data set of the case."""
    if under_test.dataset is None:
        return
    with under_test.variant(trace, Oracle.PATHS, f"evaluate on {under_test.dataset_type}") as variant:
        values = under_test.model.evaluate(under_test.dataset, verbose=0, return_dict=True)
        add_metrics(values, variant, loss=under_test.evaluate_loss_name or "loss")


def fit_on_dataset(under_test: ModelUnderTest, trace: Trace) -> None:
    """The whole training on the data set of the case, instead of its examples as arrays."""
    if not under_test.restore_initial():
        return
    with under_test.variant(trace, Oracle.PATHS, f"fit on {under_test.dataset_type}") as variant:
        history = under_test.model.fit(
            under_test.dataset,
            class_weight=under_test.case.class_weight,
            epochs=int(under_test.case.epochs),
            shuffle=False,
            verbose=0,
        ).history
        add_history(history, variant)
        add_trained_weights(under_test, variant)
