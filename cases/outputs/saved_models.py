"""A model that was saved on one backend and is loaded on another.

The file is the usual way to move: train on one backend, serve or fine-tune on another. What a ``.keras`` file says has to mean
the same wherever it is read: its outputs in the order in which they were declared, its classes in the order of their weights,
its loss and its optimizer as the ones that Keras has everywhere.
"""

import json
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from backendcheck import ModelCase, ValueCase


def _saved_and_loaded(model):
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        return keras.saving.load_model(Path(folder) / "model.keras")


def _config_of(model):
    """What the file says of the model, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        with zipfile.ZipFile(Path(folder) / "model.keras") as file:
            return json.loads(file.read("config.json"))


def _classifier():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])


def _three_heads():
    """Outputs whose names are not in alphabetical order."""
    patient = keras.Input((4,), name="patient")
    heads = {
        "tumor": keras.layers.Dense(1, activation="sigmoid", name="tumor")(patient),
        "age": keras.layers.Dense(1, name="age")(patient),
        "Stage": keras.layers.Dense(3, activation="softmax", name="Stage")(patient),
    }
    return keras.Model(patient, heads)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop", "Lion", "Ftrl"])
def case_the_optimizer_in_the_file_is_one_of_every_backend(optimizer):
    """The file names the optimizer as keras.optimizers has it, which every backend can load."""
    model = _classifier()
    model.compile(getattr(keras.optimizers, optimizer)(), "sparse_categorical_crossentropy")
    saved = _config_of(model)["compile_config"]["optimizer"]
    return ValueCase(
        lambda: {"module": saved["module"], "class": saved["class_name"]},
        reference={"value/module": "keras.optimizers", "value/class": optimizer},
    )


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def case_a_file_from_pytorch_trains_everywhere(optimizer, rng):
    """A model that was saved on PyTorch can be trained on where it is loaded."""
    # Word for word what the file of a model has that was compiled with this optimizer on PyTorch (Keras 3.15).
    saved = {
        "module": f"keras.src.backend.torch.optimizers.torch_{optimizer.lower()}",
        "class_name": optimizer,
        "config": {"name": optimizer.lower(), "learning_rate": 0.1},
        "registered_name": optimizer,
    }
    model = _classifier()
    model.compile(keras.saving.deserialize_keras_object(saved), "sparse_categorical_crossentropy")
    return ModelCase(model, "as compiled", x=rng.normal(size=(6, 4)), y=np.array([0, 1, 2, 2, 1, 0]))


def case_loaded_outputs_keep_their_declared_order():
    """The heads of a loaded model come in the order in which they were declared: tumor, age, Stage."""
    loaded = _saved_and_loaded(_three_heads())
    return ValueCase(
        lambda: {"order": list(loaded(np.ones((2, 4), "float32")))},
        reference={"value/order": ["tumor", "age", "Stage"]},
    )


def case_loaded_heads_keep_their_weights(rng):
    """Each head of a loaded model has the weights that it was saved with, by its own name."""
    model = _three_heads()
    weights = {name: rng.normal(size=(4, width)).astype("float32") for name, width in (("tumor", 1), ("age", 1), ("Stage", 3))}
    for name, kernel in weights.items():
        model.get_layer(name).set_weights([kernel, np.zeros(kernel.shape[1:], "float32")])
    loaded = _saved_and_loaded(model)
    return ValueCase(
        lambda: {name: loaded.get_layer(name).get_weights()[0] for name in weights},
        reference={f"value/{name}": kernel for name, kernel in weights.items()},
    )


def case_a_loaded_classifier_has_its_loss(rng):
    """A loaded model trains as it was compiled: label smoothing, from_logits and ignored classes come back with it."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2), metrics=["accuracy"])
    loaded = _saved_and_loaded(model)
    return ModelCase(
        loaded, "as compiled", x=rng.normal(size=(6, 4)), y=np.array([0, 1, 2, 2, 1, 0]), optimizer=keras.optimizers.SGD(0.1),
        class_names=["cat", "dog", "unknown"],
    )  # fmt: skip


def case_a_vocabulary_is_saved_in_its_order():
    """The class map inside a saved StringLookup comes back in its order, ties in frequency included."""
    animals = keras.Input((1,), dtype="string")
    layer = keras.layers.StringLookup()
    layer.adapt(np.array([["fox"], ["dog"], ["fox"], ["cat"], ["dog"], ["ant"]]))
    loaded = _saved_and_loaded(keras.Model(animals, layer(animals)))
    before = layer.get_vocabulary()
    return ValueCase(
        lambda: {"vocabulary": loaded.layers[-1].get_vocabulary()},
        reference={"value/vocabulary": [str(one) for one in before]},
    )


@pytest.mark.parametrize(
    ("loss", "by_hand"),
    [
        # Errors of 4 and 0, beyond 3 and within it: 3 * (4 - 1.5) and 0; with the default of 1 it were 3.5 and 0.
        (keras.losses.Huber(delta=3.0), 3.75),
        # Along the examples, columns (1, 0) and (0, 1) against the labels' (1, 0) and (1, 0): 1 and 0.
        (keras.losses.CosineSimilarity(axis=0), -0.5),
    ],
    ids=["huber_delta", "cosine_axis"],
)
def case_a_loaded_loss_keeps_its_options(loss, by_hand):
    """A loss that was compiled with an option other than the default has it after loading, too."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile("sgd", loss)
    loaded = _saved_and_loaded(model).loss
    if isinstance(loss, keras.losses.Huber):
        y_true, y_pred = [[4.0, 0.0]], [[0.0, 0.0]]
    else:
        y_true, y_pred = [[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]
    return ValueCase(lambda: {"loss": loaded(np.array(y_true), np.array(y_pred))}, reference={"value/loss": by_hand})
