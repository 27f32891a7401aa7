"""The masks that layers compute, followed through a model, and where one of them is lost on the way to the loss.

Keras hangs a mask on the tensor that a layer returns. It is lost where `compute_mask` of a layer that supports masking returns
one, and the tensor has none. Operations that are not layers, and layers that do not support masking, end a mask on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import keras

from backendcheck.record.backends.masks import mask_of


@dataclass(slots=True, eq=False)
class LostMasks:
    """The masks that tensors should have and have not, and the layers that lost them, by the id of the tensor.

    tensors: those tensors, so that their ids stay theirs.
    changed_by: the mask after each layer of the model that changes it, by the name of the layer.
    taken_by: for each layer of the model whose `call` takes a mask, that of its input and what `call` got, by its name.
    """

    masks: dict[int, Any] = field(default_factory=dict)
    layers: dict[int, str] = field(default_factory=dict)
    tensors: list[Any] = field(default_factory=list)
    changed_by: dict[str, Any] = field(default_factory=dict)
    taken_by: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def mask_for(self, tensor: Any) -> Any:
        """The mask that the layers have computed for a tensor: the one that it has, or the one that was lost; or None."""
        mask = mask_of(tensor)
        return self.masks.get(id(tensor)) if mask is None else mask

    def layer_before(self, tensor: Any) -> str:
        """The layer that lost the mask of a tensor; empty if it was not lost."""
        return self.layers.get(id(tensor), "")


@contextmanager
def lost_masks_noted(model: Any) -> Iterator[LostMasks]:
    """A context that follows the masks of a forward pass of `model` through its layers."""
    lost = LostMasks()
    names = {id(layer): layer.name for layer in getattr(model, "layers", ())}
    got: dict[int, Any] = {}  # the masks that `call` got, by layer
    original, original_of_operations = keras.layers.Layer.__call__, keras.Operation.__call__

    def noted_arguments(operation: Any, *args: Any, **kwargs: Any) -> Any:
        got[id(operation)] = kwargs.get("mask")  # after the casts of the layer
        return original_of_operations(operation, *args, **kwargs)

    def noted(layer: Any, *args: Any, **kwargs: Any) -> Any:
        takes_mask = id(layer) in names and getattr(layer, "_call_has_mask_arg", False)
        incoming = lost.mask_for(args[0]) if takes_mask and len(args) == 1 and keras.ops.is_tensor(args[0]) else None
        outputs = original(layer, *args, **kwargs)
        if incoming is not None:  # `call` may also get another one, which the model hands over on purpose
            taken = got.get(id(layer))
            lost.taken_by.setdefault(layer.name, (incoming if taken is None else taken, taken))
        if layer is not model and layer.supports_masking and (args or kwargs):
            first = args[0] if args else next(iter(kwargs.values()))
            with suppress(Exception):  # what a layer computes itself is recorded where Keras calls it
                _note(lost, layer, first, kwargs.get("mask"), outputs)
                if id(layer) in names:
                    _note_change(lost, names[id(layer)], first, outputs)
        return outputs

    keras.layers.Layer.__call__, keras.Operation.__call__ = noted, noted_arguments
    try:
        yield lost
    finally:
        keras.layers.Layer.__call__, keras.Operation.__call__ = original, original_of_operations


def _note(lost: LostMasks, layer: Any, first: Any, mask: Any, outputs: Any) -> None:
    flat = keras.tree.flatten(outputs)
    if all(isinstance(output, keras.KerasTensor) or mask_of(output) is not None for output in flat):
        return
    previous = keras.tree.map_structure(lost.mask_for, first) if mask is None else mask
    computed = layer.compute_mask(first, previous)
    if computed is None:
        return
    origins = [lost.layer_before(tensor) for tensor in keras.tree.flatten(first)]
    for output, computed_mask in zip(flat, keras.tree.flatten(computed), strict=False):
        if computed_mask is not None and mask_of(output) is None:
            lost.masks[id(output)] = computed_mask
            lost.layers[id(output)] = next(filter(None, origins), layer.name)
            lost.tensors.append(output)


def _note_change(lost: LostMasks, name: str, first: Any, outputs: Any) -> None:
    """Note the mask of what a layer returns, unless it is that of what it got. The first call counts."""
    before = {id(lost.mask_for(tensor)) for tensor in keras.tree.flatten(first)}
    flat = keras.tree.flatten(outputs)
    for place, output in enumerate(flat):
        mask = lost.mask_for(output)
        if mask is not None and id(mask) not in before:
            lost.changed_by.setdefault(name if len(flat) == 1 else f"{name}/{place}", mask)
