"""A model that was saved on one backend and is loaded on another.

The file is the usual way to move: train on one backend, serve or fine-tune on another. A ``.keras`` file must mean
the same wherever it is loaded. Its outputs keep the declared order, its classes the order of their weights, and its
loss and optimizer are those that Keras has on every backend.
"""

import json
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from backendcheck import ModelCase, ValueCase


def _saved_and_loaded(model):
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        return keras.saving.load_model(Path(folder) / "model.keras")


def _config_of(model):
    """The configuration of the model in its file, as JSON."""
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


OPTIMIZERS = {
    "SGD": keras.optimizers.SGD,
    "Adam": keras.optimizers.Adam,
    "AdamW": keras.optimizers.AdamW,
    "RMSprop": keras.optimizers.RMSprop,
    "Lion": keras.optimizers.Lion,
    "Ftrl": keras.optimizers.Ftrl,
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def case_the_optimizer_in_the_file_is_one_of_every_backend(optimizer):
    """The file names the optimizer as `keras.optimizers` does, so that every backend can load it."""
    model = _classifier()
    model.compile(OPTIMIZERS[optimizer](), "sparse_categorical_crossentropy")
    saved = _config_of(model)["compile_config"]["optimizer"]
    return ValueCase(
        lambda: {"module": saved["module"], "class": saved["class_name"]},
        reference={"value/module": "keras.optimizers", "value/class": optimizer},
    )


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def case_a_file_from_pytorch_trains_everywhere(optimizer, rng):
    """A model that was saved on PyTorch can be trained on every backend that loads it."""
    # Copied from the file of a model that was compiled with this optimizer on PyTorch (Keras 3.15).
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
    """The outputs of a loaded model have the declared order: tumor, age, Stage."""
    loaded = _saved_and_loaded(_three_heads())
    return ValueCase(
        lambda: {"order": list(loaded(np.ones((2, 4), "float32")))},
        reference={"value/order": ["tumor", "age", "Stage"]},
    )


def case_loaded_heads_keep_their_weights(rng):
    """Each head of a loaded model has the weights that were saved under its name."""
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
    """A loaded model trains as it was compiled: its loss keeps `from_logits` and the ignored class."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2), metrics=["accuracy"])
    loaded = _saved_and_loaded(model)
    return ModelCase(
        loaded, "as compiled", x=rng.normal(size=(6, 4)), y=np.array([0, 1, 2, 2, 1, 0]), optimizer=keras.optimizers.SGD(0.1),
        class_names=["cat", "dog", "unknown"],
    )  # fmt: skip


def case_a_vocabulary_is_saved_in_its_order():
    """The vocabulary of a saved `StringLookup` is loaded in the same order, ties in frequency included."""
    animals = keras.Input((1,), dtype="string")
    layer = keras.layers.StringLookup()
    layer.adapt(np.array([["fox"], ["dog"], ["fox"], ["cat"], ["dog"], ["ant"]]))
    loaded = _saved_and_loaded(keras.Model(animals, layer(animals)))
    before = layer.get_vocabulary()
    return ValueCase(
        lambda: {"vocabulary": loaded.layers[-1].get_vocabulary()},
        reference={"value/vocabulary": [str(name) for name in before]},
    )


@pytest.mark.parametrize(
    ("loss", "by_hand"),
    [
        # Errors of 4 and 0, beyond 3 and within it: 3 * (4 - 1.5) and 0; with the default of 1 they would be 3.5 and 0.
        (keras.losses.Huber(delta=3.0), 3.75),
        # Along the examples: columns (1, 0) and (0, 1), compared with those of the labels, (1, 0) and (1, 0): 1 and 0.
        (keras.losses.CosineSimilarity(axis=0), -0.5),
    ],
    ids=["huber_delta", "cosine_axis"],
)
def case_a_loaded_loss_keeps_its_options(loss, by_hand):
    """A loss that was compiled with an option other than the default keeps it after loading."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile("sgd", loss)
    loaded = _saved_and_loaded(model).loss
    if isinstance(loss, keras.losses.Huber):
        y_true, y_pred = [[4.0, 0.0]], [[0.0, 0.0]]
    else:
        y_true, y_pred = [[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]
    return ValueCase(lambda: {"loss": loaded(np.array(y_true), np.array(y_pred))}, reference={"value/loss": by_hand})


def case_a_loaded_loss_keeps_its_type():
    """A loss that was compiled to compute in bfloat16 does so after loading."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.MeanSquaredError(dtype="bfloat16"))
    loaded = _saved_and_loaded(model).loss
    return ValueCase(lambda: {"is_kept": np.array(loaded.dtype == "bfloat16")}, reference={"value/is_kept": np.array(True)})


def case_a_focal_loss_with_balanced_weights():
    """As documented: a focal loss takes the array of `compute_class_weight` as `alpha`, and is loaded as it was saved."""
    balanced = compute_class_weight("balanced", classes=np.array([0, 1]), y=np.array([0, 0, 0, 1]))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Identity()])
    model.compile(loss=keras.losses.CategoricalFocalCrossentropy(alpha=balanced, gamma=0.0))

    def compute():
        loaded = _saved_and_loaded(model)
        return {"loss": loaded.evaluate(np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]]), verbose=0)}

    return ValueCase(compute, reference={"value/loss": 2 * np.log(2)})


@pytest.mark.parametrize("optimizer", ["adam", "adafactor"])
def case_a_model_saved_as_hdf5_keeps_its_head(optimizer):
    """A compiled model can be saved in the HDF5 format, whatever its optimizer, and its head comes back."""

    def compute():
        model = _classifier()
        model.compile(optimizer, "sparse_categorical_crossentropy")
        model.optimizer.build(model.trainable_variables)
        model.set_weights([np.arange(12.0).reshape(4, 3), np.zeros(3)])
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / "model.h5")
            return {"kernel": keras.saving.load_model(Path(folder) / "model.h5", compile=False).get_weights()[0]}

    return ValueCase(compute, reference={"value/kernel": np.arange(12.0, dtype="float32").reshape(4, 3)})


def case_a_masked_model_is_loaded_from_hdf5():
    """A graph with an operation on its labels' mask is loaded from the HDF5 format that it was saved in."""

    def compute():
        steps = keras.Input((4,), dtype="int32")
        masked = keras.ops.cast(keras.ops.not_equal(steps, 0), "float32")
        model = keras.Model(steps, keras.layers.Dense(1, kernel_initializer="ones")(masked))
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / "model.h5")
            loaded = keras.saving.load_model(Path(folder) / "model.h5", compile=False)
        return {"n_known": loaded.predict(np.array([[3, 0, 2, 0]]), verbose=0)}

    return ValueCase(compute, reference={"value/n_known": np.array([[2.0]], dtype="float32")})
