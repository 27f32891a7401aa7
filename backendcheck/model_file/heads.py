"""The inputs and heads of a model, read from the configuration of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backendcheck.model_file.losses import snake

Shape = tuple[int | None, ...]

# Layers after which each column still stands for the same class.
_PASSES_ON = frozenset({
    "Activation", "ActivityRegularization", "AlphaDropout", "BatchNormalization", "Dropout", "ELU", "GaussianDropout",
    "GaussianNoise", "GroupNormalization", "Identity", "LayerNormalization", "LeakyReLU", "Masking", "PReLU", "ReLU", "Rescaling",
    "Softmax", "SpatialDropout1D", "SpatialDropout2D", "UnitNormalization",
})  # fmt: skip
_WIDTHS = ("units", "filters", "output_dim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """An input of a model. `shape` is (None, …), with None for the number of examples; it is None if not known."""

    name: str
    shape: Shape | None
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """An output of a model.

    Attributes:
        name: the name of the output; ``""`` for a single unnamed one.
        shape: (None, …, units), with None for the number of examples; None if not known.
        units: how many columns the last axis has; None if not known.
        activation: the last activation, such as ``softmax`` or ``linear``; None if not known.
    """

    name: str
    shape: Shape | None = None
    units: int | None = None
    activation: str | None = None


def ports_of(config: Mapping[str, Any]) -> tuple[Port, ...]:
    """The inputs of a Sequential or Functional model."""
    inner = config["config"]
    layers = {layer["config"]["name"]: layer for layer in inner["layers"]}
    if "input_layers" in inner:
        ports = []
        for key, reference in _by_name(inner["input_layers"]):
            layer = layers[reference]
            ports.append(Port(name=key or reference, shape=_input_shape(layer), dtype=str(_dtype(layer["config"]))))
        return tuple(ports)
    first = inner["layers"][0]
    shape = _input_shape(first) if first["class_name"] == "InputLayer" else _shape(inner.get("build_input_shape"))
    return (Port(name=str(first["config"]["name"]), shape=shape, dtype=str(_dtype(first["config"]))),)


def _input_shape(layer: Mapping[str, Any]) -> Shape | None:
    config = layer["config"]
    return _shape(config.get("batch_shape") or config.get("batch_input_shape"))


def _dtype(config: Mapping[str, Any]) -> str:
    dtype = config.get("dtype")
    return str(dtype["config"].get("name", "")) if isinstance(dtype, Mapping) else str(dtype or "")


def _shape(value: Any) -> Shape | None:
    if isinstance(value, Mapping) and "items" in value:  # a tuple, as serialization_lib writes one
        value = value["items"]
    plain = isinstance(value, list | tuple) and all(size is None or isinstance(size, int) for size in value)
    return tuple(value) if plain else None


def _by_name(references: Any) -> list[tuple[str, str]]:
    """For each tensor of `input_layers` or `output_layers`: its name in a dict (or ``""``), and the name of its layer."""
    if isinstance(references, Mapping):
        pairs = []
        for key, reference in references.items():
            pairs += [(f"{key}/{deeper}" if deeper else str(key), layer) for deeper, layer in _by_name(reference)]
        return pairs
    if len(references) == 3 and isinstance(references[0], str) and isinstance(references[1], int):  # noqa: PLR2004 - layer, node, tensor
        return [("", references[0])]
    return [pair for reference in references for pair in _by_name(reference)]


def heads_of(config: Mapping[str, Any]) -> tuple[Head, ...]:
    """The outputs of a Sequential or Functional model."""
    inner = config["config"]
    layers = {layer["config"]["name"]: layer for layer in inner["layers"]}
    if "output_layers" not in inner:
        return (_head("", inner["layers"][-1], layers, list(layers)),)
    pairs = _by_name(inner["output_layers"])
    alone = len(pairs) == 1 and not isinstance(inner["output_layers"], Mapping)
    return tuple(_head("" if alone else key or layer, layers[layer], layers, list(layers)) for key, layer in pairs)


def _head(name: str, layer: Mapping[str, Any], layers: Mapping[str, Any], order: list[str]) -> Head:
    """The head that ends in `layer`. Goes back through layers of `_PASSES_ON` to the one that produces the columns."""
    shape, activation = _shape_before(layer), None
    current = layer
    for _ in range(len(layers) + 1):
        class_name, config = str(current["class_name"]), current["config"]
        if activation is None:
            activation = _activation(class_name, config)
        if isinstance(config.get("layers"), list):  # a model inside the model
            inside = heads_of(current)
            if len(inside) != 1:
                return Head(name=name, activation=activation)
            return Head(name=name, shape=inside[0].shape, units=inside[0].units, activation=activation or inside[0].activation)
        producer = config["layer"]["config"] if class_name in ("TimeDistributed", "Bidirectional") else config
        width = next((producer[key] for key in _WIDTHS if isinstance(producer.get(key), int)), None)
        if width is not None and class_name not in _PASSES_ON:
            if class_name == "TimeDistributed" and activation is None:
                activation = _activation(str(config["layer"]["class_name"]), producer)
            before = _shape_before(current)
            if shape is None or current is layer:
                shape = (*before[:-1], width) if before is not None and class_name in ("Dense", "TimeDistributed") else None
            return Head(name=name, shape=shape, units=width, activation=activation or "linear")
        if class_name not in _PASSES_ON:
            return Head(name=name, activation=activation)
        previous = _layer_before(current, order)
        if previous is None or previous not in layers:
            return Head(name=name, shape=shape, activation=activation)
        current = layers[previous]
    return Head(name=name, activation=activation)


def _activation(class_name: str, config: Mapping[str, Any]) -> str | None:
    """The activation of a layer; None if it has none, so that the layer before it decides."""
    if class_name in ("Softmax", "ReLU"):
        return class_name.lower()
    if class_name == "Sigmoid":
        return "sigmoid"
    activation = config.get("activation")
    if isinstance(activation, Mapping):  # a function, of Keras's or of the user's
        activation = activation.get("config") if activation.get("class_name") == "function" else activation.get("class_name")
    if isinstance(activation, str) and activation != "linear":
        return snake(activation)
    return None


def _tensors_into(layer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for node in layer.get("inbound_nodes") or []:
        if isinstance(node, Mapping):
            for argument in node.get("args", []):
                if isinstance(argument, Mapping) and argument.get("class_name") == "__keras_tensor__":
                    yield argument["config"]


def _shape_before(layer: Mapping[str, Any]) -> Shape | None:
    for tensor in _tensors_into(layer):
        return _shape(tensor.get("shape"))
    return _shape((layer.get("build_config") or {}).get("input_shape"))


def _layer_before(layer: Mapping[str, Any], order: list[str]) -> str | None:
    if layer.get("inbound_nodes"):
        sources = {str(tensor["keras_history"][0]) for tensor in _tensors_into(layer) if tensor.get("keras_history")}
        return next(iter(sources)) if len(sources) == 1 else None
    place = order.index(layer["config"]["name"]) - 1  # in a Sequential model, the layer above
    return order[place] if place >= 0 else None
