"""Layers and functions that take labels alone, or labels and scores: lookups, encoders, one-hot rows, counts, arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backendcheck.explore.call import Call
from backendcheck.explore.numbers import UNKNOWN_WORD, WORDS
from backendcheck.explore.situation import Situation
from backendcheck.explore.targets import N_CLASSES, Form, Target

_CLASSES = (Form(labels="integer", head="logits"),)
_TEXT = (Form(labels="text", head="linear"),)
_INVERTED = (Form(labels="integer", head="logits", options={"invert": True}),)
_REAL = (Form(labels="real", head="linear"),)
_POSITIONS = (Form(labels="integer", head="logits", shapes=("(N,)",)),)
_COLUMN = (Form(labels="integer", head="logits", shapes=("(N,1)",)),)
_ROWS = (Form(labels="one-hot", head="logits"), Form(labels="soft", head="logits"))
_N_CLASSES = {"num_classes": N_CLASSES}
_OUTPUT_MODES = (..., "one_hot", "multi_hot", "count")
_SEVERAL = ("keras.ops.unravel_index",)  # they return an array for each axis
_LABELS, _LABELS_AND_SCORES, _SCORES_BY_LABEL = ("y_true",), ("y_true", "y_pred"), ("y_pred", "y_true")

# Forms, arguments, options and what is always there.
_Takes = tuple[Sequence[Form], tuple[str, ...], Mapping[str, tuple[Any, ...]], Mapping[str, Any]]
_TARGETS: Mapping[str, _Takes] = {
    "keras.ops.one_hot": (_CLASSES, _LABELS, {"axis": (..., 0), "dtype": (..., "int32", "bool")}, _N_CLASSES),
    "keras.ops.multi_hot": (_CLASSES, _LABELS, {"dtype": (..., "int32")}, _N_CLASSES),
    # Its documentation asks for one axis. It allocates as many counts as the largest label says, so that one is never wide.
    "keras.ops.bincount": (
        (Form(labels="integer", head="logits", shapes=("(N,)",), without=("wide",)),), _LABELS, {}, {"minlength": N_CLASSES},
    ),
    "keras.ops.in_top_k": (_POSITIONS, _LABELS_AND_SCORES, {}, {"k": 1}),
    "keras.ops.segment_sum": (_POSITIONS, _SCORES_BY_LABEL, {}, {"num_segments": N_CLASSES}),
    "keras.ops.segment_max": (_POSITIONS, _SCORES_BY_LABEL, {}, {"num_segments": N_CLASSES}),
    "keras.ops.segment_min": (_POSITIONS, _SCORES_BY_LABEL, {}, {"num_segments": N_CLASSES}),
    "keras.ops.segment_prod": (_POSITIONS, _SCORES_BY_LABEL, {}, {"num_segments": N_CLASSES}),
    "keras.ops.take": (_CLASSES, _SCORES_BY_LABEL, {"axis": (-1, ...)}, {}),
    "keras.ops.take_along_axis": (_COLUMN, _SCORES_BY_LABEL, {}, {"axis": -1}),
    "keras.ops.scatter": (_COLUMN, _LABELS_AND_SCORES, {}, {"shape": (N_CLASSES, N_CLASSES)}),
    "keras.ops.unravel_index": (_CLASSES, _LABELS, {}, {"shape": (N_CLASSES, 2)}),
    "keras.ops.isin": (_CLASSES, _LABELS, {"invert": (..., True)}, {"x2": (0, 2)}),
    "keras.ops.unique": (_CLASSES, _LABELS, {"size": (..., 4)}, {}),
    "keras.ops.sort": (_CLASSES, _LABELS, {"axis": (..., 0)}, {}),
    "keras.ops.argsort": (_CLASSES, _LABELS, {"axis": (..., 0)}, {}),
    "keras.ops.digitize": ((*_REAL, *_CLASSES), _LABELS, {}, {"bins": (1.0, 2.0)}),
    "keras.ops.argmax": (_ROWS, _LABELS, {"axis": (-1, 0), "keepdims": (..., True)}, {}),
    "keras.ops.argmin": (_ROWS, _LABELS, {"axis": (-1, 0), "keepdims": (..., True)}, {}),
    "keras.ops.count_nonzero": (_ROWS, _LABELS, {"axis": (-1, 0, ...)}, {}),
    "keras.ops.median": ((*_REAL, *_CLASSES), _LABELS, {"axis": (..., 0), "keepdims": (..., True)}, {}),
    "keras.utils.to_categorical": (_CLASSES, _LABELS, {}, _N_CLASSES),
    "keras.layers.CategoryEncoding": (
        _CLASSES, _LABELS, {"output_mode": ("multi_hot", "one_hot", "count")}, {"num_tokens": N_CLASSES},
    ),
    "keras.layers.IntegerLookup": (
        (*_CLASSES, *_INVERTED), _LABELS, {"output_mode": _OUTPUT_MODES, "num_oov_indices": (..., 0, 2), "mask_token": (..., 0)},
        {"vocabulary": (1, 2, 5)},
    ),
    "keras.layers.StringLookup": (
        (*_TEXT, *_INVERTED), _LABELS,
        {"output_mode": _OUTPUT_MODES, "num_oov_indices": (..., 0, 2), "mask_token": (..., UNKNOWN_WORD)}, {"vocabulary": WORDS},
    ),
    "keras.layers.Hashing": (
        (*_CLASSES, *_TEXT), _LABELS, {"output_mode": _OUTPUT_MODES, "salt": (..., 7)}, {"num_bins": 3},
    ),
    "keras.layers.Discretization": (_REAL, _LABELS, {"output_mode": _OUTPUT_MODES}, {"bin_boundaries": (1.0, 2.0)}),
}  # fmt: skip

# How labels are cleaned, shifted and compared.
_ARITHMETIC: Mapping[str, _Takes] = {
    "keras.ops.quantile": ((*_REAL, *_CLASSES), _LABELS, {"axis": (..., 0)}, {"q": 0.25}),
    "keras.ops.mean": ((*_REAL, *_CLASSES), _LABELS, {"axis": (..., 0), "keepdims": (..., True)}, {}),
    "keras.ops.sum": (_CLASSES, _LABELS, {"axis": (..., 0), "keepdims": (..., True)}, {}),
    "keras.ops.cumsum": (_CLASSES, _LABELS, {"axis": (..., 0), "dtype": (..., "int32")}, {}),
    "keras.ops.max": (_CLASSES, _LABELS, {"axis": (..., 0)}, {}),
    "keras.ops.min": (_CLASSES, _LABELS, {"axis": (..., 0)}, {}),
    "keras.ops.maximum": (_CLASSES, _LABELS, {}, {"x2": 0}),
    "keras.ops.clip": (_CLASSES, _LABELS, {}, {"x_min": 0, "x_max": N_CLASSES}),
    "keras.ops.equal": (_CLASSES, _LABELS, {"x2": (1, -1, 255)}, {}),
    "keras.ops.greater": (_CLASSES, _LABELS, {"x2": (1, -1, 1.5)}, {}),
    "keras.ops.subtract": (_CLASSES, _LABELS, {}, {"x2": 1}),
    "keras.ops.multiply": (_CLASSES, _LABELS, {"x2": (2, 200, 0.5)}, {}),
    "keras.ops.floor_divide": (_CLASSES, _LABELS, {}, {"x2": 2}),
    "keras.ops.mod": (_CLASSES, _LABELS, {}, {"x2": 2}),
    "keras.ops.diff": (_CLASSES, _LABELS, {"axis": (..., 0)}, {}),
    "keras.ops.roll": (_CLASSES, _LABELS, {"axis": (..., 0)}, {"shift": 1}),
    "keras.ops.repeat": (_CLASSES, _LABELS, {"axis": (..., 0)}, {"repeats": 2}),
}  # fmt: skip
ARITHMETIC = frozenset(_ARITHMETIC)
_ALL = {**_TARGETS, **_ARITHMETIC}


def keras_label_targets() -> tuple[Target, ...]:
    """Keras's layers and functions for labels."""
    return tuple(
        Target(name=name, kind="labels", forms=tuple(forms), arguments=arguments, options=options, required=required)
        for name, (forms, arguments, options, required) in _ALL.items()
    )


def call_of_labels(situation: Situation) -> tuple[str, tuple[str, ...]]:
    """The expression that calls the target, and the arrays that it names."""
    names, call = _ALL[situation.target][1], Call.of(situation, {})
    if situation.target.startswith("keras.layers."):  # they run in a data pipeline, on arrays
        return f"{call.made}({', '.join(names)})", names
    fed = names if situation.target.startswith("keras.utils.") else [f"keras.ops.convert_to_tensor({name})" for name in names]
    options = call.made.removeprefix(f"{call.name}(")
    called = f"{call.name}({', '.join(fed)}, {options}" if options != ")" else f"{call.name}({', '.join(fed)})"
    return f"keras.ops.stack({called})" if situation.target in _SEVERAL else called, names
