"""One finding for what one cause shows under several signatures."""

from dataclasses import replace

import pytest
from make import recording

from backendcheck.explore.causes import cause_of
from backendcheck.explore.judging import Judge
from backendcheck.explore.situation import Situation

_LEGS = ("tensorflow", "jax", "torch")
_PLAIN = Situation(
    target="keras.losses.SparseCategoricalCrossentropy", labels="integer", head="softmax", label_dtype="int32",
    label_values="above-range",
)  # fmt: skip
_WORDS = "IndexError: Target 3 is out of bounds."


def _sighting(situation, words=_WORDS, refused_by=("torch",)):
    recordings = {
        leg: recording(f"explored/{situation.key}", leg, **({"raised": words} if leg in refused_by else {"loss": 0.5}))
        for leg in _LEGS
    }
    return Judge(None, {_PLAIN.target: "loss"}).sighting(situation, recordings, look_again=False)


_FOUND = cause_of(_sighting(_PLAIN))


@pytest.mark.parametrize(
    "changes", [{"path": "jit"}, {"path": "fit", "optimizer": "Adam"}, {"path": "evaluate", "sample_weight": "per-example"}]
)
def test_the_same_refusal_elsewhere_has_the_same_cause(changes):
    sighting = _sighting(replace(_PLAIN, **changes), "IndexError: Target 12 is out of bounds.")
    assert sighting.signature != _sighting(_PLAIN).signature
    assert _FOUND is not None
    assert cause_of(sighting) == _FOUND


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"label_values": "negative"}, {}),
        ({"target": "keras.losses.Huber"}, {}),
        ({"path": "fit"}, {"words": "IndexError: another reason"}),
        ({"path": "fit"}, {"words": "ValueError: Target 3 is out of bounds."}),
        ({"path": "fit"}, {"refused_by": ("jax",)}),
        ({"path": "fit"}, {"refused_by": ("torch", "jax")}),
    ],
)
def test_other_labels_words_or_backends_stay_apart(changes, fields):
    assert cause_of(_sighting(replace(_PLAIN, **changes), **fields)) != _FOUND


def test_an_error_that_says_nothing_and_a_value_have_no_cause_in_common():
    assert cause_of(_sighting(_PLAIN, "InvalidArgumentError: Graph execution error:")) is None
    recordings = {leg: recording("explored/x", leg, loss=0.5 + (leg == "jax")) for leg in _LEGS}
    sighting = Judge(None, {_PLAIN.target: "loss"}).sighting(_PLAIN, recordings, look_again=False)
    assert cause_of(sighting) is None
