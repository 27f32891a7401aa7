"""Named outputs: which array, label, loss and weight belong to which output of a model.

Keras matches by dict key or by position, and the position of an output depends on the backend. Here everything is matched by the
names that the author declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from backendcheck.record.observe.arrays import is_plain, leaves
from backendcheck.record.observe.errors import InvalidCase

# For these, a list of strings or numbers has one entry for each output. For labels and weights it is an array.
_ONE_PER_OUTPUT = ("loss", "loss_weights")


def by_output(result: Any, model: Any) -> dict[str, Any]:
    """The arrays of a prediction by output name, in the order of the structure. The single unnamed output is ``""``.

    A dict names its outputs by its keys. In a list, each output has the name of the output layer at the same position.
    """
    if not isinstance(result, Mapping | list | tuple):
        return {"": result}
    named = dict(leaves(result))
    declared = list(getattr(model, "output_names", None) or [])
    flat_list = isinstance(result, list | tuple) and not any(isinstance(r, Mapping | list | tuple) for r in result)
    if flat_list and len(declared) == len(named) == len(set(declared)):
        return dict(zip(declared, result, strict=True))
    return named


def declared_names(model: Any, names: list[str]) -> list[str]:
    """The output names in the declared order, which a list of losses or labels follows."""
    structure = getattr(model, "_outputs_struct", None)
    if structure is not None and isinstance(structure, Mapping | list | tuple):
        declared = list(by_output(structure, model))
        if sorted(declared) == sorted(names):
            return declared
    return names


def matched(spec: Any, names: list[str], *, what: str, repeat: bool) -> dict[str, Any]:
    """`spec` by output: from a dict by name, a list by position, or a single value. `names` are in the declared order.

    With `repeat`, a single value applies to every output. Outputs that a dict does not name are left out.

    Raises:
        InvalidCase: if a list has the wrong length, or a dict has a key that does not name an output.
    """
    if spec is None or not names:  # no outputs: the model has raised, which is what there is to say
        return {}
    if isinstance(spec, Mapping):
        by_name = dict(leaves(spec))
        if unknown := [name for name in by_name if name not in names]:
            listed = ", ".join(repr(name) for name in names if name) or "one unnamed output"
            message = f"{what} names {', '.join(map(repr, unknown))}; expected outputs of the model: {listed}."
            raise InvalidCase(message)
        return {name: value for name, value in by_name.items() if value is not None}
    if isinstance(spec, list | tuple) and (not is_plain(spec) or what in _ONE_PER_OUTPUT):
        items = list(spec) if is_plain(spec) else [leaf for _, leaf in leaves(spec)]
        if len(items) != len(names):
            message = f"{what} has {len(items)} entries; expected one for each of the {len(names)} outputs."
            raise InvalidCase(message)
        return {name: value for name, value in zip(names, items, strict=True) if value is not None}
    if repeat or len(names) == 1:
        return dict.fromkeys(names, spec)
    message = f"{what} is a single {type(spec).__name__}; expected a list or a dict, because the model has {len(names)} outputs."
    raise InvalidCase(message)



def is_softmax_output(model: Any, name: str, n_outputs: int) -> bool:
    """Whether the output comes from a softmax."""
    layer = None
    if n_outputs == 1 and getattr(model, "layers", None):
        layer = model.layers[-1]
    else:
        structure = getattr(model, "_outputs_struct", None)
        tensor = by_output(structure, model).get(name) if structure is not None else None
        history = getattr(tensor, "_keras_history", None)
        layer = getattr(history, "operation", None)
    activation = getattr(layer, "activation", None)
    return activation is keras.activations.softmax or type(layer).__name__ == "Softmax"


def predicted_class(predictions: np.ndarray) -> np.ndarray | None:
    """The class with the largest score of each example, (N,) for predictions (N, C) with C of 2 or more; else None.

    NumPy takes it on every backend, so that ties are broken in the same way and only the scores can differ.
    """
    if predictions.ndim < 2 or predictions.shape[-1] < 2:  # noqa: PLR2004 - (N, C), C of 2 or more
        return None
    classes: np.ndarray = np.argmax(predictions, axis=-1).astype(np.int64)
    return classes
