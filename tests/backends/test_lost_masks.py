"""A mask that layers compute and that does not reach the loss is found by the reference, also where every backend loses it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from front_door import Session, project, record

from backendcheck.compare.backends import compare_reference
from backendcheck.compare.findings import findings_of
from backendcheck.compare.variants import compare_variants
from backendcheck.diagnose import diagnose
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.observations import MASK_PATHS

CASES = '''
"""Padded steps."""
import keras
import numpy as np
import pytest
from keras import layers
from keras.src import backend
from backendcheck import ModelCase

X = np.array([[1, 2, 0, 0], [3, 1, 2, 0], [4, 4, 1, 2]])
Y = np.array([[0, 1, 2, 2], [1, 1, 0, 2], [2, 0, 1, 1]])


class Forgets(layers.Dense):
    """Computes a mask, and Keras loses it."""

    def _set_mask_metadata(self, *args):
        pass


class Ends(layers.Dense):
    """Ends the mask on purpose."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.supports_masking = False


class Answers(layers.Dense):
    """Its mask is None on purpose."""

    def compute_mask(self, inputs, previous_mask=None):
        return None


class Casts(layers.Dense):
    """Makes a tensor without a mask of what it gets in half precision."""

    def __call__(self, x, *args, **options):
        if self.compute_dtype == "float16" and not isinstance(x, keras.KerasTensor):
            x = keras.ops.convert_to_tensor(keras.ops.convert_to_numpy(x))
        return super().__call__(x, *args, **options)


def trained(*middle, x=X, **options):
    embedding = layers.Embedding(5, 4, mask_zero=True, name="words")
    model = keras.Sequential([keras.Input((4,), dtype="int32"), embedding, *middle, layers.Dense(3, "softmax")])
    return ModelCase(model, "sparse_categorical_crossentropy", x, Y, **options)


def case_lost():
    return trained(layers.Dense(5), Forgets(4, name="forgets"))


def squares(y_true, y_pred):
    """A loss without a reference."""
    return keras.ops.sum(keras.ops.square(keras.ops.one_hot(keras.ops.cast(y_true, "int32"), 3) - y_pred), axis=-1)


def case_lost_before_an_own_loss():
    case = trained(Forgets(4, name="forgets"))
    return ModelCase(case.model, squares, case.x, case.y)


def case_lost_with_nothing_to_mask():
    return trained(Forgets(4, name="forgets"), x=X + (X == 0))


def case_kept():
    return trained(layers.LSTM(4, return_sequences=True), layers.LayerNormalization(), layers.Dropout(0.5))


def case_kept_with_a_metric():
    return trained(layers.LSTM(4, return_sequences=True), metrics=["accuracy"])


class Unmasked(layers.GRU):
    """Its call does not get the mask of its input, as if a cast had dropped it."""

    def __call__(self, *args, **options):
        mask_of = backend.get_keras_mask
        backend.get_keras_mask = lambda x: None
        try:
            return super().__call__(*args, **options)
        finally:
            backend.get_keras_mask = mask_of


def case_lost_before_the_call():
    return ModelCase(trained(Unmasked(4, name="rnn")).model, "sparse_categorical_crossentropy", X, Y[:, 0])


def case_dropped_by_a_cast():
    case = trained(Casts(4, dtype="mixed_float16", trainable=False))
    return ModelCase(case.model, squares, case.x, case.y)


def case_kept_in_mixed_precision():
    return trained(layers.Dense(4, dtype="mixed_float16"), layers.TimeDistributed(layers.Dense(4)))


@pytest.mark.parametrize("kind", ["layer", "answer", "lambda", "operation", "nested"])
def case_ended(kind):
    x = keras.Input((4,), dtype="int32")
    steps = layers.Embedding(5, 4, mask_zero=True, name="words")(x)
    if kind == "nested":
        inside = keras.Input((4, 4))
        steps = keras.Model(inside, Ends(4)(inside))(steps)
    else:
        steps = {
            "layer": Ends(4), "answer": Answers(4), "lambda": layers.Lambda(lambda t: t), "operation": lambda t: t * 2.0,
        }[kind](steps)
    return ModelCase(keras.Model(x, layers.Dense(3, "softmax")(steps)), "sparse_categorical_crossentropy", X, Y)
