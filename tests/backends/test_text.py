"""Text as the input of a model: TensorFlow has text, the others say in one sentence that they have not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from front_door import Session, project, record

from backendcheck.compare.findings import findings_of
from backendcheck.compare.variants import compare_variants
from backendcheck.recordings.recording import Recording
from backendcheck.verdicts.verdict import Verdict, judge
from backendcheck.vocabulary.states import Status

CASES = '''
"""Models of text."""
import keras
import numpy as np
from keras import layers
from backendcheck import ModelCase, Raises

WORDS = np.array(["north", "south", "east", "north", "west"])


def lookup(text):
    return layers.StringLookup(vocabulary=["north", "south", "east", "west"], output_mode="one_hot")(text)


def case_text(rng):
    """Text alone."""
    text = keras.Input((1,), dtype="string")
    model = keras.Model(text, layers.Dense(3, activation="softmax")(lookup(text)))
    return ModelCase(model, "sparse_categorical_crossentropy", WORDS[:, None], rng.integers(0, 3, 5), batch_size=2)


def case_text_and_numbers(rng):
    """A dict of text and numbers, of which only predictions are compared."""
    text, number = keras.Input((1,), dtype="string", name="region"), keras.Input((1,), name="alcohol")
    both = layers.Concatenate()([lookup(text), number])
    model = keras.Model({"region": text, "alcohol": number}, layers.Dense(2)(both))
    return ModelCase(model, None, {"region": WORDS[:, None].astype(object), "alcohol": rng.normal(size=(5, 1))})


class Looks(keras.Model):
    """Its own step looks the labels up."""

    def __init__(self):
        super().__init__()
        self.head = layers.Dense(4)

    def call(self, x):
        return self.head(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        import tensorflow as tf
        wanted = tf.cast(tf.equal(y[:, None], tf.constant(["north", "south", "east", "west"])), y_pred.dtype)
        return keras.ops.mean(keras.losses.categorical_crossentropy(wanted, y_pred, from_logits=True))


def case_text_labels_of_its_own(rng):
    """Text labels that the model understands."""
    return ModelCase(Looks(), None, rng.normal(size=(5, 3)), WORDS)


def case_text_labels(rng):
    """Text labels that no loss of Keras takes."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4)])
    return ModelCase(model, "mse", rng.normal(size=(5, 3)), WORDS, expect=Raises())
'''


@pytest.fixture(scope="module")
def legs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Session]:
    folder = project(tmp_path_factory.mktemp("text"), {"words.py": CASES})
    return {backend: record(folder, "words.py", backend=backend) for backend in ("tensorflow", "torch")}


def of_case(legs: Mapping[str, Session], case: str) -> dict[str, Recording]:
    return {backend: session.recordings[f"words/{case}"] for backend, session in legs.items()}


@pytest.mark.parametrize("case", ["text", "text_and_numbers", "text_labels_of_its_own"])
def test_tensorflow_gets_text_on_every_path_without_a_false_alarm(legs: Mapping[str, Session], case: str) -> None:
    recording = of_case(legs, case)["tensorflow"]
    assert recording.status is Status.RECORDED, (recording.problem, recording.raised)
    assert [variant.path for variant in recording.variants if variant.raised] == []
    assert not findings_of(compare_variants({"tensorflow": recording}))


def test_every_path_of_training_is_there(legs: Mapping[str, Session]) -> None:
    recording = of_case(legs, "text")["tensorflow"]
    assert {"predictions", "loss", "train/loss"} <= recording.observations.keys()
    paths = {variant.path for variant in recording.variants}
    assert {"examples permuted", "predict_on_batch", "test_on_batch", "evaluate(tf.data)", "run_eagerly: test_on_batch"} <= paths


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("text", "torch does not support text inputs (x)"),
        ("text_and_numbers", "torch does not support text inputs (x/region)"),
        ("text_labels_of_its_own", "torch does not support text labels (y)"),
    ],
)
def test_a_backend_without_text_says_so_and_is_not_an_error(legs: Mapping[str, Session], case: str, problem: str) -> None:
    recordings = of_case(legs, case)
    assert (recordings["torch"].status, recordings["torch"].problem) == (Status.NOT_SUPPORTED, problem)
    judgement = judge(recordings, list(recordings))
    assert (judgement.verdict, judgement.problems) == (Verdict.PASSED, ())
    assert legs["torch"].ended.exit_code == 0


def test_labels_that_every_backend_refuses_are_refused(legs: Mapping[str, Session]) -> None:
    recordings = of_case(legs, "text_labels")
    assert judge(recordings, list(recordings)).verdict is Verdict.PASSED
    assert all(recording.raised for recording in recordings.values())


# --- without TensorFlow ----------------------------------------------------------------------------------------

WITHOUT_TENSORFLOW = """
import sys
from importlib.machinery import PathFinder


class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] == "tensorflow" else super().find_spec(name, path, target)


sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
"""
NEEDS_TENSORFLOW = """
import keras
import numpy as np
from backendcheck import FunctionCase, Raises, ValueCase

LOOKUP = {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": ["a"]}, "registered_name": None}


def case_layer():
    return {"v": keras.layers.TextVectorization(vocabulary=["a"])(["a"])}


def case_layer_of_a_configuration():
    return ValueCase(lambda: {"v": keras.layers.deserialize(LOOKUP)(["a"])})


def case_data_set():
    def windows(a):
        keras.utils.timeseries_dataset_from_array(np.ones(5), None, 2)
        return a

    return FunctionCase(windows, {"a": np.ones(3, "float32")})


def case_asked_for():
    return ValueCase(lambda: {"v": keras.layers.StringLookup(vocabulary=["a"])(["a"])}, expect=Raises(ImportError))


def case_of_its_own():
    raise ImportError("Layer StringLookup requires TensorFlower")


def case_fine():
    return {"v": 1.0}
"""


def test_a_leg_without_the_library_that_a_layer_needs_says_so_and_is_not_an_error(tmp_path: Path) -> None:
    folder = project(tmp_path, {"words.py": NEEDS_TENSORFLOW, "site/sitecustomize.py": WITHOUT_TENSORFLOW})
    jax = record(folder, "words.py", env={"PYTHONPATH": str(folder / "site")})
    without = "without tensorflow, which is not installed there"
    assert jax.ended.exit_code == 0
    assert {case.removeprefix("words/"): (recording.status, recording.problem) for case, recording in jax.recordings.items()} == {
        "layer": (Status.NOT_SUPPORTED, f"jax does not support the layer TextVectorization {without}"),
        "layer_of_a_configuration": (Status.NOT_SUPPORTED, f"jax does not support the layer StringLookup {without}"),
        "data_set": (Status.NOT_SUPPORTED, f"jax does not support a part of this case {without}"),
        "asked_for": (Status.RAISED, ""),
        "of_its_own": (Status.RAISED, ""),
        "fine": (Status.RECORDED, ""),
    }
