"""The paths oracle: the same quantities inside one backend, on different paths through Keras.

Only equivalent computations are compared. Paths that differ by design (dropout, batch statistics, several batches to an epoch,
class weights, an overridden `train_step`) are skipped. Here are the paths of predictions, losses and metrics. Paths that train
the model are in `paths_training`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backendcheck.record.backends.masks import with_mask
from backendcheck.record.observe import losses, outputs
from backendcheck.record.observe.arrays import as_observation
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.mask_flow import lost_masks_noted
from backendcheck.record.observe.model import add_metrics, add_predictions, evaluate_options
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.trace import Trace
from backendcheck.record.oracles.paths_batches import datasets
from backendcheck.record.oracles.paths_dataset import evaluate_on_dataset, predict_on_dataset
from backendcheck.record.oracles.paths_metrics import observe_metrics_by_name
from backendcheck.record.oracles.paths_training import call_on_batch, observe_training_paths, run_another_batch
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import AFTER_ANOTHER

# What is not compared if the class of the model overrides the method.
_SKIPPED = {
    "train_step": "what fit reports is not compared with the loss before training",
    "test_step": "what evaluate reports is not compared with the loss, and is recorded as metric/loss",
    "predict_step": "predict is not compared with model(x)",
    "compute_loss": "the loss is not compared with the declared losses called directly",
}


def skipped_paths(under_test: ModelUnderTest) -> list[str]:
    """A note for each overridden method. If the model overrides a step, that path is not compared with the others."""
    return [f"{words}: the model overrides {method}" for method, words in _SKIPPED.items() if under_test.overrides(method)]


def observe_paths(under_test: ModelUnderTest, trace: Trace) -> bool:
    """Train as the recording does, and add a variant to `trace` for every other path that is not skipped.

    Returns whether training was one step that started from the recorded gradients.
    """
    observe_prediction_paths(under_test, trace)
    _observe_losses_by_name(under_test, trace)
    if under_test.evaluates:
        observe_metrics_by_name(under_test, trace)
        _observe_metric_paths(under_test, trace)
    return observe_training_paths(under_test, trace)


def observe_prediction_paths(under_test: ModelUnderTest, trace: Trace) -> None:
    """Add a variant to `trace` for every other path of the predictions."""
    model, x, n = under_test.model, under_test.fed[0], under_test.n
    if not under_test.predict_differs:
        with under_test.variant(trace, Oracle.PATHS, "model(x)") as variant:
            tensors = under_test.tensors(under_test.arrays)
            add_predictions(outputs.by_output(model(tensors["x"], training=False), model), variant)
    if not under_test.changed_state or under_test.is_one_batch:
        with under_test.variant(trace, Oracle.PATHS, "predict_on_batch") as variant:
            add_predictions(outputs.by_output(model.predict_on_batch(x), model), variant)
    if under_test.has_fixed_batch_size:
        trace.notes.append("batches of other sizes are not compared: the model is declared for batches of one size")
    if not under_test.changed_state and not under_test.has_fixed_batch_size:
        for size in _batch_sizes(n):
            with under_test.variant(trace, Oracle.PATHS, f"predict(batch_size={size})") as variant:
                add_predictions(outputs.by_output(model.predict(x, batch_size=size, verbose=0), model), variant)
    predict_on_dataset(under_test, trace)


def _batch_sizes(n: int) -> list[int]:
    """A batch size that does not divide n, so that the last batch is smaller; and single examples if n is small."""
    uneven = next((size for size in range(max(2, n // 2 + 1), n) if n % size), 0)
    small = 1 if n <= 8 else n // 2  # noqa: PLR2004
    return sorted({size for size in (uneven, small) if 0 < size < n})


def _observe_losses_by_name(under_test: ModelUnderTest, trace: Trace) -> None:
    """Call the declared losses on the outputs and labels of their names, and add them up with their weights.

    They get the masks that the layers compute, as the reference does. If one is lost on the way to the loss, the total differs.
    """
    model, case = under_test.model, under_test.case
    if case.loss is None or under_test.overrides("compute_loss"):
        return
    with under_test.variant(trace, Oracle.PATHS, "losses by name") as variant:
        data = under_test.tensors(under_test.arrays)
        with lost_masks_noted(model) as lost:
            predictions = outputs.by_output(model(data["x"], training=False), model)
        named = {name: with_mask(tensor, lost.mask_for(tensor)) for name, tensor in predictions.items()}
        try:
            declared = outputs.declared_names(model, list(named))
            specs = outputs.matched(case.loss, declared, what="loss", repeat=True)
            labels = outputs.matched(data["y"], declared, what="y", repeat=len(declared) == 1)
            weights = outputs.matched(data["sample_weight"], declared, what="sample_weight", repeat=True)
            factors = outputs.matched(case.loss_weights, declared, what="loss_weights", repeat=len(declared) == 1)
        except InvalidCase:
            return
        if set(specs) - set(labels):
            return
        total = sum(float(np.asarray(as_observation(loss, where="loss").value)) for loss in model.losses)
        for name, spec in specs.items():
            under_test.reset_loss_state()
            loss = losses.resolve(spec, labels[name], named[name])(labels[name], named[name], sample_weight=weights.get(name))
            value = as_observation(loss, where="loss").value
            if value.ndim:
                return  # without a reduction, Keras does not have one total either
            total += float(factors.get(name, 1.0)) * float(value)
        variant.add("loss", total)


def _observe_metric_paths(under_test: ModelUnderTest, trace: Trace) -> None:
    """Loss and metrics of `evaluate` and `test_on_batch`, on arrays and on data sets."""
    model, loss = under_test.model, under_test.test_step_loss_name
    evaluate_on_dataset(under_test, trace)
    if under_test.is_one_batch:
        with under_test.variant(trace, Oracle.PATHS, "evaluate") as variant:
            evaluated = under_test.evaluated or model.evaluate(*under_test.fed[:2], **evaluate_options(under_test))
            add_metrics(evaluated, variant, loss=loss)
    _evaluate_on_datasets(under_test, trace)
    if not under_test.is_one_batch and (under_test.changed_state or loss != "loss"):
        return  # several batches then give other numbers than one
    with under_test.variant(trace, Oracle.PATHS, "test_on_batch") as variant:
        add_metrics(call_on_batch(under_test, "test"), variant, loss=loss, only=under_test.metrics_of_any_batch)
    if run_another_batch(under_test):
        with trace.variant(Oracle.PATHS, f"test_on_batch {AFTER_ANOTHER}") as variant:
            values: Mapping[str, Any] = model.test_on_batch(*under_test.fed, return_dict=True)
            add_metrics(values, variant, loss=loss, only=under_test.metrics_of_any_batch)


def _evaluate_on_datasets(under_test: ModelUnderTest, trace: Trace) -> None:
    """`evaluate` on the batches of the case, from each kind of data set."""
    loss = under_test.test_step_loss_name if under_test.is_one_batch else under_test.evaluate_loss_name
    for kind, make in datasets(under_test):
        with under_test.variant(trace, Oracle.PATHS, f"evaluate({kind})") as variant:
            add_metrics(under_test.model.evaluate(make(), verbose=0, return_dict=True), variant, loss=loss)
