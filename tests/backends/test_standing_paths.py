"""The standing paths of a ModelCase: saved and loaded, batches from every kind of data, grouped steps, other forms."""

from __future__ import annotations

import pytest
from front_door import Session, project, record

from backendcheck.compare.findings import findings_of
from backendcheck.compare.variants import compare_variants

CASES = '''
"""Paths that promise the same numbers, and models that break the promise."""
import errno
import tempfile
import zipfile

import keras
import numpy as np
from keras import layers, ops
from backendcheck import ModelCase

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(6, 4)), RNG.integers(0, 3, 6)


def sequential(**options):
    return ModelCase(
        keras.Sequential([keras.Input((4,)), layers.Dense(5, "tanh"), layers.Dense(3, "softmax")]),
        "sparse_categorical_crossentropy", X, Y, metrics=["accuracy"], optimizer=keras.optimizers.Adam(0.01), **options,
    )


def case_one_batch():
    """One batch, one epoch."""
    return sequential()


def case_several_batches():
    """Batches with weights, and a last one that is smaller."""
    return sequential(batch_size=4, epochs=2, sample_weight=np.linspace(0.5, 1.5, 6))


def case_weighted_classes():
    """Weights of classes: a generator does not take them."""
    return sequential(batch_size=3, class_weight={0: 1.0, 1: 2.0, 2: 0.5})


def case_two_outputs():
    """A dict whose alphabetical order is not the declared one."""
    x = keras.Input((4,))
    model = keras.Model(x, {"b": layers.Dense(3, "softmax", name="b")(x), "a": layers.Dense(1, name="a")(x)})
    return ModelCase(
        model, {"b": "sparse_categorical_crossentropy", "a": "mse"}, X, {"b": Y, "a": Y[:, None] / 2.0},
        loss_weights={"a": 0.5, "b": 2.0},
    )


def case_functional():
    """A chain of layers."""
    x = keras.Input((4,))
    return ModelCase(keras.Model(x, layers.Dense(1)(layers.Dense(3, "relu")(x))), "mse", X, Y[:, None] / 2.0)


def case_constrained():
    """Weights that do not meet their constraint at first."""
    kernel = layers.Dense(3, "softmax", kernel_constraint=keras.constraints.NonNeg())
    return ModelCase(keras.Sequential([keras.Input((4,)), kernel]), "sparse_categorical_crossentropy", X, Y)


def case_no_directory(monkeypatch):
    """There is no directory for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    return sequential()


def case_full_disk(monkeypatch):
    """There is no room for temporary files."""
    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    return sequential()


def case_statistics():
    """Statistics of the batch: two passes are not one."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(1)])
    return ModelCase(model, "mse", X, Y[:, None] / 2.0)


def case_statistics_in_batches():
    """Metric objects keep their state when a model is compiled again."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(1)])
    return ModelCase(
        model, "mse", X, Y[:, None] / 2.0, batch_size=3, epochs=2, metrics=[keras.metrics.MeanAbsoluteError()],
        sample_weight=np.linspace(0.5, 1.5, 6),
    )


def case_rows_of_a_gradient():
    """A metric object after a training with dense gradients."""
    model = keras.Sequential([keras.Input((4,), dtype="int32"), layers.Embedding(3, 2), layers.Flatten(), layers.Dense(1)])
    return ModelCase(
        model, "mse", RNG.integers(0, 3, (6, 4)), Y[:, None] / 2.0, metrics=[keras.metrics.MeanAbsoluteError()],
        optimizer=keras.optimizers.SGD(0.05),
    )


def case_counts_of_named_outputs():
    """Metric objects that count."""
    x = keras.Input((4,))
    model = keras.Model(x, {name: layers.Dense(1, "sigmoid", name=name)(x) for name in ("b", "a")})
    labels = (Y[:, None] > 0).astype("float32")
    return ModelCase(
        model, {"b": "binary_crossentropy", "a": "binary_crossentropy"}, X, {"b": labels, "a": labels},
        metrics={"a": [keras.metrics.TruePositives()], "b": [keras.metrics.FalseNegatives()]},
    )


class Freezing(layers.Dense):
    """It loses its weights when it is frozen."""

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "trainable" and not value:
            self.kernel.assign(self.kernel * 0)


def case_freezing():
    """A layer that must not be frozen."""
    model = keras.Sequential([keras.Input((4,)), Freezing(3, "softmax")])
    return ModelCase(model, "sparse_categorical_crossentropy", X, Y, epochs=2)


class Unregistered(layers.Layer):
    def call(self, x):
        return x * 2.0


def case_unregistered():
    """Keras does not find this layer by its name."""
    model = keras.Sequential([keras.Input((4,)), Unregistered(), layers.Dense(1)])
    return ModelCase(model, "mse", X, Y[:, None] / 2.0)


@keras.saving.register_keras_serializable("paths")
class Forgetful(layers.Layer):
    """Its configuration leaves the factor out."""

    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.factor = factor

    def get_config(self):
        return {"name": self.name}

    def call(self, x):
        return x * self.factor


def case_forgetful():
    """A model that is another one after loading."""
    model = keras.Sequential([keras.Input((4,)), Forgetful(3.0), layers.Dense(1)])
    return ModelCase(model, "mse", X, Y[:, None] / 2.0)


class Hiding(layers.Layer):
    """A state that saving does not know."""

    def build(self, shape):
        self.shift = keras.Variable(np.zeros(1, "float32"), trainable=True)
        self.built = True

    def call(self, x):
        return x + self.shift

    def save_own_variables(self, store):
        pass

    def load_own_variables(self, store):
        pass


keras.saving.register_keras_serializable("paths")(Hiding)


def case_hiding():
    """A weight that no file holds."""
    model = keras.Sequential([keras.Input((4,)), Hiding(), layers.Dense(1)])
    return ModelCase(model, "mse", X, Y[:, None] / 2.0)


class ByName(keras.Sequential):
    """Trains half as far on a data set."""

    def fit(self, x=None, *args, **options):
        if isinstance(x, keras.utils.PyDataset):
            self.optimizer.learning_rate = 0.05
        return super().fit(x, *args, **options)


def case_another_step_on_a_dataset():
    """A data set is trained on otherwise."""
    model = ByName([keras.Input((4,)), layers.Dense(1)])
    return ModelCase(model, "mse", X, Y[:, None] / 2.0, optimizer=keras.optimizers.SGD(0.1))
'''
ORDINARY = (
    "one_batch", "several_batches", "weighted_classes", "two_outputs", "functional", "statistics", "statistics_in_batches",
    "rows_of_a_gradient", "counts_of_named_outputs",
    "unregistered", "constrained",
)  # fmt: skip
SAVED = {
    "saved after training and loaded", "saved and loaded", "weights saved and loaded", "saved as HDF5 and loaded",
    "made from its config",
}  # fmt: skip
FROZEN = "a layer frozen and released between"
GENERATOR = "fit(generator, steps_per_epoch)"


