"""What layers and functions for labels have to return, by NumPy, where their documentation says so and the labels are valid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backendcheck.explore.numbers import arrays_of, options_of
from backendcheck.explore.situation import Situation

_VALID = ("valid", "one-class", "zero-row")
_Function = Callable[[np.ndarray, np.ndarray, Mapping[str, Any]], Any]


def label_reference(situation: Situation) -> np.ndarray | None:
    """The right result of a call; None if there is no such rule, or the labels break one."""
    function = _RIGHT.get(situation.target)
    if function is None or situation.label_values not in _VALID or situation.predictions != "ordinary":
        return None
    arrays = arrays_of(situation)
    labels = arrays["y_true"].astype(np.int64 if situation.labels == "integer" else np.float64)
    return np.asarray(function(labels, arrays["y_pred"].astype(np.float64), options_of(situation)))


def _rows(labels: np.ndarray, n_classes: int) -> np.ndarray:
    return np.asarray(np.eye(n_classes)[labels])


def _without_column(labels: np.ndarray) -> np.ndarray:
    return labels[..., 0] if labels.ndim > 1 and labels.shape[-1] == 1 else labels


def _category_encoding(labels: np.ndarray, _scores: np.ndarray, options: Mapping[str, Any]) -> Any:
    n_classes, mode = options["num_tokens"], options["output_mode"]
    if mode == "one_hot":
        return _rows(_without_column(labels), n_classes)
    rows = _rows(labels, n_classes)
    return rows.sum(axis=-2) if mode == "count" else rows.max(axis=-2)


def _by_class(reduce: Any, start: float) -> _Function:
    def function(labels: np.ndarray, scores: np.ndarray, options: Mapping[str, Any]) -> Any:
        result = np.full((options["num_segments"], *scores.shape[1:]), start)
        reduce.at(result, labels, scores)
        return result

    return function


def _scatter(labels: np.ndarray, scores: np.ndarray, options: Mapping[str, Any]) -> Any:
    result = np.zeros(options["shape"])
    np.add.at(result, labels[:, 0], scores)
    return result


def _in_top_k(labels: np.ndarray, scores: np.ndarray, options: Mapping[str, Any]) -> Any:
    of_label = np.take_along_axis(scores, labels[:, None], axis=-1)
    return (scores > of_label).sum(axis=-1) < options["k"]


def _unique(labels: np.ndarray, _scores: np.ndarray, options: Mapping[str, Any]) -> Any:
    classes = np.unique(labels)
    size = options.get("size", len(classes))
    return np.pad(classes[:size], (0, max(0, size - len(classes))))


_RIGHT: Mapping[str, _Function] = {
    "keras.layers.CategoryEncoding": _category_encoding,
    "keras.ops.argmax": lambda labels, _, options: np.argmax(labels, **options),
    "keras.ops.argmin": lambda labels, _, options: np.argmin(labels, **options),
    "keras.ops.bincount": lambda labels, _, options: np.bincount(labels, minlength=options["minlength"]),
    "keras.ops.clip": lambda labels, _, options: np.clip(labels, options["x_min"], options["x_max"]),
    "keras.ops.count_nonzero": lambda labels, _, options: np.count_nonzero(labels, **options),
    "keras.ops.digitize": lambda labels, _, options: np.digitize(labels, options["bins"]),
    "keras.ops.equal": lambda labels, _, options: labels == options["x2"],
    "keras.ops.floor_divide": lambda labels, _, options: labels // options["x2"],
    "keras.ops.greater": lambda labels, _, options: labels > options["x2"],
    "keras.ops.in_top_k": _in_top_k,
    "keras.ops.isin": lambda labels, _, options: np.isin(labels, options["x2"], invert=options.get("invert", False)),
    "keras.ops.max": lambda labels, _, options: np.max(labels, **options),
    "keras.ops.maximum": lambda labels, _, options: np.maximum(labels, options["x2"]),
    "keras.ops.mean": lambda labels, _, options: np.mean(labels, **options),
    "keras.ops.median": lambda labels, _, options: np.median(labels, **options),
    "keras.ops.min": lambda labels, _, options: np.min(labels, **options),
    "keras.ops.mod": lambda labels, _, options: labels % options["x2"],
    "keras.ops.one_hot": lambda labels, _, options: np.moveaxis(
        _rows(labels, options["num_classes"]), -1, options.get("axis", -1)
    ),
    "keras.ops.quantile": lambda labels, _, options: np.quantile(labels, **options),
    "keras.ops.repeat": lambda labels, _, options: np.repeat(labels, **options),
    "keras.ops.roll": lambda labels, _, options: np.roll(labels, **options),
    "keras.ops.scatter": _scatter,
    "keras.ops.segment_max": _by_class(np.maximum, -np.inf),
    "keras.ops.segment_min": _by_class(np.minimum, np.inf),
    "keras.ops.segment_prod": _by_class(np.multiply, 1.0),
    "keras.ops.segment_sum": _by_class(np.add, 0.0),
    "keras.ops.sort": lambda labels, _, options: np.sort(labels, **options),
    "keras.ops.take": lambda labels, scores, options: np.take(scores, labels, axis=options.get("axis")),
    "keras.ops.take_along_axis": lambda labels, scores, options: np.take_along_axis(scores, labels, **options),
    "keras.ops.unique": _unique,
    "keras.ops.unravel_index": lambda labels, _, options: np.stack(np.unravel_index(labels, options["shape"])),
    "keras.utils.to_categorical": lambda labels, _, options: _rows(_without_column(labels), options["num_classes"]),
}
