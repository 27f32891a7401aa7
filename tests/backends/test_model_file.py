"""What the file of a model says of itself, read without keras."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from front_door import variables

from backendcheck.errors import UnreadableInput
from backendcheck.model_file import DeclaredLoss, Head, ModelFile, Port, read_model_file

SAVE = """
    import keras

    def save(name, model, *compiled, **options):
        if compiled or options:
            model.compile(*compiled, **options)
        model.save(f"{name}.keras")

    left, right = keras.Input((4,), name="b"), keras.Input((4,), name="a", dtype="int32")
    both = keras.layers.Concatenate()([left, keras.layers.Rescaling(1.0)(right)])
    tumor = keras.layers.Dense(1, activation="sigmoid", name="tumor")(both)
    stage = keras.layers.Softmax(name="probabilities")(keras.layers.Dense(3, name="stage")(both))
    smooth = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    save("dict", keras.Model({"b": left, "a": right}, {"tumor": tumor, "Stage": stage}), "adam",
         {"tumor": "bce", "Stage": smooth}, loss_weights={"tumor": 1.0, "Stage": 2.0}, metrics={"tumor": ["accuracy"]})
    ignoring = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1, reduction="sum")
    save("list", keras.Model([left, right], [tumor, stage]), keras.optimizers.SGD(0.1), ["binary_crossentropy", ignoring])
    save("single", keras.Model([left, right], keras.layers.Dropout(0.5)(stage)))

    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Activation("softmax")])
    save("sequential", plain, "sgd", keras.losses.categorical_crossentropy)
    late = keras.Sequential([keras.layers.Dense(2)])
    late.build((None, 4))
    save("late", late, "sgd", "mse")
    save("nested", keras.Model([left, right], keras.Sequential([keras.Input((8,)), keras.layers.Dense(5, "sigmoid")])(both)))
    steps = keras.Input((None,), dtype="int32", name="words")
    state = keras.layers.LSTM(4, return_sequences=True)(keras.layers.Embedding(9, 3, mask_zero=True)(steps))
    save("steps", keras.Model(steps, keras.layers.TimeDistributed(keras.layers.Dense(7, activation="softmax"))(state)))
    save("flat", keras.Model(left, keras.layers.Flatten()(left)))
    image = keras.Input((8, 8, 3))
    save("image", keras.Model(image, keras.layers.Conv2D(2, 1, activation="sigmoid")(image)), "sgd", keras.losses.Dice())

    def mine(y_true, y_pred):
        return keras.ops.mean(y_true - y_pred)

    @keras.saving.register_keras_serializable("own")
    class Own(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    own = Own()
    own.build((None, 4))
    save("own", own, "sgd", mine, metrics=[keras.metrics.SparseTopKCategoricalAccuracy(2)])
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Reads a model that the installed Keras has saved, by name."""
    import textwrap

    folder = tmp_path_factory.mktemp("models")
    code = textwrap.dedent(SAVE)
    environment = variables({"KERAS_BACKEND": "jax"})
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert ended.returncode == 0, ended.stderr
    return lambda name: read_model_file(folder / f"{name}.keras")


def test_named_inputs_and_outputs_come_with_their_losses(saved: Any) -> None:
    found: ModelFile = saved("dict")
    assert found.class_name == "Functional"
    assert found.keras_version
    assert found.inputs == (Port(name="b", shape=(None, 4), dtype="float32"), Port(name="a", shape=(None, 4), dtype="int32"))
    assert found.outputs == (
        Head(name="tumor", shape=(None, 1), units=1, activation="sigmoid"),
        Head(name="Stage", shape=(None, 3), units=3, activation="softmax"),
    )
    assert found.compiled is not None
    assert found.compiled.losses["tumor"] == DeclaredLoss(name="binary_crossentropy")
    assert found.compiled.losses["Stage"].name == "categorical_crossentropy"
    assert found.compiled.losses["Stage"].options["label_smoothing"] == 0.1
    assert found.compiled.loss_weights == {"tumor": 1.0, "Stage": 2.0}
    assert found.compiled.metrics == {"tumor": ("accuracy",)}
    assert found.compiled.optimizer == "keras.optimizers.Adam"
    assert (found.custom, found.notes) == ((), ())


def test_a_list_of_outputs_is_named_by_its_layers(saved: Any) -> None:
    found = saved("list")
    assert [one.name for one in found.outputs] == ["tumor", "probabilities"]
    loss = found.compiled.losses["probabilities"]
    assert (loss.options["from_logits"], loss.options["ignore_class"], loss.reduction) == (True, -1, "sum")


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("single", Head(name="", shape=(None, 3), units=3, activation="softmax")),
        ("sequential", Head(name="", shape=(None, 3), units=3, activation="softmax")),
        ("late", Head(name="", shape=(None, 2), units=2, activation="linear")),
        ("nested", Head(name="", shape=(None, 5), units=5, activation="sigmoid")),
        ("steps", Head(name="", shape=(None, None, 7), units=7, activation="softmax")),
        ("image", Head(name="", shape=None, units=2, activation="sigmoid")),
    ],
)
def test_a_head_is_followed_back_to_the_layer_that_makes_its_columns(saved: Any, name: str, head: Head) -> None:
    assert saved(name).outputs == (head,)


def test_what_cannot_be_determined_is_left_out_and_noted(saved: Any) -> None:
    assert saved("flat").outputs == (Head(name=""),)
    assert saved("flat").notes == ("the file does not tell the head of the model",)
    own = saved("own")
    assert (own.inputs, own.outputs) == ((), ())
    assert "Own is a custom class" in own.notes[0]
    assert own.custom[0] == "own>Own"
    assert own.compiled.losses[""] == DeclaredLoss(name="mine", custom=True)
    assert own.compiled.metrics == {"": ("sparse_top_k_categorical_accuracy",)}


def test_a_file_that_was_cut_anywhere_is_refused(saved: Any, tmp_path: Path) -> None:
    content = saved("single").path.read_bytes()
    path = tmp_path / "m.keras"
    for cut in range(0, len(content), max(1, len(content) // 50)):
        path.write_bytes(content[:cut])
        with pytest.raises(UnreadableInput):
            read_model_file(path)
