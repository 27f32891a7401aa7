"""A functional or sequential model as the layer calls that create it."""

from __future__ import annotations

import re
from typing import Any

import keras

from backendcheck.record.source.dependencies import Slice
from backendcheck.record.source.expressions import arguments_of, expression, public_name, snake
from backendcheck.text.literals import NotWritable


def model_code(model: Any, slice_: Slice) -> dict[str, Any]:
    """The model as steps: its inputs, its layer calls in order, the structure of its outputs.

    Returns a dict of ``inputs`` (name, arguments), ``steps`` (name, constructor, arguments, names of the tensors it takes) and
    ``outputs`` (a nest of tensor names).

    Raises:
        NotWritable: if its class is not one of Keras, it shares layers, nests models, or calls operations that are not layers.
    """
    if isinstance(model, keras.Sequential):
        if not model.built:
            message = "a Sequential model without an input shape"
            raise NotWritable(message)
        functional = model._functional  # noqa: SLF001 - the only way to its graph
    else:
        functional = model
    if type(model) not in (keras.Model, keras.Sequential) and type(model).__name__ != "Functional":
        message = f"{type(model).__name__}, the class of the model, is not one of Keras"
        raise NotWritable(message)
    names: dict[int, str] = {}
    taken: set[str] = {"x", "y", "loss", "metrics", "model", "keras", "np", "build", "show", "optimizer", "sample_weight"}

    def unique_name(wish: str) -> str:
        name = re.sub(r"\W|^(?=\d)", "_", wish).lower() or "h"
        while name in taken or not name.isidentifier() or name in ("if", "in", "is", "for", "class"):
            name += "_"
        taken.add(name)
        return name

    inputs, steps = [], []
    for operation in functional.operations:
        if isinstance(operation, keras.layers.InputLayer):
            tensor = operation.output
            name = unique_name(operation.name)
            names[id(tensor)] = name
            dtype = keras.backend.standardize_dtype(tensor.dtype)
            inputs.append({
                "name": name, "shape": list(tensor.shape[1:]), "dtype": None if dtype == keras.config.floatx() else dtype,
                "label": None if re.fullmatch(r"keras_tensor(_\d+)?|input_layer(_\d+)?", operation.name) else operation.name,
            })  # fmt: skip
            continue
        if not isinstance(operation, keras.layers.Layer):
            continue  # mostly the computation of a mask; a layer that takes its result raises below
        constructor = public_name(type(operation))
        if constructor is None or not constructor.startswith("keras.layers."):
            message = f"the model has a {type(operation).__name__}, which is not a layer of Keras"
            raise NotWritable(message)
        keys = functional._nodes  # noqa: SLF001
        nodes = [node for number, node in enumerate(operation._inbound_nodes) if f"{id(operation)}_ib-{number}" in keys]  # noqa: SLF001
        if len(nodes) != 1 or isinstance(operation, keras.Model):
            message = f"the layer {operation.name} is shared or a model itself"
            raise NotWritable(message)
        arguments = nodes[0].arguments
        options = [value for key, value in arguments.kwargs.items() if key != "mask"]
        if len(arguments.args) != 1 or any(value is not None and value is not False for value in options):
            message = f"the layer {operation.name} is called with more than one argument"
            raise NotWritable(message)
        name = unique_name(operation.name)
        steps.append({
            "name": name, "constructor": constructor, "label": _label(operation), "takes": _nested(arguments.args[0], names),
            "arguments": {k: v for k, v in arguments_of(type(operation), operation.get_config(), slice_).items() if k != "name"},
            "shape": list(operation.output.shape[1:]) if not isinstance(operation.output, list | tuple | dict) else None,
        })  # fmt: skip
        if isinstance(operation.output, list | tuple | dict):
            message = f"the layer {operation.name} returns more than one tensor"
            raise NotWritable(message)
        names[id(operation.output)] = name
    structure = functional._outputs_struct  # noqa: SLF001
    inputs_structure = getattr(functional, "_inputs_struct", None)
    return {
        "inputs": inputs, "steps": steps, "outputs": _nested(structure, names),
        "takes": _nested(inputs_structure, names),
        "label": expression(model.name, slice_) if not _automatic(model.name) else None,
    }  # fmt: skip


def _label(operation: Any) -> str | None:
    """The name of a layer, if it is not an automatic one."""
    usual = re.escape(snake(type(operation).__name__))
    return None if re.fullmatch(rf"{usual}(_\d+)?", operation.name) else str(operation.name)


def _automatic(name: str) -> bool:
    return bool(re.fullmatch(r"(functional|sequential)(_\d+)?", name))


def _nested(structure: Any, names: dict[int, str]) -> Any:
    if isinstance(structure, dict):
        return {key: _nested(item, names) for key, item in structure.items()}
    if isinstance(structure, list | tuple):
        return [_nested(item, names) for item in structure]
    if id(structure) not in names:
        message = "the model calls operations that are not layers"
        raise NotWritable(message)
    return names[id(structure)]