'''


@pytest.fixture(scope="module")
def torch(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Recording]:
    folder = project(tmp_path_factory.mktemp("masks"), {"steps.py": CASES})
    session: Session = record(folder, "steps.py", "--oracles", "agreement,reference,paths,order", backend="torch")
    recordings = {case.removeprefix("steps/"): recording for case, recording in session.recordings.items()}
    for case, recording in recordings.items():
        assert not recording.raised, (case, recording.raised)
    return recordings


def losing(recording: Recording) -> list[str]:
    return [note for note in recording.notes if "does not reach the loss" in note]


def test_a_lost_mask_is_found_by_the_reference_and_its_layer_is_named(torch: Mapping[str, Recording]) -> None:
    recording = torch["lost"]
    assert losing(recording) == ["the mask that the layers compute does not reach the loss: layer forgets loses it"]
    assert recording.labels["mask"].tolist() == [[True, True, False, False], [True, True, True, False], [True] * 4]
    found = {finding.observation for finding in findings_of(compare_reference({"torch": recording}))}
    assert {"per_example_loss", "loss", "gradient/y_pred"} <= found


def test_a_lost_mask_is_found_without_a_reference_by_the_paths(torch: Mapping[str, Recording]) -> None:
    recording = torch["lost_before_an_own_loss"]
    assert len(losing(recording)) == 1
    findings = findings_of(compare_variants({"torch": recording}))
    assert {(finding.observation, str(finding.right)) for finding in findings} == {
        ("loss", "torch:losses by name"),
        ("mask", "torch:prediction of model(x)"), ("mask", "torch:loss in evaluate"), ("mask", "torch:loss in fit"),
    }  # fmt: skip
    assert {finding.message.partition(":")[0] for finding in findings if finding.observation == "mask"} == {
        f"another mask than that of the layers reaches the {path}"
        for path in ("prediction of model(x)", "loss in evaluate", "loss in fit")
    }


def test_masks_are_observations_and_arrive_on_every_path(torch: Mapping[str, Recording]) -> None:
    recording = torch["kept_with_a_metric"]
    mask = [[True, True, False, False], [True, True, True, False], [True] * 4]
    assert recording.observations["mask"].value.tolist() == mask
    assert recording.observations["layer_mask/words"].value.tolist() == mask
    paths = {variant.path for variant in recording.variants if "mask" in variant.observations}
    assert paths == {*MASK_PATHS, "examples permuted", "classes permuted"} - {"call of the layer"}
    of_layers = next(variant for variant in recording.variants if variant.path == "call of the layer")
    assert set(of_layers.observations) == {"layer_mask/lstm/input"}
    assert not findings_of(compare_variants({"torch": recording}))


def test_a_mask_that_a_layer_loses_before_its_call_is_found(torch: Mapping[str, Recording]) -> None:
    recording = torch["lost_before_the_call"]
    findings = findings_of(compare_variants({"torch": recording}))
    assert {(finding.observation, finding.right.path) for finding in findings} == {("layer_mask/rnn/input", "call of the layer")}
    (diagnosis,) = diagnose(findings, {"torch": recording})
    assert "on torch the mask does not reach the call of the layer rnn (3 of 12 entries are masked)" in diagnosis.headline


def test_a_mask_that_ends_before_the_output_is_that_of_its_layer_only(torch: Mapping[str, Recording]) -> None:
    names = [name for name in torch["ended[layer]"].observations if "mask" in name]
    assert names == ["layer_mask/words"]


def test_a_mask_that_a_cast_drops_is_found_by_the_same_layers_in_float32(torch: Mapping[str, Recording]) -> None:
    recording = torch["dropped_by_a_cast"]
    findings = findings_of(compare_variants({"torch": recording}))
    assert {(finding.observation, str(finding.right)) for finding in findings} == {("mask", "torch:the same layers in float32")}
    (diagnosis,) = diagnose(findings, {"torch": recording})
    assert (diagnosis.code, diagnosis.backends) == ("dropped-mask", ("torch",))
    assert diagnosis.headline == (
        "DROPPED MASK: on torch the mask is lost in the precision of its layers (3 of 12 entries are masked)"
    )
    kept = torch["kept_in_mixed_precision"]
    assert "the same layers in float32" in {variant.path for variant in kept.variants}


def test_a_lost_mask_that_masks_nothing_changes_nothing(torch: Mapping[str, Recording]) -> None:
    assert not findings_of(compare_reference({"torch": torch["lost_with_nothing_to_mask"]}))


@pytest.mark.parametrize("case", ["kept", "kept_in_mixed_precision"])
def test_a_mask_that_arrives_is_the_mask_of_the_reference(torch: Mapping[str, Recording], case: str) -> None:
    assert losing(torch[case]) == []
    assert not torch[case].labels["mask"].all()
    assert not findings_of([*compare_reference({"torch": torch[case]}), *compare_variants({"torch": torch[case]})])


@pytest.mark.parametrize("kind", ["layer", "answer", "lambda", "operation", "nested"])
def test_a_mask_that_ends_on_purpose_is_not_lost(torch: Mapping[str, Recording], kind: str) -> None:
    recording = torch[f"ended[{kind}]"]
    assert losing(recording) == []
    assert not findings_of(compare_reference({"torch": recording}))
