"""The data of a ModelCase as NumPy arrays, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from backendcheck.case import ModelCase
from backendcheck.record.backends import backend_module
from backendcheck.record.observe.arrays import as_arrays, check_lengths, digests, is_text, leaves
from backendcheck.record.observe.declarations import has_own_loss
from backendcheck.record.observe.errors import InvalidCase, NotSupported
from backendcheck.record.observe.trace import Trace


def inputs_of(case: ModelCase, trace: Trace) -> tuple[Any, Any, Any]:
    """x, y and sample_weight of a case as nests of NumPy arrays. Adds their digests to `trace`.

    Raises:
        InvalidCase: if there are no examples, or their numbers differ.
    """
    n_outputs = None if isinstance(case.y, Mapping) else _n_outputs(case.model)
    x = as_arrays(case.x, 1 if len(getattr(case.model, "inputs", None) or ()) == 1 else None, where="ModelCase: x")
    y = as_arrays(case.y, n_outputs, where="ModelCase: y")
    sample_weight = as_arrays(case.sample_weight, n_outputs, where="ModelCase: sample_weight")
    for name, nest in (("x", x), ("y", y), ("sample_weight", sample_weight)):
        trace.digests |= digests(name, nest)
    if case.class_weight is not None:
        weights = as_arrays(case.class_weight)
        trace.digests |= digests("class_weight", weights)
    empty = [path for path, leaf in leaves(x, "x") if np.ndim(leaf) == 0 or len(leaf) == 0]
    if empty:
        message = f"ModelCase: {empty[0]} holds no examples; expected an array with at least one example."
        raise InvalidCase(message)
    if case.expect is None:
        check_lengths("ModelCase", {"x": x, "y": y, "sample_weight": sample_weight})
    return x, y, sample_weight


def validation_of(case: ModelCase, trace: Trace) -> tuple[Any, ...] | None:
    """The validation data of a case as nests of NumPy arrays. Adds their digests to `trace`.

    Raises:
        InvalidCase: if the numbers of examples differ.
    """
    if case.validation is None:
        return None
    n_outputs = None if isinstance(case.validation[1], Mapping) else _n_outputs(case.model)
    n_inputs = 1 if len(getattr(case.model, "inputs", None) or ()) == 1 else None
    names = ("x", "y", "sample_weight")
    nests = {
        f"validation/{name}": as_arrays(nest, n_inputs if name == "x" else n_outputs, where=f"ModelCase: validation, {name}")
        for name, nest in zip(names, case.validation, strict=False)
    }
    for name, nest in nests.items():
        trace.digests |= digests(name, nest) if nest is not None else {}
    if case.expect is None:
        check_lengths("ModelCase", nests)
    return tuple(nests.values())


def check_text(case: ModelCase, x: Any, y: Any) -> None:
    """Check that the backend has text, if the case needs it.

    Text labels need it only for a step or a loss of the model's own. Every loss of Keras refuses them, on each backend.

    Raises:
        NotSupported: naming what holds text.
    """
    backend = keras.backend.backend()
    if backend_module().HAS_TEXT or case.expect is not None:
        return
    for nest, name, words in ((x, "x", "inputs"), *([(y, "y", "labels")] if has_own_loss(case.model) else [])):
        if text := [path for path, leaf in leaves(nest, name) if leaf is not None and is_text(leaf)]:
            message = f"{backend} does not support text {words} ({', '.join(text)})"
            raise NotSupported(message)


def _n_outputs(model: Any) -> int | None:
    structure = getattr(model, "_outputs_struct", None)
    return None if structure is None else len(list(leaves(structure)))
