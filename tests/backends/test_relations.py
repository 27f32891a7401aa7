"""A loss in other forms that must have the same value: each relation holds for Keras, and breaks for one fault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from front_door import project, record

from backendcheck.compare.findings import findings_of
from backendcheck.compare.variants import compare_variants
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.relations import is_relation

CONFTEST = """
from contextlib import ExitStack

import pytest
from keras.src.losses import loss as loss_module
from keras.src.losses.losses import LossFunctionWrapper
from keras.src.metrics import accuracy_metrics
from backendcheck.record.faults import injected
from backendcheck.record.faults.injection import FaultInjection


def per_class(injection):
    injection.change_result(LossFunctionWrapper, "call", lambda values, self, y_true, y_pred: values * int(y_pred.shape[-1]))


def per_batch(injection):
    injection.change_result(loss_module, "reduce_values", lambda loss, values, *rest, **options: loss * int(values.shape[0]))


def wrong_accuracy(injection):
    injection.change_result(accuracy_metrics, "sparse_categorical_accuracy", lambda matches, *rest: 1 - matches)


@pytest.fixture
def inject():
    with ExitStack() as stack:
        def in_force(name):
            faults = {"per_class": per_class, "per_batch": per_batch, "wrong_accuracy": wrong_accuracy}
            stack.enter_context(FaultInjection(faults[name]) if name in faults else injected(name))

        yield in_force
