"""The paths oracle on the data set that a case gives as its data."""

from __future__ import annotations

from backendcheck.record.observe import outputs
from backendcheck.record.observe.fits import add_history, add_trained_weights
from backendcheck.record.observe.model import add_metrics, add_predictions
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.trace import Trace
from backendcheck.vocabulary.findings import Oracle


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
