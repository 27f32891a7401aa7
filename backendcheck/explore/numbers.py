"""The numbers of a situation: labels, predictions and sample weights, drawn anew from the situation alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from backendcheck.explore.situation import Situation
from backendcheck.explore.targets import N_CLASSES

N_STEPS = 2
ACTIVATIONS = ("softmax", "sigmoid")  # heads that a model has as its activation
_N_FRAMES = 6  # of the predictions of a sequence
_NO_PREDICTIONS = ("keras.metrics.Mean", "keras.metrics.Sum")  # they take values alone
_PREDICTING = ("y_pred", "x", "table")  # what predictions are made of
_RELATIVE_STEPS = {"mixed_float16": 2.0**-10, "mixed_bfloat16": 2.0**-7}
_WIDE = 2**32
WORDS = ("bird", "cat", "dog")  # labels that are text
UNKNOWN_WORD = "wolf"
Arrays = dict[str, np.ndarray]


def arrays_of(situation: Situation) -> Arrays:
    """``y_true``, ``y_pred`` and ``sample_weight`` of a situation. Equal situations have equal arrays, on every machine."""
    labels = _valid_labels(situation)
    labels_with_values = _with_values(situation, labels)
    arrays = {"y_true": labels_with_values if situation.labels == "text" else labels_with_values.astype(situation.label_dtype)}
    if situation.target not in _NO_PREDICTIONS and situation.labels != "text":
        arrays["y_pred"] = _predictions(situation, labels)
    if situation.option("axis") == 1:  # the classes are there, and not last
        several = [name for name in _with_classes(situation) if arrays[name].ndim > 2]  # noqa: PLR2004 - else it is last as well
        arrays |= {name: np.moveaxis(arrays[name], -1, 1) for name in several}
    if (weight := _sample_weight(situation)) is not None:
        arrays["sample_weight"] = weight
    return arrays


def options_of(situation: Situation) -> dict[str, Any]:
    """The options as the target takes them."""
    return {name: _option(situation, value) for name, value in situation.options}


def _option(situation: Situation, value: Any) -> Any:
    if isinstance(value, tuple):
        return [_option(situation, part) for part in value]
    return situation.n_classes if value == N_CLASSES else value


def batches_of(situation: Situation) -> list[tuple[int, int]]:
    """The examples of each batch, from first to last (exclusive)."""
    n, _ = situation.shape
    if situation.batch == "single" and n > 1:
        return [(first, first + 1) for first in range(n)]
    if situation.batch == "ragged-last" and n > 1:
        return [(0, n - 1), (n - 1, n)]
    return [(0, n)]


def jittered(arrays: Mapping[str, np.ndarray], number: int, policy: str = "float32") -> Arrays:
    """The same with every float moved by one unit in the last place: all up, all down, then up or down at random.

    Labels that are whole numbers stay. The unit is that of the type in which a layer with this policy computes.
    """
    generator = np.random.default_rng(number)
    moved: Arrays = {}
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            moved[name] = array
            continue
        up = generator.integers(0, 2, array.shape).astype(bool) if number > 1 else np.full(array.shape, number == 0)
        fed = array.astype(np.float32) if array.dtype == np.float64 else array
        with np.errstate(all="ignore"):
            next_number = np.nextafter(fed, np.where(up, np.inf, -np.inf).astype(fed.dtype))
            if name in _PREDICTING and policy in _RELATIVE_STEPS:
                next_number = fed * np.where(up, 1 + _RELATIVE_STEPS[policy], 1 - _RELATIVE_STEPS[policy]).astype(fed.dtype)
            stays = ~np.isfinite(fed) | ~np.isfinite(next_number)
            if name not in _PREDICTING:
                stays |= fed == np.round(fed)
        moved[name] = np.where(stays, array, next_number.astype(array.dtype))
    return moved


def _with_classes(situation: Situation) -> tuple[str, ...]:
    """The arrays with an axis of classes."""
    return ("y_true", "y_pred") if situation.labels in ("one-hot", "soft") else ("y_pred",)


# --- labels ------------------------------------------------------------------------------------------------------


def _generator(situation: Situation, role: str) -> np.random.Generator:
    # Keyed by what shrinking leaves alone, so that a smaller situation has the same numbers where it can.
    key = hashlib.sha256(f"{role}\0{situation.numbers}".encode()).digest()
    return np.random.default_rng(int.from_bytes(key[:8], "little"))


def _shape(situation: Situation) -> tuple[int, ...]:
    n, c = situation.shape
    return {
        "(N,)": (n,), "(N,1)": (n, 1), "(N,C)": (n, c), "(N,T)": (n, N_STEPS), "(N,T,C)": (n, N_STEPS, c),
        "(N,H,W)": (n, N_STEPS, N_STEPS),
    }[situation.label_shape]  # fmt: skip


def _valid_labels(situation: Situation) -> np.ndarray:
    generator, shape, c = _generator(situation, "labels"), _shape(situation), situation.n_classes
    match situation.labels:
        case "integer":
            return generator.integers(0, c, shape).astype(np.float64)
        case "sequence":
            return generator.integers(1, max(c, 2), shape).astype(np.float64)
        case "one-hot":
            return np.asarray(np.eye(c)[generator.integers(0, c, shape[:-1])])
        case "text":
            return np.array(WORDS)[generator.integers(0, len(WORDS), shape)]
        case "soft":
            rows = generator.uniform(0.1, 1.0, shape)
            return np.asarray(rows / rows.sum(axis=-1, keepdims=True))
        case "signed":
            return generator.choice((-1.0, 1.0), shape)
        case "real":
            drawn = np.round(generator.uniform(0.5, 4.0, shape), 2)
            return drawn if situation.label_dtype.startswith("float") else np.round(drawn)
        case _:
            return generator.integers(0, 2, shape).astype(np.float64)


def _with_values(situation: Situation, labels: np.ndarray) -> np.ndarray:
    """The labels with the values that the situation asks for. The first example has them."""
    labels = labels.copy()
    if not labels.size:
        return labels
    if situation.labels == "text":
        if situation.label_values == "above-range":
            labels[-1:] = UNKNOWN_WORD
        if situation.label_values == "one-class":
            labels[...] = labels[:1]
        return labels
    is_class, c = situation.labels in ("integer", "sequence"), situation.n_classes
    first = labels[0] if labels.ndim > 1 else labels[:1]
    first.flat[0] = first.flat[0] if situation.mask != "ignore-class" or not is_class else -1.0
    last = labels[-1] if labels.ndim > 1 else labels[-1:]
    match situation.label_values:
        case "above-range":
            last.flat[0] = c if is_class else 2.0
        case "negative":
            last.flat[0] = -1.0 if situation.labels != "real" else -2.5
        case "minus-hundred":
            last.flat[0] = -100.0
        case "fractional":
            last.flat[0] += 0.5 if situation.labels != "binary" else 0.3 - last.flat[0]
        case "nan":
            last.flat[0] = np.nan
        case "inf":
            last.flat[0] = np.inf
        case "wide":
            last.flat[0] = _WIDE + _last_predicted(situation, labels) if is_class else 1e9
        case "zero-row":
            last[...] = 0.0
        case "row-sum":
            last[...] = last * 1.5
        case "one-class":
            labels[...] = labels[0] if labels.ndim > 1 else labels[:1]
    return labels


def _last_predicted(situation: Situation, labels: np.ndarray) -> int:
    """The class with the largest score where a label beyond 32 bits stands: what cuts that label to 32 bits then counts a hit."""
    of_last = _predictions(situation, labels)[-1]
    if situation.head == "class":
        return int(of_last.flat[0])
    return int(np.argmax(of_last.reshape(-1, of_last.shape[-1])[0]))


# --- predictions -------------------------------------------------------------------------------------------------


def _prediction_shape(situation: Situation) -> tuple[int, ...]:
    n, c = situation.shape
    if situation.head == "class":
        return _shape(situation)
    if situation.labels == "sequence":
        return (n, _N_FRAMES, c + 1)
    if situation.labels == "integer":
        return (*_shape(situation), c) if situation.label_shape in ("(N,T)", "(N,H,W)") else (n, c)
    if situation.label_shape == "(N,)":
        return (n, 1)
    return _shape(situation)


def _predictions(situation: Situation, labels: np.ndarray) -> np.ndarray:
    shape, generator = _prediction_shape(situation), _generator(situation, "predictions")
    if situation.head == "class":
        drawn = labels if situation.predictions == "exact-hit" else generator.integers(0, situation.n_classes, shape)
        return np.asarray(drawn).astype(np.float32)
    predictions: np.ndarray = activated(situation.head, _scores(situation, labels, shape)).astype(np.float32)
    if situation.predictions == "bool":
        return np.asarray(predictions > 0.5)  # noqa: PLR2004 - the usual threshold
    if predictions.size and situation.predictions in ("nan", "inf"):
        predictions.flat[0] = np.nan if situation.predictions == "nan" else np.inf
    return predictions


def _scores(situation: Situation, labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return _special(situation, np.round(_generator(situation, "predictions").normal(0.0, 1.5, shape), 2), labels)


def scores_of(situation: Situation) -> np.ndarray:
    """What the head of the situation makes its predictions from. A head that a model has no activation for is there already."""
    if situation.head in ACTIVATIONS:
        return _scores(situation, _valid_labels(situation), _prediction_shape(situation)).astype(np.float32)
    return _predictions(situation, _valid_labels(situation))


def _special(situation: Situation, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    if not scores.size:
        return scores
    match situation.predictions:
        case "zero":
            return np.zeros_like(scores)
        case "tied":
            return np.broadcast_to(scores[..., :1], scores.shape).copy()
        case "exact-hit":
            return np.asarray(labels, np.float64).reshape(scores.shape)
        case "saturated":
            return scores * (1e4 if situation.head in ("linear", "relu") else 60.0)
    return scores


def activated(head: str, scores: np.ndarray) -> np.ndarray:
    match head:
        case "softmax":
            shifted = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=-np.inf)) if scores.size else scores
            return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
        case "sigmoid":
            with np.errstate(over="ignore"):
                return np.asarray(1.0 / (1.0 + np.exp(-scores)))
        case "tanh":
            return scores if np.isin(scores, (-1.0, 0.0, 1.0)).all() else np.asarray(np.tanh(scores))
        case "relu":
            return np.asarray(np.abs(scores))
        case "unit":
            norms = np.sqrt((scores**2).sum(axis=-1, keepdims=True))
            return np.asarray(scores / np.maximum(norms, 1e-6))
    return scores


# --- sample weights ----------------------------------------------------------------------------------------------


def _sample_weight(situation: Situation) -> np.ndarray | None:
    n, _ = situation.shape
    per_element = _shape(situation) if situation.label_shape in ("(N,H,W)", "(N,C)") else (n, N_STEPS)
    match situation.sample_weight:
        case "none" | "class-weight":
            return None
        case "zero":
            return np.zeros(n, np.float32)
        case "per-element":
            return np.round(_generator(situation, "weights").uniform(0.5, 2.0, per_element), 2).astype(np.float32)
    weight = np.round(_generator(situation, "weights").uniform(0.5, 2.0, n), 2).astype(np.float32)
    if len(weight) and situation.sample_weight == "one-zero":
        weight[0] = 0.0
    if len(weight) and situation.sample_weight == "negative":
        weight[-1] = -1.0
    return weight
