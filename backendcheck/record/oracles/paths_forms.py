"""The paths oracle on forms: the same layers as another kind of model, and the outputs of the model under other names.

The predictions and the loss are the same by definition. All but the renamed outputs run op by op, so that nothing compiles again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from backendcheck.record.observe import outputs
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.model import add_predictions
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.trace import Trace
from backendcheck.vocabulary.findings import Oracle

RENAMED = "predict with the outputs renamed"


def observe_forms(under_test: ModelUnderTest, trace: Trace) -> None:
    """Add a variant to `trace` for each other form of the model. The model has its initial state."""
    model = under_test.model
    if under_test.predict_differs or not is_graph(model):
        return
    structure = getattr(model, "_outputs_struct", None)  # of a graph that was called with a nest; a Sequential has one output
    named = outputs.by_output(structure if structure is not None else model.outputs[0], model)
    if len(named) > 1:
        _observe_renamed(under_test, trace, named)
    if isinstance(model, keras.Sequential):
        _observe_form(under_test, trace, "as a functional model", lambda: keras.Model(model.inputs, model.outputs[0]))
    elif _is_chain(model):
        _observe_form(under_test, trace, "as a Sequential model", lambda: keras.Sequential(model.layers))
    if list(named) == [""] or isinstance(structure, Mapping):  # Keras matches the losses of a list by the names of layers
        _observe_form(under_test, trace, "as a subclassed model", lambda: _Subclassed(model))


def is_graph(model: Any) -> bool:
    """Whether the model is Functional or Sequential, so that its configuration describes all of it."""
    return type(model) is keras.Sequential or type(model).__name__ == "Functional"


class _Subclassed(keras.Model):  # type: ignore[misc]
    """A model whose `call` calls another one."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def call(self, x: Any, training: bool | None = None) -> Any:
        return self.model(x, training=training)


def _is_chain(model: Any) -> bool:
    """Whether each layer has the output of the one before as its only input, and the model its last output."""
    layers = list(model.layers)
    if list(getattr(model, "operations", layers)) != layers or not isinstance(layers[0], keras.layers.InputLayer):
        return False
    if not all(isinstance(nest, keras.KerasTensor) for nest in (model._inputs_struct, model._outputs_struct)):  # noqa: SLF001
        return False
    tensor = layers[0].output
    for layer in layers[1:]:
        if len(layer._inbound_nodes) != 1 or layer.input is not tensor:  # noqa: SLF001 - each call of the layer
            return False
        tensor = layer.output
    return tensor is model.outputs[0]


def _observe_form(under_test: ModelUnderTest, trace: Trace, path: str, make: Callable[[], Any]) -> None:
    with under_test.variant(trace, Oracle.PATHS, path) as variant:
        form = make()
        y_pred = form(under_test.tensors((under_test.x, None, None))["x"], training=False)
        predictions = outputs.by_output(y_pred, under_test.model)
        add_predictions(predictions, variant)
        if "loss" in trace.observations and under_test.case.loss is not None and not under_test.overrides("compute_loss"):
            data = under_test.tensors(under_test.arrays)
            under_test.reset_loss_state()
            form.compile(loss=under_test.case.loss, loss_weights=under_test.case.loss_weights)
            variant.add("loss", form.compute_loss(x=data["x"], y=data["y"], y_pred=y_pred, sample_weight=data["sample_weight"]))


def _observe_renamed(under_test: ModelUnderTest, trace: Trace, named: Mapping[str, Any]) -> None:
    """Predict with names whose alphabetical order is the reverse of that of the declared names."""
    new_names = {name: f"output_{len(named) - place:03d}" for place, name in enumerate(sorted(named))}
    old_names = {new: name for name, new in new_names.items()}
    model = under_test.model
    with under_test.variant(trace, Oracle.PATHS, RENAMED) as variant:
        renamed = keras.Model(model._inputs_struct, {new_names[name]: tensor for name, tensor in named.items()})  # noqa: SLF001
        predictions = renamed.predict(under_test.fed[0], batch_size=under_test.batch_size, verbose=0)
        add_predictions({old_names[name]: array for name, array in predictions.items()}, variant)
        if (compiled := _compiled_by_name(under_test, list(named), trace)) is not None:
            options, labels, weights = compiled
            under_test.reset_loss_state()
            renamed.compile(**{option: _renamed(by_name, new_names) for option, by_name in options.items()})
            tensors = under_test.tensors(under_test.arrays)
            y_pred = renamed(tensors["x"], training=False)
            variant.add("loss", renamed.compute_loss(
                x=tensors["x"], y=_renamed(labels, new_names), y_pred=y_pred, sample_weight=_renamed(weights, new_names) or None
            ))  # fmt: skip


def _renamed(by_name: Mapping[str, Any], new_names: Mapping[str, str]) -> dict[str, Any]:
    return {new_names[name]: value for name, value in by_name.items()}


def _compiled_by_name(
    under_test: ModelUnderTest, names: list[str], trace: Trace
) -> tuple[dict[str, Any], Mapping[str, Any], Mapping[str, Any]] | None:
    """The losses and their weights, the labels and the sample weights by output; None unless each output has all or none."""
    case = under_test.case
    if "loss" not in trace.observations or case.loss is None or under_test.overrides("compute_loss"):
        return None
    data = under_test.tensors(under_test.arrays)
    try:
        declared = outputs.declared_names(under_test.model, names)
        specs = outputs.matched(case.loss, declared, what="loss", repeat=True)
        labels = outputs.matched(data["y"], declared, what="y", repeat=False)
        weights = outputs.matched(data["sample_weight"], declared, what="sample_weight", repeat=True)
        factors = outputs.matched(case.loss_weights, declared, what="loss_weights", repeat=False)
    except InvalidCase:
        return None
    if set(specs) != set(names) or set(labels) != set(names) or set(weights) not in (set(), set(names)):
        return None
    return {"loss": specs} | ({"loss_weights": factors} if factors else {}), labels, weights