@pytest.fixture(scope="module", params=["tensorflow", "jax", "torch"])
def leg(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = project(tmp_path_factory.mktemp(request.param), {"paths.py": CASES})
    return record(folder, "paths.py", "--oracles", "agreement,paths,order", backend=request.param)


def paths_of(leg: Session, case: str) -> set[str]:
    return {variant.path for variant in leg.recordings[f"paths/{case}"].variants}


def differing(leg: Session, case: str) -> dict[str, set[str]]:
    """The observations that differ, by path."""
    recording = leg.recordings[f"paths/{case}"]
    differences: dict[str, set[str]] = {}
    for finding in findings_of(compare_variants({recording.backend: recording})):
        differences.setdefault(str(finding.right).partition(":")[2], set()).add(finding.observation)
    return differences


@pytest.mark.parametrize("case", ORDINARY)
def test_no_false_alarm(leg: Session, case: str) -> None:
    recording = leg.recordings[f"paths/{case}"]
    assert recording.status == "recorded", recording.problem
    assert [(variant.path, variant.raised) for variant in recording.variants if variant.raised] == []
    assert not differing(leg, case)


def test_a_model_of_keras_is_saved_in_every_way_and_lists_what_its_file_holds(leg: Session) -> None:
    for case in ("one_batch", "several_batches", "two_outputs", "functional"):
        assert paths_of(leg, case) >= SAVED
    saved = leg.recordings["paths/one_batch"].variants
    covered = {name for variant in saved if variant.path == "saved and loaded" for name in variant.observations}
    assert {"predictions", "loss", "metric/accuracy"} <= covered
    assert any(name.startswith("train/weight/") for name in covered)
    entries = leg.recordings["paths/functional"].observations["saved/variables"].value.tolist()
    assert [entry for entry in entries if entry.startswith("layers/")] == [
        "layers/dense/vars/0 (4, 3)", "layers/dense/vars/1 (3,)", "layers/dense_1/vars/0 (3, 1)", "layers/dense_1/vars/1 (1,)"
    ]  # fmt: skip


def test_what_keras_does_not_promise_is_left_out_with_a_note(leg: Session) -> None:
    notes = {case: " ".join(leg.recordings[f"paths/{case}"].notes) for case in ORDINARY}
    assert "Unregistered is not registered with keras.saving.register_keras_serializable" in notes["unregistered"]
    assert not paths_of(leg, "unregistered") & SAVED
    assert "fit(generator, steps_per_epoch), which takes no class_weight" in notes["weighted_classes"]
    assert GENERATOR not in paths_of(leg, "weighted_classes")
    assert not any("gradient_accumulation_steps" in path for path in paths_of(leg, "statistics"))


def test_a_disk_that_takes_no_files_is_a_note(leg: Session) -> None:
    for case, reason in {"no_directory": "/nowhere", "full_disk": "No space left on device"}.items():
        recording = leg.recordings[f"paths/{case}"]
        told = [note for note in recording.notes if note.startswith("not compared with itself saved and loaded")]
        assert told, recording.notes
        assert all("takes no files" in note and reason in note for note in told)
        assert SAVED & paths_of(leg, case) <= {"weights saved and loaded", "saved as HDF5 and loaded", "made from its config"}


def test_batches_come_from_every_kind_of_data_and_in_groups(leg: Session) -> None:
    backend = leg.recordings["paths/one_batch"].backend
    kinds = {"PyDataset"} | {"tensorflow": {"tf.data", "tf.data of any batch size"}, "torch": {"DataLoader"}}.get(backend, set())
    assert paths_of(leg, "one_batch") >= {f"fit({kind})" for kind in kinds} | {GENERATOR}
    several = paths_of(leg, "several_batches")
    assert several >= {"fit(PyDataset)", GENERATOR, "train_on_batch for each batch", f"fit twice, {FROZEN}"}
    assert "fit twice" not in several  # only where the other differs
    assert several >= {f"evaluate({kind})" for kind in kinds - {"tf.data", "tf.data of any batch size"}}
    grouped = "fit(PyDataset) with gradient_accumulation_steps=2"
    assert (grouped if backend == "torch" else f"{grouped}, steps_per_execution=2") in several
    evaluated = {variant.path: variant.observations for variant in leg.recordings["paths/several_batches"].variants}
    assert {"metric/loss", "metric/accuracy"} <= evaluated["evaluate(PyDataset)"].keys()


def test_a_model_has_other_forms(leg: Session) -> None:
    assert paths_of(leg, "one_batch") >= {"as a functional model", "as a subclassed model"}
    assert paths_of(leg, "functional") >= {"as a Sequential model", "as a subclassed model"}
    assert paths_of(leg, "two_outputs") >= {"predict with the outputs renamed", "as a subclassed model"}
    (renamed,) = (v for v in leg.recordings["paths/two_outputs"].variants if v.path == "predict with the outputs renamed")
    assert renamed.observations.keys() == {"predictions/a", "predictions/b", "loss"}


def test_a_model_that_is_another_one_after_loading_is_found(leg: Session) -> None:
    forgetful = differing(leg, "forgetful")
    assert forgetful.keys() == {"saved and loaded", "saved as HDF5 and loaded", "made from its config"}
    assert {"predictions", "loss"} <= forgetful["saved and loaded"]
    hiding = differing(leg, "hiding")
    assert any(name.startswith("train/weight/") for name in hiding["saved after training and loaded"])
    assert "predictions" in hiding["weights saved and loaded"]


def test_another_step_on_a_data_set_is_found(leg: Session) -> None:
    differences = differing(leg, "another_step_on_a_dataset")
    assert "fit(PyDataset)" in differences
    assert not differences.keys() & {"evaluate", "train_on_batch", "fit(generator, steps_per_epoch)"}


def test_a_layer_that_does_not_bear_to_be_frozen_is_found(leg: Session) -> None:
    differences = differing(leg, "freezing")
    assert differences.keys() == {f"fit twice, {FROZEN}"}
    assert "fit twice" in paths_of(leg, "freezing")
