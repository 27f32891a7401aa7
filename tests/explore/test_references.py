"""The reference of a situation: the right value, and the situations that have no right value."""

import numpy as np
import pytest
from make import recording

from backendcheck.explore.numbers import arrays_of
from backendcheck.explore.references import with_reference
from backendcheck.explore.situation import Situation


def _references(name, options, **changes):
    chosen = {"labels": "multi-hot", "head": "sigmoid", "label_shape": "(N,C)", **changes}
    situation = Situation(target=f"keras.metrics.{name}", **chosen)
    described = {"class": name, "options": options, "output": "", "weighted": False, "batch_size": 4}
    of_jax = recording("explored/x", "jax", **{"metric/result": 0.5}, metrics={"result": described}, labels=arrays_of(situation))
    return with_reference(situation, {"jax": of_jax})["jax"].reference_values


_ENTROPY = {"from_logits": False, "label_smoothing": 0.0}


@pytest.mark.parametrize(("predictions", "n"), [("ordinary", 1), ("saturated", 0)])
def test_a_cross_entropy_of_saturated_predictions_is_what_backends_clip_it_to(predictions, n):
    assert len(_references("BinaryCrossentropy", _ENTROPY, predictions=predictions)) == n


def test_other_metrics_of_saturated_predictions_have_a_right_value():
    (value,) = _references("BinaryAccuracy", {"threshold": 0.5}, predictions="saturated").values()
    labels = arrays_of(Situation(target="keras.metrics.BinaryAccuracy", labels="multi-hot", head="sigmoid", label_shape="(N,C)"))
    assert value.value == np.mean((labels["y_pred"] > 0.5) == labels["y_true"])
