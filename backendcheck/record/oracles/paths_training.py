"""The paths oracle where it trains: `fit` against its first step, other compilations, data sets, and gradients as one tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from backendcheck.record.observe import outputs
from backendcheck.record.observe.arrays import as_fed, as_observation, map_nest, to_tensor
from backendcheck.record.observe.fits import add_trained_weights, as_reported, fit, is_one_epoch, starts_as_recorded
from backendcheck.record.observe.model import add_metrics, evaluate_options, train
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.state import random_state
from backendcheck.record.observe.trace import Trace
from backendcheck.record.oracles.paths_batches import arrays_with_labels, observe_training_in_batches
from backendcheck.record.oracles.paths_dataset import fit_on_dataset
from backendcheck.record.oracles.paths_forms import observe_forms
from backendcheck.record.oracles.paths_grouped import observe_grouped_steps
from backendcheck.record.oracles.paths_replicas import observe_replicas
from backendcheck.record.oracles.paths_saved import observe_saved_after_training, observe_saved_paths
from backendcheck.vocabulary.backends import Ability
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import AFTER_ANOTHER, DENSE_GRADIENTS

_SAME = 1e-6  # relative to the largest prediction: far above rounding of the same ops, far below the effect of dropout


def observe_training_paths(under_test: ModelUnderTest, trace: Trace) -> bool:
    """Train as the recording does, and add a variant to `trace` for every other path of training that is not skipped.

    Returns whether training was one step that started from the recorded gradients.
    """
    if not trace.can(Ability.TRAIN):
        observe_saved_paths(under_test, trace)
        observe_forms(under_test, trace)
        return False
    same_as_inference = _trains_as_it_predicts(under_test)
    under_test.restore_initial()
    metrics_work = not any(raised.stage == "metrics" for raised in trace.raised)
    options: dict[str, Any] = {}
    if under_test.validation is None and metrics_work and under_test.evaluates and not under_test.changed_state:
        options = {"validation_data": arrays_with_labels(under_test), "validation_batch_size": under_test.n}
    under_test.reset_metrics()
    history = train(under_test, trace, **options)
    has_trained = "train/loss" in trace.observations
    if has_trained and "train/*" not in trace.not_compared:
        observe_saved_after_training(under_test, trace)
    _observe_validation(under_test, history, trace)
    starts_from_loss = same_as_inference and under_test.is_one_batch and starts_as_recorded(under_test)
    single_step = has_trained and starts_from_loss and is_one_epoch(under_test)
    if has_trained and starts_from_loss:
        _observe_first_epoch(under_test, history, trace)
    # What runs the step that `fit` compiled comes first, and then what compiles anew.
    _observe_first_step(under_test, trace, starts_from_loss=starts_from_loss)
    if has_trained:
        if same_as_inference:
            _observe_first_step_after_another_batch(under_test, trace)
        if under_test.dataset is not None and not under_test.case.fits and "train/*" not in trace.not_compared:
            fit_on_dataset(under_test, trace)
        observe_training_in_batches(under_test, trace)
        _fit_with_dense_gradients(under_test, trace)
    _observe_compilations(under_test, trace, steps=starts_from_loss, single_step=single_step)
    if has_trained:
        observe_grouped_steps(under_test, trace)
        observe_replicas(under_test, trace)
    observe_saved_paths(under_test, trace, single_step=single_step)
    observe_forms(under_test, trace)
    return single_step


def trains_one_recorded_step(under_test: ModelUnderTest) -> bool:
    """Whether training is one step that starts from the recorded gradients."""
    is_first_step = under_test.is_one_batch and starts_as_recorded(under_test) and is_one_epoch(under_test)
    return is_first_step and _trains_as_it_predicts(under_test)


def _trains_as_it_predicts(under_test: ModelUnderTest) -> bool:
    """Whether a training step starts from the loss of inference: no dropout, no batch statistics, no overridden `train_step`."""
    model = under_test.model
    if under_test.case.class_weight is not None or under_test.overrides("train_step"):
        return False
    before = random_state(model)
    try:
        x = map_nest(to_tensor, under_test.x)
        passes = []
        for training in (False, True):
            under_test.reset_state()
            passes.append(outputs.by_output(model(x, training=training), model))
    except Exception:  # noqa: BLE001 - `fit` raises it as well, and there it is recorded
        return False
    if random_state(model) != before:
        return False
    inferred, trained = passes
    for name in inferred:
        left, right = (as_observation(named[name], where=name).value.astype(np.float64) for named in (inferred, trained))
        if not np.allclose(left, right, rtol=0, atol=_SAME * max(1.0, float(np.abs(left).max(initial=0))), equal_nan=True):
            return False
    return True


def _observe_validation(under_test: ModelUnderTest, history: Mapping[str, list[float]], trace: Trace) -> None:
    """What `fit` reports as ``val_*``, and what `evaluate` reports of the trained model."""
    reported = {name.removeprefix("val_"): values for name, values in history.items() if name.startswith("val_")}
    if not reported or "*" in trace.not_compared or under_test.changed_state or under_test.losses_have_state:
        return
    if getattr(under_test.model.optimizer, "use_ema", False):
        trace.notes.append("evaluate is not compared with validation: after training, the optimizer replaces weights by averages")
        return
    evaluated: Mapping[str, Any] = {}
    with trace.variant(Oracle.PATHS, "evaluate after training") as variant:
        if under_test.validation is not None:
            evaluated = _evaluate_validation(under_test)
            for name, values in reported.items():
                if name in evaluated:
                    variant.add(f"train/metric/val_{name}", np.asarray([*values[:-1], evaluated[name]], np.float64))
            return
        options = evaluate_options(under_test) | {"batch_size": under_test.n}
        evaluated = under_test.model.evaluate(*under_test.fed[:2], **options)
        for name in reported:
            if name in evaluated:
                variant.add(f"train/metric/val_{name}", evaluated[name])
    for name, values in reported.items():
        if name in evaluated:
            trace.add(f"train/metric/val_{name}", as_reported(values[-1]))


def _evaluate_validation(under_test: ModelUnderTest) -> Mapping[str, Any]:
    """What `evaluate` reports of the validation data of the case, in the batches of `fit`."""
    x, y, *weight = map(as_fed, under_test.validation or ())
    values: Mapping[str, Any] = under_test.model.evaluate(
        x, y, sample_weight=weight[0] if weight else None, batch_size=under_test.fits[-1].batch_size or under_test.batch_size,
        verbose=0, return_dict=True,
    )  # fmt: skip
    return values


def _observe_first_epoch(under_test: ModelUnderTest, history: Mapping[str, list[float]], trace: Trace) -> None:
    with under_test.variant(trace, Oracle.PATHS, "fit") as variant:
        add_metrics({name: values[0] for name, values in history.items() if not name.startswith("val_")}, variant, loss="loss")


# --- gradients as one tensor -----------------------------------------------------------------------------------


def _fit_with_dense_gradients(under_test: ModelUnderTest, trace: Trace) -> None:
    """Repeat the training with each gradient as one tensor, where TensorFlow passes slices of it to the optimizer.

    The gradient of an embedding is a `tf.IndexedSlices` there, with a row for each lookup. An optimizer that is not linear in
    the gradient has to add up the rows of one label first. With a dense tensor it need not.
    """
    if not under_test.has_sliced_gradients or not under_test.can_recompile or "train/*" in trace.not_compared:
        return
    if any(call.compile for call in under_test.fits):
        return  # its new optimizer would get slices
    if not under_test.restore_initial():
        return
    under_test.compile()  # the step compiled before still passes slices
    with _dense_gradients(under_test.model.optimizer), under_test.variant(trace, Oracle.PATHS, DENSE_GRADIENTS) as variant:
        fit(under_test, variant)
    under_test.compile()


@contextmanager
def _dense_gradients(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    from backendcheck.record.backends import tensorflow  # the only backend with gradients in slices

    apply = optimizer.apply

    def apply_dense(grads: Sequence[Any], trainable_variables: Any = None) -> Any:
        return apply([tensorflow.dense(gradient) for gradient in grads], trainable_variables)

    optimizer.apply = apply_dense
    try:
        yield
    finally:
        del optimizer.apply


# --- steps on one batch, and other compilations ----------------------------------------------------------------


def call_on_batch(under_test: ModelUnderTest, which: str) -> Mapping[str, Any]:
    """`train_on_batch` or `test_on_batch` from reset metrics, because older versions of Keras do not reset them."""
    under_test.reset_metrics()
    step = getattr(under_test.model, f"{which}_on_batch")
    values: Mapping[str, Any] = step(*under_test.fed, return_dict=True)
    return values


def run_another_batch(under_test: ModelUnderTest) -> bool:
    """Call `test_on_batch` with each example under the label of the next one. Returns whether that was another batch.

    What a step reports afterwards is about its own batch. The shapes are those of the next step, so that nothing compiles again.
    """
    x, y, sample_weight = under_test.arrays
    if y is None or under_test.is_one_batch or under_test.changed_state or under_test.losses_have_state:
        return False
    under_test.reset_metrics()
    try:
        under_test.model.test_on_batch(as_fed(x), as_fed(map_nest(lambda array: np.roll(array, 1, axis=0), y)), sample_weight)
    except Exception:  # noqa: BLE001 - the labels of other examples need not fit
        under_test.restore_initial()
        return False
    return True


def _observe_first_step_after_another_batch(under_test: ModelUnderTest, trace: Trace) -> None:
    """The loss that `train_on_batch` reports of one batch after another one."""
    if under_test.restore_initial() and run_another_batch(under_test):
        with trace.variant(Oracle.PATHS, f"train_on_batch {AFTER_ANOTHER}") as variant:
            variant.add("loss", under_test.model.train_on_batch(*under_test.fed, return_dict=True)["loss"])
    under_test.restore_initial()


def _observe_first_step(under_test: ModelUnderTest, trace: Trace, *, starts_from_loss: bool) -> None:
    """The first training step by `train_on_batch`, compiled as `fit` compiles it."""
    restored = under_test.restore_initial()
    under_test.reset_metrics()
    if starts_from_loss:
        with under_test.variant(trace, Oracle.PATHS, "train_on_batch") as variant:
            add_metrics(call_on_batch(under_test, "train"), variant, loss="loss")
    elif restored and _has_own_step(under_test, trace):
        _observe_own_step(under_test, trace, "train_on_batch")


def _has_own_step(under_test: ModelUnderTest, trace: Trace) -> bool:
    """Whether an overridden `train_step` is compared with itself: where `fit` has run it once without random numbers."""
    return (
        under_test.overrides("train_step") and "train/loss" in trace.observations and "train/*" not in trace.not_compared
        and under_test.is_one_batch and is_one_epoch(under_test) and under_test.case.class_weight is None
    )  # fmt: skip


def _observe_own_step(under_test: ModelUnderTest, trace: Trace, path: str) -> None:
    with under_test.variant(trace, Oracle.PATHS, path) as variant:
        for name, value in call_on_batch(under_test, "train").items():
            variant.add("train/loss" if name == "loss" else f"train/metric/{name}", as_reported(value)[None])
        add_trained_weights(under_test, variant)


def _observe_compilations(under_test: ModelUnderTest, trace: Trace, *, steps: bool, single_step: bool) -> None:
    """The first training step and a test step: op by op, and with XLA where the backend has both."""
    compilations: dict[str, dict[str, Any]] = {}
    if not under_test.can_recompile:
        trace.notes.append("not compared with itself op by op: compile() of the model has other parameters than that of Keras")
    elif keras.backend.backend() != "torch":  # torch runs op by op already, and torch.compile takes minutes
        compilations["run_eagerly"] = {"run_eagerly": True}
    if under_test.has_text:
        trace.notes.append("not compared with itself compiled by XLA, which has no text")
    elif under_test.can_recompile and keras.backend.backend() == "tensorflow":
        compilations["jit_compile"] = {"jit_compile": True}
    for prefix, options in compilations.items():
        under_test.restore_initial()
        under_test.compile(**options)
        has_run = _observe_compiled_step(under_test, trace, f"{prefix}: train_on_batch", steps=steps, single_step=single_step)
        if has_run and prefix == "jit_compile" and not under_test.overrides("test_step"):
            continue  # the training step has the loss and the metrics too, and compiling by XLA costs most of all paths
        same_in_batches = under_test.test_step_loss_name == "loss" and not under_test.changed_state
        if under_test.evaluates and (under_test.is_one_batch or same_in_batches):
            under_test.restore_initial()
            with under_test.variant(trace, Oracle.PATHS, f"{prefix}: test_on_batch") as variant:
                values, loss = call_on_batch(under_test, "test"), under_test.test_step_loss_name
                add_metrics(values, variant, loss=loss, only=under_test.metrics_of_any_batch)


def _observe_compiled_step(under_test: ModelUnderTest, trace: Trace, path: str, *, steps: bool, single_step: bool) -> bool:
    """The first training step. Returns whether it has run with the recorded loss and metrics."""
    restored = under_test.restore_initial()
    if steps:
        with under_test.variant(trace, Oracle.PATHS, path) as variant:
            add_metrics(call_on_batch(under_test, "train"), variant, loss="loss")
            if single_step and restored:
                add_trained_weights(under_test, variant)
        return not variant.raised
    if restored and _has_own_step(under_test, trace):
        _observe_own_step(under_test, trace, path)
    return False
