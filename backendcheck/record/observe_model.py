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
from backendcheck.record import losses, outputs
from backendcheck.record.arrays import as_arrays, digests, leaves, map_nest, observed, to_tensor
from backendcheck.record.observe import check_lengths, numerics, or_zeros
from backendcheck.record.outputs import suffix
from backendcheck.record.trace import InvalidCase, Trace
from backendcheck.record.weights import named_weights, seed_weights, state_fingerprints, weight_digests

_DEFAULT_LEARNING_RATE = 0.1


def observe_model(case: ModelCase, trace: Trace, *, seed: int) -> None:
    """Fill `trace` with the observations of a model, its labels and its training."""
    model = case.model
    if not isinstance(model, keras.Model):
        message = f"ModelCase: model is {type(model).__name__}; expected a keras.Model."
        raise InvalidCase(message)
    x, y, sample_weight = _inputs(case, trace)
    n = len(next(leaf for _, leaf in leaves(x)))
    batch_size = int(case.batch_size or n)

    with trace.stage("build"):
        if not model.built or not model.weights:
            model(map_nest(lambda leaf: to_tensor(leaf[:1]), x), training=False)
        if case.weights == "seeded":
            seed_weights(model, seed)
        trace.digests |= weight_digests(model)
        trace.state |= state_fingerprints(model)
        trace.lowest_precision = _lowest_precision(model)
        model.compile(
            optimizer=case.optimizer if case.optimizer is not None else keras.optimizers.SGD(_DEFAULT_LEARNING_RATE),
            loss=case.loss,
            loss_weights=case.loss_weights,
            metrics=case.metrics,
        )
    if trace.raised:
        return
    before_forward = _random_state(model)
    names = _forward(model, x, batch_size, trace)
    _losses_and_gradients(case, model, (x, y, sample_weight), names, trace)
    if _random_state(model) != before_forward:
        trace.not_compared["*"] = "random numbers are drawn outside training, and each backend draws its own"
    with trace.stage("metrics"):
        seen = model.evaluate(x, y, sample_weight=sample_weight, batch_size=batch_size, verbose=0, return_dict=True)
        for name, value in seen.items():
            if name != "loss":
                trace.see(f"metric/{name}", value)
    _train(case, model, (x, y, sample_weight), batch_size, trace)


def _inputs(case: ModelCase, trace: Trace) -> tuple[Any, Any, Any]:
    n_outputs = None if isinstance(case.y, Mapping) else _n_outputs(case.model)
    x = as_arrays(case.x, 1 if len(getattr(case.model, "inputs", None) or ()) == 1 else None)
    y, sample_weight = as_arrays(case.y, n_outputs), as_arrays(case.sample_weight, n_outputs)
    for name, nest in (("x", x), ("y", y), ("sample_weight", sample_weight)):
        trace.digests |= digests(name, nest)
    if case.class_weight is not None:
        weights = as_arrays(case.class_weight)
        trace.digests |= digests("class_weight", {str(key): one for key, one in weights.items()} if isinstance(weights, Mapping) else weights)
    empty = [path for path, leaf in leaves(x, "x") if np.ndim(leaf) == 0 or len(leaf) == 0]
    if empty:
        message = f"ModelCase: {empty[0]} holds no examples; expected an array of N of them, N of 1 or more."
        raise InvalidCase(message)
    if case.expect is None:
        check_lengths("ModelCase", {"x": x, "y": y, "sample_weight": sample_weight})
    return x, y, sample_weight


def _n_outputs(model: Any) -> int | None:
    structure = getattr(model, "_outputs_struct", None)
    return None if structure is None else len(list(leaves(structure)))


def _lowest_precision(model: Any) -> str | None:
    """The coarsest float type that a layer computes in, where that is below the float type of the session."""
    computed = {getattr(layer, "compute_dtype", None) for layer in model._flatten_layers()}  # noqa: SLF001 - nested ones, too
    return next((dtype for dtype in ("bfloat16", "float16") if dtype in computed and keras.config.floatx() != dtype), None)


def _random_state(model: Any) -> list[Any]:
    """The state of every random generator in the model; it moves when numbers are drawn."""
    states = [variable for variable in model.variables if "seed_generator" in variable.path]
    return [observed(variable, where="random state").value.tolist() for variable in states]


def _forward(model: Any, x: Any, batch_size: int, trace: Trace) -> list[str]:
    """Record what `predict` returns; the names of the outputs, in the order in which it returned them."""
    names: list[str] = []
    with trace.stage("forward"):
        predictions = outputs.by_output(model.predict(x, batch_size=batch_size, verbose=0), model)
        names = list(predictions)
        if names != [""]:
            trace.see("output_order", names)
        for name, array in predictions.items():
            trace.see(f"predictions{suffix(name)}", array)
    return names


