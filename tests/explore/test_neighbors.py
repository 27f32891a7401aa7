"""What a model file and recorded cases declare, as targets."""

import json
import zipfile

import numpy as np
import pytest
from make import recording

from backendcheck.errors import UsageError
from backendcheck.explore import neighbors
from backendcheck.explore.neighbors import Declared, is_file, targets_of_file


def _dense(name, units, activation):
    return {"module": "keras.layers", "class_name": "Dense", "config": {"name": name, "units": units, "activation": activation},
            "build_config": {"input_shape": [None, 4]}}  # fmt: skip


def _saved(tmp_path, activation="softmax", units=3, **compile_config):
    config = {
        "module": "keras", "class_name": "Sequential", "config": {"name": "model", "layers": [_dense("head", units, activation)]},
        "compile_config": compile_config,
    }  # fmt: skip
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
    return path


def _loss(class_name, **config):
    config = {"name": "x", "reduction": "sum_over_batch_size", **config}
    return {"module": "keras.losses", "class_name": class_name, "config": config}


def _targets(path):
    return {target.name: target for target in targets_of_file(str(path), "jax", [])}


@pytest.mark.parametrize(("name", "whether"), [
    ("a/model.keras", True), ("model.h5", True), ("cases/labels.py", True), ("cases/labels.py::case_one", True),
    ("keras.losses.Huber", False), ("own.losses:Focal(gamma=2.0)", False), ("own", False),
])  # fmt: skip
def test_a_file_is_known_by_its_suffix(name, whether):
    assert is_file(name) is whether


def test_a_folder_is_known_by_a_slash_and_a_name_without_one_is_a_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own/cases").mkdir(parents=True)
    assert [is_file(name) for name in ("own/cases", "own/", "own", "other/")] == [True, True, False, False]


def test_a_model_is_its_loss_and_metrics_for_its_own_head(tmp_path):
    path = _saved(tmp_path, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    targets = _targets(path)
    assert set(targets) == {"keras.losses.SparseCategoricalCrossentropy", "keras.metrics.SparseCategoricalAccuracy"}
    loss = targets["keras.losses.SparseCategoricalCrossentropy"]
    assert [(form.labels, form.head) for form in loss.forms] == [("integer", "softmax")]
    assert "(N,T)" not in loss.factors()["label_shape"]
    assert not loss.options


def test_the_options_of_the_loss_stay_and_are_not_varied(tmp_path):
    loss = _loss("BinaryCrossentropy", from_logits=True, label_smoothing=0.2, axis=-1)
    (target,) = _targets(_saved(tmp_path, "linear", 1, loss=loss)).values()
    assert {form.head for form in target.forms} == {"logits"}
    situation = target.situation({"form": 0})
    assert (situation.option("from_logits"), situation.option("label_smoothing")) == (True, 0.2)
    assert not any(name.startswith("options.") for name in target.factors())


def test_a_loss_of_ones_own_is_noted(tmp_path):
    notes = []
    own = {"module": "own", "class_name": "Focal", "config": {}, "registered_name": "own>Focal"}
    with pytest.raises(UsageError, match="declares no loss or metric of Keras") as refused:
        targets_of_file(str(_saved(tmp_path, loss=own)), "jax", notes)
    assert "the loss Focal is not one of Keras. Explore it by its name, as package.module:Name" in str(refused.value)


def test_a_model_that_was_not_compiled_declares_nothing(tmp_path):
    with pytest.raises(UsageError, match="expected a compiled model, or cases with one"):
        targets_of_file(str(_saved(tmp_path)), "jax", [])


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="file not found"):
        targets_of_file(str(tmp_path / "none.keras"), "jax", [])


# --- cases -------------------------------------------------------------------------------------------------------


def _recorded(**fields):
    loss = {"name": "huber", "from_keras": True, "options": {"delta": 0.5}, "reduction": "sum_over_batch_size"}
    return recording("a/b", "jax", loss=0.5, losses={"": {**loss, **fields}}, labels={"y_pred": np.zeros((2, 3), np.float32)})


def _declared(*recordings):
    return [each for recorded in recordings for each in neighbors._declared_in(recorded, [])]


def test_a_case_declares_the_loss_that_was_recorded():
    assert _declared(_recorded()) == [Declared(kind="loss", name="huber", options={"delta": 0.5}, n_axes=2)]
    (summed,) = _declared(_recorded(reduction="sum"))
    assert summed.options == {"delta": 0.5, "reduction": "sum"}
    assert _declared(_recorded(from_keras=False)) == []


def test_a_case_that_raised_before_it_declared_anything_is_noted():
    notes = []
    assert list(neighbors._declared_in(recording("a/b", "jax", raised="RuntimeError: no file\nmore"), notes)) == []
    assert notes == ["a/b declares no loss or metric: raised RuntimeError: no file"]


def test_an_option_in_which_two_cases_differ_is_varied(monkeypatch):
    monkeypatch.setattr(neighbors, "_of_cases", lambda *_: iter(_declared(_recorded(), _recorded(options={"delta": 2.0}))))
    (target,) = targets_of_file("cases/a.py", "jax", [])
    assert target.name == "keras.losses.Huber"
    assert target.factors()["options.delta"] == (0.5, 2.0)
    assert target.factors()["label_shape"] == ("(N,)", "(N,1)", "(N,C)")
