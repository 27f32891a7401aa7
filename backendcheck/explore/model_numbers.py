"""The numbers of a situation with a model: what its layer gets, so that its predictions are those of the situation.

The layer is a dense one with the identity as its kernel, or an embedding whose rows are the scores, one token for each. So every
weight of an embedding shows the gradient by one prediction, and nothing is summed up whose order could matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from backendcheck.explore.numbers import ACTIVATIONS, activated, arrays_of, scores_of
from backendcheck.explore.situation import Situation

RATE: Final = 0.1
_CLASS_WEIGHTS = (0.5, 2.0, 1.5)


def has_embedding(situation: Situation) -> bool:
    """Whether the model embeds tokens: for a mask, and for optimizers that take large steps from gradients of rounding."""
    return situation.mask in ("some", "all") or situation.optimizer != "none"


def model_arrays(situation: Situation) -> dict[str, np.ndarray]:
    """``x``, ``y_true``, ``sample_weight``, and for an embedding ``table``, its weights."""
    arrays = arrays_of(situation)
    scores = scores_of(situation)
    fed = {name: array for name, array in arrays.items() if name != "y_pred"}
    if not has_embedding(situation):
        return {"x": scores, **fed}
    tokens = np.arange(1, 1 + int(np.prod(scores.shape[:-1]))).reshape(scores.shape[:-1]).astype(np.int32)
    width = scores.shape[-1]
    table = np.concatenate([_masked_scores(width)[None], scores.reshape(-1, width)])
    return {"x": np.where(mask_of(situation, tokens.shape), tokens, 0).astype(np.int32), "table": table, **fed}


def mask_of(situation: Situation, shape: tuple[int, ...]) -> np.ndarray:
    """Which steps count, (N, T): all but the last one of the first example, or none."""
    mask = np.full(shape, situation.mask != "all")
    if situation.mask == "some" and mask.size:
        mask[0, -1] = False
    return mask


def class_weight_of(situation: Situation) -> dict[int, float] | None:
    """``class_weight`` of `fit`."""
    if situation.sample_weight != "class-weight":
        return None
    n = max(situation.n_classes, 2)
    return {label: _CLASS_WEIGHTS[label % len(_CLASS_WEIGHTS)] for label in range(n)}


def weight_by_class(labels: np.ndarray, class_weight: Mapping[int, float]) -> np.ndarray:
    """The sample weights that Keras documents for `class_weight`: that of the class, and 1 for a class without one."""
    if labels.ndim > 1:
        labels = labels.argmax(axis=-1) if labels.shape[-1] != 1 else labels[..., 0]
    with np.errstate(invalid="ignore"):
        classes = np.round(labels.astype(np.float64))
    return np.array([class_weight.get(int(each), 1.0) if np.isfinite(each) else 1.0 for each in classes], np.float32)


def predictions_of(situation: Situation, *, is_second: bool = False) -> np.ndarray:
    """What the model predicts. A masked step has the scores of token 0. The second output is made from scores half as large."""
    predictions, factor = arrays_of(situation)["y_pred"], weight_of_output(is_second=is_second)
    if is_second:
        predictions = _activated(situation, factor * scores_of(situation))
    if situation.mask not in ("some", "all"):
        return predictions.astype(np.float32)
    kept = mask_of(situation, predictions.shape[:-1])[..., None]
    masked = _activated(situation, factor * _masked_scores(predictions.shape[-1]))
    return np.where(kept, predictions, masked).astype(np.float32)


def weight_of_output(*, is_second: bool) -> float:
    """By what the layer of an output multiplies what it gets."""
    return 0.5 if is_second else 1.0


def _activated(situation: Situation, scores: np.ndarray) -> np.ndarray:
    return activated(situation.head, scores) if situation.head in ACTIVATIONS else scores


def _masked_scores(width: int) -> np.ndarray:
    """The scores of token 0. They are not 0, where some losses have no gradient."""
    return np.resize(np.array([0.5, 0.25, 0.75], np.float32), width)