def _losses_and_gradients(case: ModelCase, model: Any, arrays: tuple[Any, Any, Any], names: list[str], trace: Trace) -> None:
    x, y, sample_weight = (map_nest(to_tensor, nest) if nest is not None else None for nest in arrays)
    n = len(next(leaf for _, leaf in leaves(arrays[0])))
    variables = model.trainable_variables
    if sample_weight is not None and isinstance(y, Mapping | list | tuple) and not isinstance(sample_weight, Mapping | list | tuple):
        sample_weight = map_nest(lambda _: sample_weight, y)  # as fit does: one array weights every output

    data = {"x": x, "y": y, "sample_weight": sample_weight}

    def total(y_pred: Any, data: Any) -> Any:
        return model.compute_loss(x=data["x"], y=data["y"], y_pred=y_pred, sample_weight=data["sample_weight"])

    with trace.stage("loss"):
        y_pred = model(x, training=False)
        named = outputs.by_output(y_pred, model)
        for name in named:
            _see_classes(case, model, name, len(named), trace)
        _see_declared_losses(case, model, named, (y, sample_weight), n, trace)
        trace.see("loss", total(y_pred, data))
    if "loss" not in trace.observations:
        return
    with trace.stage("gradient"):
        _, by_pred, by_variable = numerics().value_and_gradients(
            lambda data: model(data["x"], training=False), total, variables, data
        )
        for name, gradient in zip(_flat_names(y_pred, named), by_pred, strict=True):
            trace.see(f"gradient/y_pred{suffix(name)}", or_zeros(gradient, named[name]))
        for (path, variable), gradient in zip(_trainable(model, variables), by_variable, strict=True):
            trace.see(f"gradient/{path}", or_zeros(gradient, variable))


def _flat_names(y_pred: Any, named: Mapping[str, Any]) -> list[str]:
    """Output names in the order in which this backend flattens a prediction."""
    by_identity = {id(tensor): name for name, tensor in named.items()}
    return [by_identity[id(tensor)] for tensor in keras.tree.flatten(y_pred)]


def _trainable(model: Any, variables: list[Any]) -> list[tuple[str, Any]]:
    paths = {id(variable): path for path, variable in named_weights(model)}
    return [(paths[id(variable)], variable) for variable in variables]


def _declared(case: ModelCase, model: Any, names: list[str]) -> dict[str, keras.losses.Loss]:
    declared = outputs.declared_names(model, names)
    spread = outputs.matched(case.loss, declared, what="loss", repeat=True)
    return {name: losses.resolve(loss) for name, loss in spread.items()}


def _see_classes(case: ModelCase, model: Any, name: str, n_outputs: int, trace: Trace) -> None:
    predictions = trace.observations.get(f"predictions{suffix(name)}")
    if predictions is None:
        return
    loss = case.loss.get(name) if isinstance(case.loss, Mapping) else case.loss
    exclusive = not isinstance(loss, list | tuple) and loss is not None and losses.is_exclusive(losses.resolve(loss))
    if exclusive or outputs.is_softmax_output(model, name, n_outputs):
        classes = outputs.predicted_class(predictions.value)
        if classes is not None:
            trace.see(f"predicted_class{suffix(name)}", classes)


def _see_declared_losses(
    case: ModelCase, model: Any, named: Mapping[str, Any], labels: tuple[Any, Any], n: int, trace: Trace
) -> None:
    """Each declared loss, called by hand on the output and the labels of its own name."""
    if case.loss is None:
        return
    # Whether the total is this one loss: no other output, no weight on it, no regularizer beside it.
    alone = len(named) == 1 and case.loss_weights is None and not model.losses
    declared = outputs.declared_names(model, list(named))
    by_name = {
        "y": outputs.matched(labels[0], declared, what="y", repeat=True),
        "sample_weight": outputs.matched(labels[1], declared, what="sample_weight", repeat=True),
    }
    for name, loss in _declared(case, model, list(named)).items():
        y_true, weight = by_name["y"].get(name), by_name["sample_weight"].get(name)
        if y_true is None:
            continue
        trace.losses[name] = losses.description(loss) | {"alone": alone}
        trace.labels[f"y_true{suffix(name)}"] = observed(y_true, where="y").value
        if weight is not None:
            trace.labels[f"sample_weight{suffix(name)}"] = observed(weight, where="sample_weight").value
        if (mask := getattr(named[name], "_keras_mask", None)) is not None:
            trace.labels[f"mask{suffix(name)}"] = observed(mask, where="mask").value
        each = losses.per_example(loss, y_true, named[name], weight, n)
        if each is not None:
            trace.see(f"per_example_loss{suffix(name)}", each)
        if name:
            reduced = loss(y_true, named[name], sample_weight=weight)
            trace.see(f"loss/{name}", reduced if len(reduced.shape) == 0 else keras.ops.sum(reduced))


def _train(case: ModelCase, model: Any, data: tuple[Any, Any, Any], batch_size: int, trace: Trace) -> None:
    x, y, sample_weight = data
    before = _random_state(model)
    with trace.stage("train"):
        history = model.fit(
            x, y, sample_weight=sample_weight, class_weight=case.class_weight, batch_size=batch_size,
            epochs=int(case.epochs), shuffle=False, verbose=0,
        ).history  # fmt: skip
        for name, values in history.items():
            trace.see("train/loss" if name == "loss" else f"train/metric/{name}", np.asarray([float(v) for v in values]))
        for path, variable in named_weights(model):
            trace.see(f"train/weight/{path}", variable)
    if _random_state(model) != before:
        trace.not_compared["train/*"] = "training draws random numbers (dropout, noise), and each backend draws its own"