"""

CASES = '''
"""Losses of Keras."""
import keras
import numpy as np
import pytest
from backendcheck import LossCase, ModelCase, OptOut

L = keras.losses
FAULTS = ["weights-dropped", "labels-one-on", "logits-taken-for-probabilities", "per_class", "per_batch", "mask-dropped"]


def steps(rng):
    return LossCase(L.SparseCategoricalCrossentropy(from_logits=True), rng.integers(0, 3, (4, 5)), rng.normal(size=(4, 5, 3)))


@pytest.mark.parametrize("fault", FAULTS)
def case_fault(rng, inject, fault):
    inject(fault)
    return steps(rng)


def case_fault_of_a_metric(rng, inject):
    inject("wrong_accuracy")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    return ModelCase(
        model, "sparse_categorical_crossentropy", rng.normal(size=(9, 4)), rng.integers(0, 3, 9),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="hits")],
    )


def case_all_forms(rng):
    return steps(rng)


def case_opted_out(rng):
    case = steps(rng)
    out = [OptOut(relation="new class", reason="a test"), OptOut(relation="examples", reason="a test")]
    return LossCase(case.loss, case.y_true, case.y_pred, order=out)


@pytest.mark.parametrize("reduction", ["sum", "none", "mean_with_sample_weight"])
def case_reduction(rng, reduction):
    weights = rng.uniform(0.5, 2.0, 5).astype("float32")
    loss = L.CategoricalCrossentropy(reduction=reduction)
    return LossCase(loss, np.eye(3)[rng.integers(0, 3, 5)], rng.dirichlet([2.0] * 3, 5), sample_weight=weights)


def case_ignored_class(rng):
    loss = L.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    return LossCase(loss, np.array([0, -1, 2, 1]), rng.normal(size=(4, 3)))


def case_clipped():
    return LossCase("categorical_crossentropy", np.eye(3)[[0, 1]], [[1e-9, 1.0, 0.0], [0.2, 0.5, 0.3]])


def case_weights_beyond_float32():
    loss = L.MeanSquaredError(reduction="mean_with_sample_weight")
    return LossCase(loss, [[1.0], [0.0]], [[0.5], [1.0]], sample_weight=np.array([2**40, 1], dtype="int64"))


def case_of_the_batch(rng):
    return LossCase(L.Dice(), rng.integers(0, 2, (4, 6)).astype("float32"), rng.uniform(0.1, 0.9, (4, 6)))


def own(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


def case_own(rng):
    return LossCase(own, rng.normal(size=(4, 2)), rng.normal(size=(4, 2)))


def case_two_heads(rng):
    x = keras.Input((4,), name="x")
    heads = {"kind": keras.layers.Dense(3, activation="softmax", name="kind")(x), "size": keras.layers.Dense(2, name="size")(x)}
    labels = {"kind": rng.integers(0, 3, 9), "size": rng.normal(size=(9, 2))}
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mean_squared_error"}
    metrics = {"kind": ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top_2")]}
    return ModelCase(keras.Model(x, heads), losses, rng.normal(size=(9, 4)), labels, metrics=metrics)


def case_regularized(rng):
    head = keras.layers.Dense(3, activation="softmax", kernel_regularizer="l2")
    model = keras.Sequential([keras.Input((4,)), head])
    return ModelCase(model, "sparse_categorical_crossentropy", rng.normal(size=(9, 4)), rng.integers(0, 3, 9))
'''


def recorded(folder: Path, backend: str, selection: str) -> Mapping[str, Recording]:
    """The recordings of some of the cases on one backend, by case."""
    folder = project(folder, {"forms.py": CASES, "conftest.py": CONFTEST})
    session = record(folder, "forms.py", "--oracles", "agreement,order", "-k", selection, backend=backend)
    by_case = {case.removeprefix("forms/"): recording for case, recording in session.recordings.items()}
    for case, recording in by_case.items():
        assert not recording.raised, (case, recording.raised)
    return by_case


@pytest.fixture(scope="module", params=["torch", "tensorflow", "jax"])
def recordings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Recording]:
    return recorded(tmp_path_factory.mktemp("relations"), request.param, "not fault")


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Recording]:
    return recorded(tmp_path_factory.mktemp("faults"), "torch", "fault")


def forms(recording: Recording) -> str:
    return " | ".join(note for note in recording.notes if "in other forms" in note)


def checked(recording: Recording) -> list[str]:
    return [variant.path for variant in recording.variants if variant.oracle is Oracle.ORDER and is_relation(variant.path)]


ALL = (
    "batch twice; example # with weight 0; example # twice, weights halved; one-hot labels; probabilities; new class; "
    "masked step"
)
BROKEN = {
    "weights-dropped": {
        "example # with weight 0 still changes loss", "loss counts example # differently than twice with half the weight",
    },
    "labels-one-on": {  # the last class becomes the first one, or the new one
        "loss differs between integer labels and the same labels as one-hot rows", "a new class that no label names changes loss",
    },
    "logits-taken-for-probabilities": {  # the lowest logit is not the lowest probability
        "loss differs between from_logits=True and the probabilities of the same logits",
        "a new class that no label names changes loss",
    },
    "per_class": {"a new class that no label names changes loss"},
    "per_batch": {
        "loss of the batch repeated twice differs from that of the batch", "example # with weight 0 still changes loss",
        "loss counts example # differently than twice with half the weight",
    },
    "mask-dropped": {"a masked step still changes loss"},
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_each_relation_breaks_for_a_fault(faults: Mapping[str, Recording], fault: str) -> None:
    findings = findings_of(compare_variants({"torch": faults[f"fault[{fault}]"]}))
    of_relations = [finding for finding in findings if is_relation(finding.right.path)]
    sentences = {re.sub(r"example \d+", "example #", finding.message.partition(":")[0]) for finding in of_relations}
    assert sentences == BROKEN[fault]
    assert {finding.oracle for finding in of_relations} == {Oracle.ORDER}


def test_the_relation_of_a_metric_breaks_for_a_fault(faults: Mapping[str, Recording]) -> None:
    (finding,) = findings_of(compare_variants({"torch": faults["fault_of_a_metric"]}))
    assert (finding.oracle, finding.observation) == (Oracle.ORDER, "metric/hits")
    assert finding.message.startswith("metric/hits differs between integer labels and the same labels as one-hot rows: ")


def test_all_relations_hold_for_keras(recordings: Mapping[str, Recording]) -> None:
    for case, recording in recordings.items():
        assert not findings_of(compare_variants({"leg": recording})), case
    recording = recordings["all_forms"]
    example = checked(recording)[0].partition("example ")[2].partition(" ")[0]
    assert forms(recording) == f"the loss is compared in other forms: {ALL.replace('#', example)}"
    assert len(checked(recording)) == 2  # all forms with one call, and the step with its mask


def test_forms_that_do_not_apply_are_named_with_the_reason(recordings: Mapping[str, Recording]) -> None:
    opted_out = forms(recordings["opted_out"])
    assert "Not new class: the case opts out: a test" in opted_out
    assert "Not batch twice: the case opts out: a test" in opted_out
    assert "Not one-hot labels: one-hot rows have no class to ignore" in forms(recordings["ignored_class"])
    assert "Not logits: float32 probabilities are too close to 0 or 1" in forms(recordings["clipped"])
    beyond = forms(recordings["weights_beyond_float32"])
    assert beyond.count("whole-number weights that float32 does not hold") == 3
    assert "the loss takes the examples of a batch together" in forms(recordings["of_the_batch"])
    assert "the loss is not one of Keras" in forms(recordings["own"])
    assert not checked(recordings["own"])
    assert not checked(recordings["of_the_batch"])


def test_losses_of_models_and_metrics_are_checked_by_output(recordings: Mapping[str, Recording]) -> None:
    recording = recordings["two_heads"]
    variants = {variant.path: set(variant.observations) for variant in recording.variants if is_relation(variant.path)}
    assert variants["one-hot labels (kind_accuracy)"] == {"metric/kind_accuracy"}
    assert variants["one-hot labels (kind_top_2)"] == {"metric/kind_top_2"}
    assert "the metric kind_top_2 is compared on another form of its labels: one-hot labels" in recording.notes
    assert {"loss/kind"} in variants.values()
    assert {"loss/size"} in variants.values()
    (regularized,) = [variant for variant in recordings["regularized"].variants if is_relation(variant.path)]
    assert set(regularized.observations) == {"per_example_loss"}  # the total has the penalty of the weights as well
