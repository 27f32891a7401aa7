"""The paths oracle: the same quantities inside one backend through different doors of Keras.

Only like is set beside like. What training does differently by design (dropout, batch statistics, several batches to an epoch,
class weights, a `train_step` of the model's own) is found out first, and the doors that it concerns stay shut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from backendcheck.record.observe import losses, outputs
from backendcheck.record.observe.arrays import observed
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.model import evaluation, see_metrics, see_named_predictions, see_weights, train
from backendcheck.record.observe.model_under_test import Subject
from backendcheck.record.observe.overridden_steps import has_own
from backendcheck.record.observe.randomness import random_state
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.weights import named_weights
from backendcheck.record.oracles.paths_dataset import evaluate_on_dataset, fit_on_dataset, one_batch_datasets, predict_on_dataset
from backendcheck.record.oracles.paths_dense_gradients import fit_with_dense_gradients
from backendcheck.vocabulary.findings import Oracle

_SAME = 1e-6  # relative to the largest prediction: far above rounding of the same ops, far below what dropout does


def see_doors(subject: Subject, trace: Trace) -> None:
    """Train as the recording does, and add a variant to `trace` for every other door that is open."""
    see_prediction_doors(subject, trace)
    _losses_by_name(subject, trace)
    _test(subject, trace)
    alike = _trains_as_it_predicts(subject)
    subject.restore()
    metrics_work = not any(raised.stage == "metrics" for raised in trace.raised)
    validated = metrics_work and not subject.moves
    options = {"validation_data": _batch(subject), "validation_batch_size": subject.n} if validated else {}
    subject.reset_metrics()
    history = train(subject, trace, **options)
    trained_here = "train/loss" in trace.observations
    _validation(subject, history, trace)
    single_step = trained_here and alike and subject.whole and subject.case.epochs == 1
    if trained_here and alike and subject.whole:
        _first_epoch(subject, history, trace)
    if single_step:
        _plain_sgd(subject, trace)
    if trained_here and subject.dataset is not None and "train/*" not in trace.not_compared:
        fit_on_dataset(subject, trace)
    if trained_here:
        fit_with_dense_gradients(subject, trace)
    _compiled_otherwise(subject, trace, steps=alike and subject.whole, single_step=single_step)


def _batch(subject: Subject) -> tuple[Any, ...]:
    return tuple(nest for nest in subject.arrays if nest is not None)


def see_prediction_doors(subject: Subject, trace: Trace) -> None:
    """A variant of `trace` for every other door that predictions come through."""
    _predict(subject, trace)
    predict_on_dataset(subject, trace)


# --- predictions -----------------------------------------------------------------------------------------------


def _predict(subject: Subject, trace: Trace) -> None:
    model, x, n = subject.model, subject.x, subject.n
    if not subject.predicts_apart:
        with subject.variant(trace, Oracle.PATHS, "model(x)") as door:
            see_named_predictions(outputs.by_output(model(subject.tensors(subject.arrays)["x"], training=False), model), door)
    if not subject.moves or subject.whole:
        with subject.variant(trace, Oracle.PATHS, "predict_on_batch") as door:
            see_named_predictions(outputs.by_output(model.predict_on_batch(x), model), door)
    if subject.fixed_batch:
        trace.notes.append("batches of other sizes are not held against these: the model is declared for batches of one size")
    if subject.moves or subject.fixed_batch:
        return
    # One that does not divide N, so that a last, smaller batch comes in; and single examples where there are few.
    sizes = [next((size for size in range(max(2, n // 2 + 1), n) if n % size), 0), 1 if n <= 8 else n // 2]  # noqa: PLR2004
    for size in sorted({size for size in sizes if 0 < size < n}):
        with subject.variant(trace, Oracle.PATHS, f"predict(batch_size={size})") as door:
            see_named_predictions(outputs.by_output(model.predict(x, batch_size=size, verbose=0), model), door)


# --- loss and metrics ------------------------------------------------------------------------------------------


def _losses_by_name(subject: Subject, trace: Trace) -> None:
    """The declared losses on the outputs and labels of their own names, weighted and added up by hand."""
    model, case = subject.model, subject.case
    if case.loss is None or has_own(model, "compute_loss"):
        return
    data = subject.tensors(subject.arrays)
    with subject.variant(trace, Oracle.PATHS, "losses by name") as door:
        named = outputs.by_output(model(data["x"], training=False), model)
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
        total = sum(float(np.asarray(observed(loss, where="loss").value)) for loss in model.losses)
        for name, spec in specs.items():
            subject.settle_losses()
            value = observed(losses.resolve(spec)(labels[name], named[name], sample_weight=weights.get(name)), where="loss").value
            if value.ndim:
                return  # without a reduction Keras has no one total either
            total += float(factors.get(name, 1.0)) * float(value)
        door.see("loss", total)


def _test(subject: Subject, trace: Trace) -> None:
    model, loss = subject.model, subject.tested_loss
    evaluate_on_dataset(subject, trace)
    if subject.whole:
        with subject.variant(trace, Oracle.PATHS, "evaluate") as door:
            see_metrics(model.evaluate(*subject.arrays[:2], **evaluation(subject)), door, loss=loss)
    elif subject.moves or loss != "loss":
        return  # what several batches come to is not what one does
    with subject.variant(trace, Oracle.PATHS, "test_on_batch") as door:
        see_metrics(_on_batch(subject, "test"), door, loss=loss)
    for kind, dataset in one_batch_datasets(_batch(subject)):
        with subject.variant(trace, Oracle.PATHS, f"evaluate({kind})") as door:
            see_metrics(model.evaluate(dataset, verbose=0, return_dict=True), door, loss=loss)


def _on_batch(subject: Subject, which: str) -> Mapping[str, Any]:
    """`train_on_batch` or `test_on_batch` from fresh metrics: older versions of Keras go on from the call before."""
    subject.reset_metrics()
    step = getattr(subject.model, f"{which}_on_batch")
    figures: Mapping[str, Any] = step(*subject.arrays, return_dict=True)
    return figures


# --- training --------------------------------------------------------------------------------------------------


def _trains_as_it_predicts(subject: Subject) -> bool:
    """Whether a training step starts from the loss that inference has: no dropout, no batch statistics, no step of its own."""
    model = subject.model
    if subject.case.class_weight is not None or has_own(model, "train_step"):
        return False
    data, before = subject.tensors(subject.arrays), random_state(model)
    try:
        modes = []
        for training in (False, True):
            subject.settle()
            modes.append(outputs.by_output(model(data["x"], training=training), model))
    except Exception:  # noqa: BLE001 - whatever it is, `fit` meets it too, and there it is recorded
        return False
    if random_state(model) != before:
        return False
    for name, inferred in modes[0].items():
        left, right = (observed(one, where=name).value.astype(np.float64) for one in (inferred, modes[1][name]))
        if not np.allclose(left, right, rtol=0, atol=_SAME * max(1.0, float(np.abs(left).max(initial=0))), equal_nan=True):
            return False
    return True


def _validation(subject: Subject, history: Mapping[str, list[float]], trace: Trace) -> None:
    """What `fit` reports as ``val_*`` against what `evaluate` says of the trained model."""
    reported = {name.removeprefix("val_"): values[-1] for name, values in history.items() if name.startswith("val_")}
    if not reported or "*" in trace.not_compared or subject.moves or subject.losses_hold_state:
        return
    if getattr(subject.model.optimizer, "use_ema", False):
        why = "after training the optimizer puts averages in the place of weights"
        trace.notes.append(f"evaluate is not held against validation: {why}")
        return
    figures: Mapping[str, Any] = {}
    with trace.variant(Oracle.PATHS, "evaluate after training") as door:
        options = evaluation(subject) | {"batch_size": subject.n}
        figures = subject.model.evaluate(*subject.arrays[:2], **options)
        for name in reported:
            if name in figures:
                door.see(f"train/metric/val_{name}", figures[name])
    for name, value in reported.items():
        if name in figures:
            trace.see(f"train/metric/val_{name}", float(value))


def _first_epoch(subject: Subject, history: Mapping[str, list[float]], trace: Trace) -> None:
    with subject.variant(trace, Oracle.PATHS, "fit") as door:
        see_metrics({name: values[0] for name, values in history.items() if not name.startswith("val_")}, door, loss="loss")


def _plain_sgd(subject: Subject, trace: Trace) -> None:
    """The weights that one step of plain gradient descent on the recorded gradient gives."""
    rate = _plain_rate(subject.model.optimizer)
    if rate is None or any(getattr(v, "constraint", None) is not None for v in subject.model.trainable_variables):
        return
    trainable = {id(variable) for variable in subject.model.trainable_variables}
    with subject.variant(trace, Oracle.PATHS, "initial weight - learning rate * gradient") as door:
        for path, variable in named_weights(subject.model):
            gradient = trace.observations.get(f"gradient/{path}")
            if id(variable) in trainable and gradient is not None:
                step = np.asarray(subject.initial.value(variable) - rate * gradient.value, gradient.value.dtype)
                door.see(f"train/weight/{path}", step)


def _plain_rate(optimizer: Any) -> float | None:
    """The learning rate of an SGD that does nothing else; None for any other optimizer."""
    if not isinstance(optimizer, keras.optimizers.SGD) or type(optimizer).__name__ != "SGD":  # torch has an SGD of its own
        return None
    extras = ("momentum", "nesterov", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "loss_scale_factor",
              "gradient_accumulation_steps")  # fmt: skip
    config = optimizer.get_config()
    if any(config.get(name) for name in extras) or not isinstance(config.get("learning_rate"), float):
        return None
    return float(config["learning_rate"])


def _compiled_otherwise(subject: Subject, trace: Trace, *, steps: bool, single_step: bool) -> None:
    """The first step and a test step op by op, and with XLA where the backend chooses between the two."""
    ways: dict[str, dict[str, Any]] = {"train_on_batch": {}}
    # A step of the model's own is held against itself where `fit` has taken just one, and draws nothing.
    own_step = has_own(subject.model, "train_step") and "train/loss" in trace.observations and "train/*" not in trace.not_compared
    own_step = own_step and subject.whole and subject.case.epochs == 1 and subject.case.class_weight is None
    if not subject.compiles_anew:
        trace.notes.append("not held against itself op by op: the model has a compile() that wants other arguments than Keras's")
    elif keras.backend.backend() != "torch":  # which runs op by op as it is; torch.compile takes minutes
        ways["run_eagerly"] = {"run_eagerly": True}
    if subject.compiles_anew and keras.backend.backend() == "tensorflow":
        ways["jit_compile"] = {"jit_compile": True}
    for door_name, options in ways.items():
        fresh = subject.restore()
        subject.reset_metrics()  # compiled anew, the same metric objects would go on from where they are
        if options:
            subject.compile(**options)
            if subject.whole or (subject.tested_loss == "loss" and not subject.moves):
                with subject.variant(trace, Oracle.PATHS, f"{door_name}: test_on_batch") as door:
                    see_metrics(_on_batch(subject, "test"), door, loss=subject.tested_loss)
            fresh = subject.restore()
        name = f"{door_name}: train_on_batch" if options else door_name
        if steps:
            with subject.variant(trace, Oracle.PATHS, name) as door:
                see_metrics(_on_batch(subject, "train"), door, loss="loss")
                if single_step and fresh and options:
                    see_weights(subject, door)
        elif own_step and fresh:
            with subject.variant(trace, Oracle.PATHS, name) as door:
                for metric, value in _on_batch(subject, "train").items():
                    door.see("train/loss" if metric == "loss" else f"train/metric/{metric}", np.asarray([float(value)]))
                see_weights(subject, door)
