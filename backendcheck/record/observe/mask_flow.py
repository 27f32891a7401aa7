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
    """

    masks: dict[int, Any] = field(default_factory=dict)
    layers: dict[int, str] = field(default_factory=dict)
    tensors: list[Any] = field(default_factory=list)

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
    original = keras.layers.Layer.__call__

    def noted(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = original(layer, *args, **kwargs)
        if layer is not model and layer.supports_masking and (args or kwargs):
            first = args[0] if args else next(iter(kwargs.values()))
            with suppress(Exception):  # what a layer computes itself is recorded where Keras calls it
                _note(lost, layer, first, kwargs.get("mask"), outputs)
        return outputs

    keras.layers.Layer.__call__ = noted
    try:
        yield lost
    finally:
        keras.layers.Layer.__call__ = original


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
