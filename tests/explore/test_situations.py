import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendcheck.errors import UnreadableInput
from backendcheck.explore.keras_targets import keras_targets
from backendcheck.explore.numbers import arrays_of, batches_of, jittered
from backendcheck.explore.situation import DIMENSIONS, Situation

_TARGETS = keras_targets()
_VALUES = st.one_of(st.booleans(), st.integers(-5, 5), st.floats(-2, 2), st.text(max_size=5), st.none())
_CHOICES = st.one_of(_VALUES, st.lists(_VALUES, max_size=3).map(tuple))
_OPTIONS = st.dictionaries(st.text(min_size=1, max_size=8), _CHOICES, max_size=3)


@st.composite
def _situations(draw: st.DrawFn) -> Situation:
    dimensions = {name: draw(st.sampled_from(choices)) for name, choices in DIMENSIONS.items()}
    options = tuple(sorted(draw(_OPTIONS).items()))
    counts = {"n_examples": draw(st.integers(1, 5)), "n_classes": draw(st.integers(1, 5)), "numbers": draw(st.integers(0, 9))}
    return Situation(target=draw(st.text(min_size=1, max_size=9)), options=options, **dimensions, **counts)


@st.composite
def _sensible(draw: st.DrawFn) -> Situation:
    target = draw(st.sampled_from(_TARGETS))
    row = {name: draw(st.sampled_from(choices)) for name, choices in target.factors().items()}
    situation = target.situation(row)
    plain = {"form": 0, "label_shape": target.forms[0].label_shapes[0]}
    return situation if target.is_sensible(situation) else target.situation(plain)


@given(_situations())
def test_a_situation_comes_back_from_json_as_it_was(situation):
    again = Situation.from_json(json.loads(json.dumps(situation.to_json())))
    assert again == situation
    assert again.key == situation.key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "purple"}, "labels is 'purple'; expected one of integer"),
        ({"n_examples": 0}, "n_examples is 0; expected a whole number, 1 or more"),
        ({"n_classes": True}, "n_classes is True"),
        ({"color": "red"}, "unknown fields color"),
        ({"options": [1]}, "options as an object"),
        ({"options": {"axis": {}}}, "is not a plain value of JSON"),
        ({"head": 3}, "head is not text"),
    ],
)
def test_a_damaged_situation_is_refused_with_what_is_wrong(change, message):
    content = Situation(target="keras.losses.Huber", labels="real", head="linear").to_json() | change
    with pytest.raises(UnreadableInput, match=message):
        Situation.from_json(content)


def test_a_situation_that_is_not_an_object_is_refused():
    with pytest.raises(UnreadableInput, match="expected an object, got list"):
        Situation.from_json([])


@given(_sensible())
def test_equal_situations_have_equal_numbers_in_the_shape_and_type_that_they_ask_for(situation):
    arrays, again = arrays_of(situation), arrays_of(Situation.from_json(situation.to_json()))
    assert arrays.keys() == again.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, again[name])
    n, _ = situation.shape
    assert arrays["y_true"].dtype.name == situation.label_dtype
    assert all(len(array) == n for array in arrays.values())
    assert batches_of(situation)[0][0] == 0
    assert batches_of(situation)[-1][1] == n
    if "y_pred" in arrays and situation.predictions == "ordinary":
        assert np.isfinite(arrays["y_pred"]).all()


def _labels(**dimensions):
    return arrays_of(Situation(target="keras.losses.SparseCategoricalCrossentropy", **dimensions))["y_true"]


@pytest.mark.parametrize(
    ("values", "dtype", "last"),
    [("above-range", "int32", 3), ("negative", "int64", -1), ("minus-hundred", "int8", -100)],
)
def test_the_last_label_has_the_value_that_is_asked_for(values, dtype, last):
    assert _labels(labels="integer", head="softmax", label_values=values, label_dtype=dtype)[-1] == last


def test_a_label_beyond_32_bits_is_the_predicted_class_if_it_is_cut_to_them():
    for head, shape in (("softmax", "(N,1)"), ("logits", "(N,T)"), ("class", "(N,)")):
        chosen = {"labels": "integer", "head": head, "label_shape": shape, "label_dtype": "int64", "label_values": "wide"}
        arrays = arrays_of(Situation(target="keras.metrics.SparseCategoricalAccuracy", **chosen))
        predicted = arrays["y_pred"][-1] if head == "class" else arrays["y_pred"][-1].reshape(-1, 3)[0].argmax()
        label = arrays["y_true"][-1].flat[0]
        assert label >= 2**32
        assert label % 2**32 == predicted


def test_rows_of_labels_have_the_sum_that_is_asked_for():
    rows = {"labels": "one-hot", "head": "softmax", "label_shape": "(N,C)"}
    np.testing.assert_array_equal(_labels(**rows).sum(axis=-1), [1, 1, 1, 1])
    np.testing.assert_array_equal(_labels(**rows, label_values="zero-row").sum(axis=-1), [1, 1, 1, 0])
    np.testing.assert_array_equal(_labels(**rows, label_values="row-sum").sum(axis=-1), [1, 1, 1, 1.5])


def test_a_metric_of_elements_takes_decisions_as_predictions_and_a_weight_for_each_element():
    precision = next(target for target in _TARGETS if target.name == "keras.metrics.Precision")
    form = [each.labels for each in precision.forms].index("multi-hot")
    row = {"form": form, "label_shape": "(N,C)", "predictions": "bool", "sample_weight": "per-element"}
    situation = precision.situation(row)
    assert precision.is_sensible(situation)
    arrays = arrays_of(situation)
    assert (arrays["y_pred"].dtype, arrays["sample_weight"].shape) == (np.bool_, arrays["y_true"].shape)
    assert not replace(precision, of_elements=False).is_sensible(replace(situation, predictions="ordinary"))
    assert not replace(precision, of_elements=False).is_sensible(replace(situation, sample_weight="none"))
    assert not precision.is_sensible(replace(situation, path="evaluate"))


def test_a_jitter_moves_floats_by_one_unit_in_the_last_place_and_leaves_whole_labels():
    arrays = {"y_true": np.array([1.0, 0.5], np.float32), "y_pred": np.array([0.25, np.nan], np.float32), "n": np.array([1])}
    up, down = jittered(arrays, 0), jittered(arrays, 1)
    assert up["y_true"][0] == 1.0
    assert up["y_true"][1] == np.nextafter(np.float32(0.5), np.float32(1))
    assert down["y_pred"][0] == np.nextafter(np.float32(0.25), np.float32(0))
    assert np.isnan(up["y_pred"][1])
    assert up["n"] is arrays["n"]
