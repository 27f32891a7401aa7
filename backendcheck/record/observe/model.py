"""The stages of observing a ModelCase, and how their results become observations.

The stages follow Keras itself: build, forward (`predict`), loss (`compute_loss`, and each declared loss on the output of its
name), gradient, metrics (`evaluate`), train (`fit`). A stage that raises is recorded, and the next ones run all the same. Their
order is in `record.flow`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from backendcheck.case import ModelCase
from backendcheck.record.observe import losses, outputs
from backendcheck.record.observe.arrays import as_observation, map_nest, to_tensor
from backendcheck.record.observe.draws import watched
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.fits import fit
from backendcheck.record.observe.gradients import add_gradient
from backendcheck.record.observe.mask_flow import LostMasks, lost_masks_noted
from backendcheck.record.observe.mask_paths import masks_noted, observe_masks
from backendcheck.record.observe.metrics import note_metrics
from backendcheck.record.observe.model_draws import note_draws_of_inference, note_draws_of_training
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.perturbation import Perturbation
from backendcheck.record.observe.precision import lowest_of_metrics, lowest_of_model
from backendcheck.record.observe.state import random_state
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.weights import named_weights, seed_weights, state_fingerprints, weight_digests
from backendcheck.vocabulary.backends import Ability
from backendcheck.vocabulary.observations import Quantity, of_output
from backendcheck.vocabulary.stages import RecordingStage

# --- build -----------------------------------------------------------------------------------------------------


def build_model(case: ModelCase, trace: Trace, seed: int, noise: Perturbation) -> ModelUnderTest | None:
    """The model of a case, built, with its initial weights, compiled; None if it raised."""
    under_test = ModelUnderTest(case, trace, seed, noise)
    model = under_test.model
    with trace.stage(RecordingStage.BUILD):
        if not model.built or not model.weights:
            _create_variables(under_test)
        if case.weights == "seeded":
            seed_weights(model, seed)
        trace.digests |= weight_digests(model, noise.round_weights(model))
        trace.state |= state_fingerprints(model)
        trace.lower_precision(lowest_of_model(model, under_test.x))
        under_test.compile()
        trace.optimizer = f"{type(model.optimizer).__module__}.{type(model.optimizer).__qualname__}"
        under_test.save_initial()
    return None if trace.raised else under_test


def _create_variables(under_test: ModelUnderTest) -> None:
    """Call the model, so that it creates its variables. As in `fit`, this call does not change any state."""
    n = under_test.n if under_test.has_fixed_batch_size else 1
    x = map_nest(lambda leaf: to_tensor(leaf[:n]), under_test.x)
    with keras.StatelessScope():
        under_test.model(x, training=False)


# --- forward ---------------------------------------------------------------------------------------------------


def observe_predictions(under_test: ModelUnderTest, trace: Trace) -> None:
    """Add the predictions of `predict`, and note what inference changes and whether it depends on random numbers."""
    model = under_test.model
    with trace.stage(RecordingStage.FORWARD):
        predictions = model.predict(under_test.fed[0], batch_size=under_test.batch_size, verbose=0)
        named = outputs.by_output(predictions, model)
        if list(named) != [""]:
            trace.add("output_order", list(named))
        add_predictions(named, trace)
        for name in named:
            _add_predicted_class(under_test, name, len(named), trace)
        trace.lower_precision_by(Quantity.PREDICTIONS)
    if not trace.raised:
        under_test.note_changed_state()
        note_draws_of_inference(under_test, trace)


def add_predictions(named: Mapping[str, Any], trace: Trace) -> None:
    """Add predictions by output, each (N, C)."""
    for name, array in named.items():
        trace.add(of_output("predictions", name), array)


def _add_predicted_class(under_test: ModelUnderTest, name: str, n_outputs: int, trace: Trace) -> None:
    loss = under_test.case.loss
    loss = loss.get(name) if isinstance(loss, Mapping) else loss
    predictions = trace.observations[of_output("predictions", name)].value
    exclusive = not isinstance(loss, list | tuple) and loss is not None
    exclusive = exclusive and losses.is_exclusive(losses.resolve(loss, y_pred=predictions))
    if exclusive or outputs.is_softmax_output(under_test.model, name, n_outputs):
        classes = outputs.predicted_class(predictions)
        if classes is not None:
            trace.add(of_output("predicted_class", name), classes)


# --- loss and gradient -----------------------------------------------------------------------------------------


def observe_losses_and_gradients(
    under_test: ModelUnderTest, arrays: tuple[Any, Any, Any], trace: Trace, *, predictions: bool = False
) -> None:
    """Add the loss of each example, of each output and in total, and the gradients of the total.

    `arrays` are x, y and sample_weight: those of the case, or the same ones permuted. With `predictions`, add those of
    ``model(x)`` as well.
    """
    model = under_test.model
    under_test.reset_state()
    with trace.stage(RecordingStage.LOSS):
        with lost_masks_noted(model) as lost:
            y_pred = model(under_test.tensors(arrays)["x"], training=False)
        named = outputs.by_output(y_pred, model)
        if predictions:
            add_predictions(named, trace)
        observe_masks(under_test, named, lost, trace)
        _observe_declared_losses(under_test, named, under_test.tensors(arrays), trace, lost)
        trace.lower_precision_by(Quantity.PER_EXAMPLE_LOSS, Quantity.LOSS)
        trace.add("loss", under_test.total_loss(y_pred, under_test.tensors(arrays)))
        trace.lower_precision_by(Quantity.LOSS)
    if "loss" not in trace.observations or not trace.can(Ability.GRADIENT):
        return
    under_test.reset_state()
    with trace.stage(RecordingStage.GRADIENT):
        by_pred, by_variable = under_test.gradients(under_test.tensors(arrays))
        for name, gradient in zip(_flat_names(y_pred, named), by_pred, strict=True):
            add_gradient(of_output("gradient/y_pred", name), gradient, trace)
        paths = {id(variable): path for path, variable in named_weights(model)}
        for variable, gradient in zip(model.trainable_variables, by_variable, strict=True):
            add_gradient(f"gradient/{paths[id(variable)]}", gradient, trace)


def _flat_names(y_pred: Any, named: Mapping[str, Any]) -> list[str]:
    """Output names in the order in which this backend flattens a prediction."""
    by_identity = {id(tensor): name for name, tensor in named.items()}
    return [by_identity[id(tensor)] for tensor in keras.tree.flatten(y_pred)]


def _observe_declared_losses(
    under_test: ModelUnderTest, named: Mapping[str, Any], data: Mapping[str, Any], trace: Trace, lost: LostMasks
) -> None:
    """Call each declared loss on the output and the labels of its name. The reference gets the masks that the layers compute."""
    if under_test.case.loss is None:
        return
    # Whether the total is this one loss: no other output, no weight on it, no regularizer.
    has_own_total = under_test.overrides("compute_loss")
    alone = len(named) == 1 and under_test.case.loss_weights is None and not under_test.model.losses and not has_own_total
    declared = outputs.declared_names(under_test.model, list(named))
    try:
        labels = outputs.matched(data["y"], declared, what="y", repeat=True)
        weights = outputs.matched(data["sample_weight"], declared, what="sample_weight", repeat=True)
        specs = outputs.matched(under_test.case.loss, declared, what="loss", repeat=True)
    except InvalidCase as error:
        # Keras may accept it nevertheless; compute_loss and fit then show the result.
        trace.notes.append(f"no loss by output: {error}")
        return
    try:
        factors = outputs.matched(under_test.case.loss_weights, declared, what="loss_weights", repeat=len(declared) == 1)
    except InvalidCase:
        factors = {}
    for name, spec in specs.items():
        y_true, weight = labels.get(name), weights.get(name)
        if y_true is None:
            continue
        loss = losses.resolve(spec, y_true, named[name])
        trace.losses[name] = losses.described(spec, loss, name, trace) | {"alone": alone, "weight": float(factors.get(name, 1.0))}
        trace.labels[of_output("y_true", name)] = as_observation(y_true, where="y").value
        if weight is not None:
            trace.labels[of_output("sample_weight", name)] = as_observation(weight, where="sample_weight").value
        if layer := lost.layer_before(named[name]):
            of = f" of {name}" if name else ""
            trace.notes.append(f"the mask that the layers compute does not reach the loss{of}: layer {layer} loses it")
        if (mask := lost.mask_for(named[name])) is not None:
            trace.labels[of_output("mask", name)] = as_observation(mask, where="mask").value
        if under_test.predict_differs:
            trace.labels[of_output("output", name)] = as_observation(named[name], where="output").value
        under_test.reset_loss_state()
        values = losses.per_example(loss, y_true, named[name], losses.copied(weight), under_test.n)
        if values is not None:
            trace.add(of_output("per_example_loss", name), values.value, like=values)
        if name:
            under_test.reset_loss_state()
            reduced = loss(y_true, named[name], sample_weight=losses.copied(weight))
            trace.add(f"loss/{name}", reduced if len(reduced.shape) == 0 else keras.ops.sum(reduced))


# --- metrics ---------------------------------------------------------------------------------------------------


def observe_metrics(under_test: ModelUnderTest, trace: Trace) -> None:
    """Add the metrics of `evaluate`."""
    under_test.reset_state()
    with trace.stage(RecordingStage.METRICS):
        with masks_noted(under_test, "evaluate"):
            values = under_test.model.evaluate(*under_test.fed[:2], **evaluate_options(under_test))
        trace.lowest_of_metrics = lowest_of_metrics(under_test.model)
        add_metrics(values, trace, loss=under_test.evaluate_loss_name)
        note_metrics(under_test, trace)
        under_test.evaluated = values
    if any(raised.stage == "metrics" for raised in trace.raised):
        # An exception inside a compiled step may leave the variables of a JAX model empty.
        under_test.restore_initial()
        under_test.compile()
    under_test.reset_state()


def evaluate_options(under_test: ModelUnderTest) -> dict[str, Any]:
    """The arguments of `evaluate` besides x and y."""
    return {
        "sample_weight": under_test.sample_weight, "batch_size": under_test.batch_size, "verbose": 0, "return_dict": True
    }  # fmt: skip


def add_metrics(values: Mapping[str, Any], trace: Trace, *, loss: str = "", only: frozenset[str] | None = None) -> None:
    """Add metrics by name, as `evaluate` returns them: all, or those in `only`.

    The loss among them becomes the observation `loss`, unless it is empty.
    """
    for name, value in values.items():
        if name == "loss":
            if loss:
                trace.add(loss, value)
        elif only is None or name in only:
            trace.add(f"metric/{name}", value)


# --- train -----------------------------------------------------------------------------------------------------


def train(under_test: ModelUnderTest, trace: Trace, **options: Any) -> Mapping[str, list[float]]:
    """Train the model by `fit`, which gets `options`. Returns what `fit` reports by epoch; empty if it raised."""
    before, n_raised_before = random_state(under_test.model), len(trace.raised)
    history: Mapping[str, list[float]] = {}
    with watched() as draws, trace.stage(RecordingStage.TRAIN), masks_noted(under_test, "fit"):
        history = fit(under_test, trace, **options)
    if len(trace.raised) > n_raised_before:
        under_test.restore_initial()
    else:
        changed = random_state(under_test.model) != before and not under_test.has_fixed_draws
        note_draws_of_training(under_test, trace, changed=changed, draws=draws)
    return history
