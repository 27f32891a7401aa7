"""What layers and functions for labels have to return, without a backend."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from make import recording

from backendcheck.explore.judging import Judge
from backendcheck.explore.label_reference import label_reference
from backendcheck.explore.label_targets import keras_label_targets
from backendcheck.explore.numbers import arrays_of, options_of
from backendcheck.explore.program import program_of
from backendcheck.explore.search import Plan
from backendcheck.explore.situation import Situation

_TARGETS = {target.name: target for target in keras_label_targets()}


def _plain(name, **row):
    target = _TARGETS[name]
    first = {factor: choices[0] for factor, choices in target.factors().items()}
    return target.situation({**first, "label_shape": target.forms[0].label_shapes[0], **row})


def _by_hand(situation):
    """The same in plain Python: what each label or score says, one by one."""
    arrays, options = arrays_of(situation), options_of(situation)
    labels, scores = arrays["y_true"].tolist(), arrays["y_pred"].tolist()
    classes = range(situation.n_classes)
    match situation.target.rpartition(".")[2]:
        case "one_hot":
            return [[float(label == each) for each in classes] for label in labels]
        case "bincount":
            return [labels.count(each) for each in classes]
        case "CategoryEncoding":
            return [[[float(each in tags) for each in classes] for tags in row] for row in labels]
        case "segment_sum":
            rows = [[row for row, label in zip(scores, labels, strict=True) if label == each] for each in classes]
            return [[sum(row[column] for row in of_class) for column in classes] for of_class in rows]
        case "take":
            return [[row[label] for label in labels] for row in scores]
        case "scatter":
            rows = [[row for row, (label,) in zip(scores, labels, strict=True) if label == each] for each in classes]
            return [[sum(row[column] for row in of_class) for column in classes] for of_class in rows]
        case "unravel_index":
            return [[label // 2 for label in labels], [label % 2 for label in labels]]
        case "in_top_k":
            return [row[label] == max(row) for row, label in zip(scores, labels, strict=True)]
        case "isin":
            return [(label not in options["x2"]) for label in labels]
        case "clip":
            return [min(max(label, 0), situation.n_classes) for label in labels]
        case "equal":
            return [label == options["x2"] for label in labels]
        case "floor_divide":
            return [label // 2 for label in labels]
        case "mod":
            return [label % 2 for label in labels]
        case "mean":
            return sum(labels) / len(labels)
        case "repeat":
            return [label for label in labels for _ in range(2)]
        case "roll":
            return labels[-1:] + labels[:-1]
        case "unique":
            return (sorted(set(labels)) + [0] * 4)[:4]
    raise NotImplementedError(situation.target)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("keras.ops.one_hot", {}), ("keras.ops.bincount", {}), ("keras.ops.segment_sum", {}), ("keras.ops.take", {}),
        ("keras.ops.scatter", {}), ("keras.ops.unravel_index", {}), ("keras.ops.in_top_k", {}),
        ("keras.ops.isin", {"options.invert": True}), ("keras.ops.unique", {"options.size": 4}),
        ("keras.layers.CategoryEncoding", {"label_shape": "(N,H,W)"}),
        ("keras.ops.clip", {}), ("keras.ops.equal", {}), ("keras.ops.floor_divide", {}), ("keras.ops.mod", {}),
        ("keras.ops.mean", {}), ("keras.ops.repeat", {}), ("keras.ops.roll", {}),
    ],
)  # fmt: skip
def test_the_reference_is_what_the_labels_say_one_by_one(name, row):
    for numbers in range(5):
        situation = replace(_plain(name, **row), numbers=numbers)
        np.testing.assert_allclose(label_reference(situation), _by_hand(situation))


@pytest.mark.parametrize("change", [{"label_values": "above-range"}, {"predictions": "tied"}])
def test_there_is_no_reference_for_labels_that_break_a_rule_and_for_ties(change):
    situation = _plain("keras.ops.in_top_k")
    assert label_reference(situation) is not None
    assert label_reference(replace(situation, **change)) is None
    assert label_reference(Situation(target="keras.layers.Hashing", labels="integer", head="logits")) is None


@pytest.mark.parametrize("name", _TARGETS)
def test_every_target_has_a_program_and_takes_its_reference_without_an_error(name):
    for situation in itertools.islice(Plan.of([_TARGETS[name]], 1).situations(), 150):
        program = program_of(situation, "labels")
        constants = compile(program.source, "program", "exec").co_consts
        names = {name for code in constants if hasattr(code, "co_names") for name in code.co_names}
        assert set(program.arrays) <= names
        label_reference(situation)


def test_labels_that_would_take_all_memory_are_never_counted():
    situations = list(itertools.islice(Plan.of([_TARGETS["keras.ops.bincount"]], 0).situations(), 300))
    assert {"negative", "above-range", "valid"} <= {situation.label_values for situation in situations}
    assert "wide" not in {situation.label_values for situation in situations}


class _Legs:
    def __init__(self, recordings):
        self.recordings = recordings

    def observe(self, requests):
        return [self.recordings for _ in requests]


def test_what_all_backends_do_wrong_is_a_finding():
    situation = _plain("keras.ops.count_nonzero", **{"options.axis": 0})
    right = label_reference(situation).astype("int32")

    def sighting(value):
        recordings = {leg: recording("explored/x", leg, **{"value/result": value}) for leg in ("tensorflow", "jax", "torch")}
        return Judge(_Legs(recordings), {situation.target: "labels"}).sighting(situation, recordings)

    assert sighting(right) is None
    signature = sighting(right + 1).signature
    assert (signature.oracle, signature.legs) == ("reference", ("tensorflow", "jax", "torch"))
