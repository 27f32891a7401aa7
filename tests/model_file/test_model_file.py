"""What the file of a model says of itself, read without keras."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from front_door import backendcheck

from backendcheck.check import check_model
from backendcheck.errors import BackendcheckError, UnreadableInput, UsageError
from backendcheck.model_file import DeclaredLoss, declared_loss, read_model_file

# --- losses by name --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("mse", "mean_squared_error"),
        ("MSE", "mean_squared_error"),
        ("BinaryCrossentropy", "binary_crossentropy"),
        ("KLDivergence", "kl_divergence"),
        ("kld", "kl_divergence"),
        ("CTC", "ctc"),
        ("LogCosh", "log_cosh"),
        ("sparse_categorical_crossentropy", "sparse_categorical_crossentropy"),
        ("CategoricalGeneralizedCrossEntropy", "categorical_generalized_cross_entropy"),
    ],
)
def test_a_loss_has_one_name(given: str, name: str) -> None:
    assert declared_loss(given) == DeclaredLoss(name=name)


def test_what_is_not_of_keras_is_custom() -> None:
    assert declared_loss("my_loss").custom
    assert declared_loss({"module": "mine", "class_name": "Dice", "config": {}, "registered_name": "mine>Dice"}).custom
    wrapped = {"module": "keras.losses", "class_name": "LossFunctionWrapper", "registered_name": None}
    function = {"module": "builtins", "class_name": "function", "config": "mine", "registered_name": "function"}
    assert declared_loss(wrapped | {"config": {"fn": function}}) == DeclaredLoss(name="mine", custom=True)
    with pytest.raises(UsageError, match="invalid loss"):
        declared_loss(3)


# --- whatever else is called .keras ----------------------------------------------------------------------------


def archive(folder: Path, **members: Any) -> Path:
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.json", content if isinstance(content, str) else json.dumps(content))
    return path


INPUT = {"module": "keras.layers", "class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 1]}}
PLAIN = {"module": "keras", "class_name": "Sequential", "config": {"layers": [INPUT]}}
OWN = {"module": None, "class_name": "Own", "registered_name": "mine>Own", "config": {"name": "own"}}


@pytest.mark.parametrize(
    ("config", "lacks"),
    [
        (PLAIN, True), (PLAIN | {"compile_config": {"optimizer": "adam", "loss": None}}, True),
        (PLAIN | {"compile_config": {"optimizer": "adam", "loss": "mse"}}, False),
        (PLAIN | {"compile_config": {"loss": {"another": "mse", "output": "mse"}}}, False),  # fits no output; Keras says so
        (OWN, False), (OWN | {"compile_config": {"optimizer": "adam", "loss": None}}, False),  # it may have its own
        (PLAIN | {"config": {"layers": [INPUT, OWN]}}, False),  # a layer of the user's may add a loss
    ],
)  # fmt: skip
def test_a_model_certainly_lacks_a_loss_if_none_is_compiled_and_no_class_is_the_users(
    tmp_path: Path, config: Any, *, lacks: bool
) -> None:
    assert read_model_file(archive(tmp_path, config=config)).lacks_loss is lacks


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({}, "not a .keras file; expected config.json inside"),
        ({"config": "{"}, "config.json is damaged"),
        ({"config": "[1]"}, "config.json is not a JSON object"),
        ({"config": {}}, "config.json does not describe a Keras model"),
        ({"config": {"class_name": "Sequential", "config": {"layers": []}}}, "config.json does not describe a Keras model"),
        (
            {"config": {"class_name": "Functional", "config": {"layers": 3, "output_layers": []}}},
            "does not describe a Keras model",
        ),
        ({"config": "[" * 100_000}, "config.json is damaged"),
        ({"config": " " * 70_000_000}, "unpacks to 70000000 bytes; expected at most 64000000"),
    ],
    ids=["empty", "cut", "list", "nothing", "no layers", "rubbish", "deep", "bomb"],
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, members: Any, said: str) -> None:
    path = archive(tmp_path, **members)
    with pytest.raises(UnreadableInput) as error:
        read_model_file(path)
    assert str(error.value).startswith(str(path))
    assert said in str(error.value)


def test_what_is_no_model_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(b"no zip")
    (tmp_path / "m.h5").write_bytes(b"")
    for name, said in (("m.keras", "damaged, or not a .keras file"), ("m.h5", "older format"), ("n.keras", "file not found")):
        with pytest.raises(BackendcheckError, match=said):
            read_model_file(tmp_path / name)


# --- lambdas, which Keras's safe mode does not load ------------------------------------------------------------------

LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wE=", "defaults": None, "closure": None}}
LAYER = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "scale", "function": LAMBDA}}
NAMED = {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"}


def of_layers(*layers: Any, **more: Any) -> dict[str, Any]:
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [INPUT, *layers]}, **more}


@pytest.mark.parametrize(
    ("config", "where"),
    [
        (of_layers(LAYER), ("the layer scale",)),
        (of_layers(of_layers(LAYER)), ("the layer scale",)),
        (of_layers(compile_config={"loss": LAMBDA, "metrics": [LAMBDA]}), ("compile(), as loss or metric",)),
        (of_layers(LAYER | {"config": {"name": "scale", "function": NAMED}}), ()),
        (of_layers(OWN | {"config": {"name": "own", "function": LAMBDA}}), ()),  # its own class may load it in its own way
        (of_layers(), ()),
    ],
)
def test_a_lambda_that_safe_mode_does_not_load_is_found_before_anything_starts(
    tmp_path: Path, config: dict[str, Any], where: tuple[str, ...]
) -> None:
    path = archive(tmp_path, config=config)
    assert read_model_file(path).lambdas == where
    if where:
        with pytest.raises(UsageError, match=r"m\.keras: not loaded by Keras's safe mode, because of a Python lambda in"):
            check_model(path, [[1.0]])
        np.savez(tmp_path / "d.npz", x=np.ones((2, 1), np.float32))
        ended = backendcheck("model", "m.keras", "--data", "d.npz", cwd=tmp_path)
        assert (ended.exit_code, ended.out) == (2, "")
        assert "safe_mode=False" in ended.err
        assert not (tmp_path / "reports").exists()
