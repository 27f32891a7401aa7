"""Models in the older format of Keras: their configuration is read from the attributes, or refused in one line."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backendcheck.errors import BackendcheckError, UnreadableInput
from backendcheck.labels import check_labels
from backendcheck.model_file import read_model_file

h5py = pytest.importorskip("h5py")

LAYERS = [
    {"class_name": "InputLayer", "config": {"name": "wine", "batch_shape": [None, 4], "dtype": "float32"}, "inbound_nodes": []},
    {"class_name": "Dense", "config": {"name": "kind", "units": 3, "activation": "softmax"},
     "inbound_nodes": [[["wine", 0, 0, {}]]]},
]  # fmt: skip
FUNCTIONAL = {
    "class_name": "Functional",
    "config": {"name": "model", "layers": LAYERS, "input_layers": [["wine", 0, 0]], "output_layers": [["kind", 0, 0]]},
}
LOSS = {"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": True, "name": "sparse_categorical_crossentropy"}}


def h5(path: Path, **attributes: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in attributes.items():
            file.attrs[name] = value if isinstance(value, str) else json.dumps(value)
        file.create_dataset("weights", data=np.ones(3))
    return path


def test_heads_inputs_and_losses_are_those_of_the_attributes(tmp_path: Path) -> None:
    training = {"loss": LOSS, "metrics": None, "optimizer_config": {"class_name": "SGD", "config": {}}}
    model = read_model_file(h5(tmp_path / "m.h5", model_config=FUNCTIONAL, training_config=training, keras_version="2.15.0"))
    assert (model.keras_version, model.inputs[0].name, model.inputs[0].shape) == ("2.15.0", "wine", (None, 4))
    assert (model.outputs[0].units, model.outputs[0].activation) == (3, "softmax")
    assert model.compiled is not None
    assert model.compiled.losses[""].options["from_logits"] is True
    findings = check_labels([0, 1, 3], model=tmp_path / "m.h5")
    assert {"L103", "L403"} <= {finding.code for finding in findings}


def test_a_model_without_a_loss_has_its_head(tmp_path: Path) -> None:
    model = read_model_file(h5(tmp_path / "m.hdf5", model_config=FUNCTIONAL))
    assert (model.outputs[0].units, model.compiled) == (3, None)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "without a model; expected more than weights"), ({"model_config": "{"}, "its configuration is damaged"),
        ({"model_config": [1]}, "not a JSON object"), ({"model_config": {"class_name": "F"}}, "does not describe a Keras"),
        ({"model_config": "[" * 100_000}, "its configuration is damaged"),
        ({"model_config": FUNCTIONAL, "training_config": "3"}, "not a JSON object"),
    ],
)  # fmt: skip
def test_what_is_not_a_model_is_refused_with_what_to_do(tmp_path: Path, attributes: dict[str, Any], message: str) -> None:
    attributes = {name: value[:60_000] if isinstance(value, str) else value for name, value in attributes.items()}  # of HDF5
    with pytest.raises(BackendcheckError, match=message) as error:
        read_model_file(h5(tmp_path / "m.h5", **attributes))
    assert str(error.value).startswith(f"{tmp_path / 'm.h5'}: ")


def test_a_damaged_file_is_read_or_refused(tmp_path: Path) -> None:
    chance = random.Random(13)
    whole = h5(tmp_path / "whole.h5", model_config=FUNCTIONAL).read_bytes()
    path = tmp_path / "m.h5"
    for _ in range(8):
        content = bytearray(whole)
        for _ in range(8):
            content[chance.randrange(1500)] = chance.randrange(256)
        path.write_bytes(content)
        message = f"{path}: "
        try:
            read_model_file(path)
        except BackendcheckError as error:
            message = str(error)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message


def test_a_damaged_file_is_told_by_what_the_library_says(tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\xff" * 100)
    with pytest.raises(UnreadableInput, match=r"damaged \(Unable to .*open file") as error:
        read_model_file(tmp_path / "m.h5")
    assert "Warning" not in str(error.value)
