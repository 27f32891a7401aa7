"""What is to be seen of a ModelCase: predictions, losses, gradients, metrics, one training run.

The flow is that of Keras itself: build, forward (`predict`), loss (`compute_loss`, and each declared loss on the output
it names), gradient, metrics (`evaluate`), train (`fit`). A stage that raises is recorded and the others go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from backendcheck.case import ModelCase
from backendcheck.record.backends.masks import mask_of
from backendcheck.record.observe import losses, outputs
from backendcheck.record.observe.arrays import map_nest, observed, or_zeros, to_tensor
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.model_under_test import Subject, lowest_precision
from backendcheck.record.observe.outputs import suffix
from backendcheck.record.observe.overridden_steps import has_own
from backendcheck.record.observe.perturbation import Perturbation
from backendcheck.record.observe.randomness import draws_in_training, random_state
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.weights import named_weights, seed_weights, state_fingerprints, weight_digests


def built(case: ModelCase, trace: Trace, seed: int, noise: Perturbation) -> Subject | None:
    """The model of a case, built, with its initial weights, compiled; None if it raised."""
    subject = Subject(case, trace, seed, noise)
    model = subject.model
    with trace.stage("build"):
        if not model.built or not model.weights:
            _build(subject)
        if case.weights == "seeded":
            seed_weights(model, seed)
        trace.digests |= weight_digests(model, noise.round_weights(model))
        trace.state |= state_fingerprints(model)
        trace.lowest_precision = lowest_precision(model)
        subject.compile()
        trace.optimizer = f"{type(model.optimizer).__module__}.{type(model.optimizer).__qualname__}"
        subject.remember()
    return None if trace.raised else subject


def _build(subject: Subject) -> None:
    """Make the variables of a model that is built by its first call. As in `fit`, that call changes no state."""
    first = subject.n if subject.fixed_batch else 1
    x = map_nest(lambda leaf: to_tensor(leaf[:first]), subject.x)
    with keras.StatelessScope():
        subject.model(x, training=False)


def evaluation(subject: Subject) -> dict[str, Any]:
    return {
        "sample_weight": subject.sample_weight, "batch_size": subject.batch_size, "verbose": 0, "return_dict": True
    }  # fmt: skip


# --- one function for each thing to be seen, used for the recording and for its variants ------------------------


def see_predictions(subject: Subject, result: Any, trace: Trace) -> None:
    """Predictions by output, their order, and the classes they decide for."""
    named = outputs.by_output(result, subject.model)
    if list(named) != [""]:
        trace.see("output_order", list(named))
    see_named_predictions(named, trace)
    for name in named:
        _see_classes(subject, name, len(named), trace)


def see_named_predictions(named: Mapping[str, Any], trace: Trace) -> None:
    """Predictions by output."""
    for name, array in named.items():
        trace.see(f"predictions{suffix(name)}", array)


def _see_classes(subject: Subject, name: str, n_outputs: int, trace: Trace) -> None:
    loss = subject.case.loss
    loss = loss.get(name) if isinstance(loss, Mapping) else loss
    exclusive = not isinstance(loss, list | tuple) and loss is not None and losses.is_exclusive(losses.resolve(loss))
    if exclusive or outputs.is_softmax_output(subject.model, name, n_outputs):
        classes = outputs.predicted_class(trace.observations[f"predictions{suffix(name)}"].value)
        if classes is not None:
            trace.see(f"predicted_class{suffix(name)}", classes)


def see_losses_and_gradients(subject: Subject, arrays: tuple[Any, Any, Any], trace: Trace, *, predictions: bool = False) -> None:
    """The loss of each example, of each output and in total, and the gradients of the total; `predictions` as well if asked."""
    model, data = subject.model, subject.tensors(arrays)
    subject.settle()
    with trace.stage("loss"):
        y_pred = model(data["x"], training=False)
        named = outputs.by_output(y_pred, model)
        if predictions:
            see_named_predictions(named, trace)
        _see_declared_losses(subject, named, subject.tensors(arrays), trace)
        trace.see("loss", subject.total(y_pred, subject.tensors(arrays)))
    if "loss" not in trace.observations:
        return
    subject.settle()
    with trace.stage("gradient"):
        _, by_pred, by_variable = subject.gradients(subject.tensors(arrays))
        for name, gradient in zip(_flat_names(y_pred, named), by_pred, strict=True):
            trace.see(f"gradient/y_pred{suffix(name)}", or_zeros(gradient, named[name]))
        paths = {id(variable): path for path, variable in named_weights(model)}
        for variable, gradient in zip(model.trainable_variables, by_variable, strict=True):
            trace.see(f"gradient/{paths[id(variable)]}", or_zeros(gradient, variable))


def _flat_names(y_pred: Any, named: Mapping[str, Any]) -> list[str]:
    """Output names in the order in which this backend flattens a prediction."""
    by_identity = {id(tensor): name for name, tensor in named.items()}
    return [by_identity[id(tensor)] for tensor in keras.tree.flatten(y_pred)]


def _see_declared_losses(subject: Subject, named: Mapping[str, Any], data: Mapping[str, Any], trace: Trace) -> None:
    """Each declared loss, called by hand on the output and the labels of its own name."""
    if subject.case.loss is None:
        return
    # Whether the total is this one loss: no other output, no weight on it, no regularizer beside it.
    own_total = has_own(subject.model, "compute_loss")
    alone = len(named) == 1 and subject.case.loss_weights is None and not subject.model.losses and not own_total
    declared = outputs.declared_names(subject.model, list(named))
    try:
        labels = outputs.matched(data["y"], declared, what="y", repeat=True)
        weights = outputs.matched(data["sample_weight"], declared, what="sample_weight", repeat=True)
        specs = outputs.matched(subject.case.loss, declared, what="loss", repeat=True)
    except InvalidCase as error:
        # Keras may still make something of it; what that is, compute_loss and fit show.
        trace.notes.append(f"no loss by output: {error}")
        return
    try:
        factors = outputs.matched(subject.case.loss_weights, declared, what="loss_weights", repeat=len(declared) == 1)
    except InvalidCase:
        factors = {}
    for name, spec in specs.items():
        y_true, weight = labels.get(name), weights.get(name)
        if y_true is None:
            continue
        loss = losses.resolve(spec)
        trace.losses[name] = losses.description(loss) | {"alone": alone, "weight": float(factors.get(name, 1.0))}
        trace.labels[f"y_true{suffix(name)}"] = observed(y_true, where="y").value
        if weight is not None:
            trace.labels[f"sample_weight{suffix(name)}"] = observed(weight, where="sample_weight").value
        if (mask := mask_of(named[name])) is not None:
            trace.labels[f"mask{suffix(name)}"] = observed(mask, where="mask").value
        if subject.predicts_apart:
            trace.labels[f"output{suffix(name)}"] = observed(named[name], where="output").value
        subject.settle_losses()
        each = losses.per_example(loss, y_true, named[name], _copied(weight), subject.n)
        if each is not None:
            trace.see(f"per_example_loss{suffix(name)}", each)
        if name:
            subject.settle_losses()
            reduced = loss(y_true, named[name], sample_weight=_copied(weight))
            trace.see(f"loss/{name}", reduced if len(reduced.shape) == 0 else keras.ops.sum(reduced))


def _copied(weight: Any) -> Any:
    """Weights for one call: some losses write into them."""
    return None if weight is None else keras.ops.copy(weight)


def see_metrics(figures: Mapping[str, Any], trace: Trace, *, loss: str = "") -> None:
    """Metrics by name as `evaluate` returns them; the loss among them as the observation `loss` if that is given."""
    for name, value in figures.items():
        if name != "loss":
            trace.see(f"metric/{name}", value)
        elif loss:
            trace.see(loss, value)


def see_weights(subject: Subject, trace: Trace) -> None:
    """The weights after training."""
    for path, variable in named_weights(subject.model):
        trace.see(f"train/weight/{path}", variable)


def see_history(history: Mapping[str, list[float]], trace: Trace) -> None:
    """What `fit` reports of each epoch, validation aside."""
    for name, values in history.items():
        if not name.startswith("val_"):
            trace.see("train/loss" if name == "loss" else f"train/metric/{name}", np.asarray([float(v) for v in values]))


def fit(subject: Subject, trace: Trace, **options: Any) -> Mapping[str, list[float]]:
    """Train as the case says, examples in order; `options` go to `fit`. Returns what `fit` reports, which is seen in `trace`."""
    case = subject.case
    history: dict[str, list[float]] = subject.model.fit(
        subject.x, subject.y, sample_weight=subject.sample_weight, class_weight=case.class_weight,
        batch_size=subject.batch_size, epochs=int(case.epochs), shuffle=False, verbose=0, **options,
    ).history  # fmt: skip
    see_history(history, trace)
    see_weights(subject, trace)
    return history


def train(subject: Subject, trace: Trace, **options: Any) -> Mapping[str, list[float]]:
    """The stage in which the model is trained, by `fit`; returns what that reports, nothing if it raised."""
    before, raised_before = random_state(subject.model), len(trace.raised)
    history: Mapping[str, list[float]] = {}
    with trace.stage("train"):
        history = fit(subject, trace, **options)
    if len(trace.raised) > raised_before:
        subject.restore()
    elif random_state(subject.model) != before or draws_in_training(subject):
        trace.not_compared["train/*"] = "training draws random numbers (dropout, noise), and each backend draws its own"
    return history
