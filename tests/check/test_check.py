"""`check_model` and `check_function`: from Python, on real backends, without touching the backend of the process that asks."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from front_door import project

from backendcheck.check import check_function, check_model
from backendcheck.errors import UsageError

QUIETLY = {"progress": False}


# --- functions -------------------------------------------------------------------------------------------------


def test_a_function_and_its_arrays_are_looked_at_before_anything_starts() -> None:
    with pytest.raises(TypeError, match="function is int; expected a function"):
        check_function(3, [1.0])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected one of them"):
        check_function(abs, [1.0], inputs={"x": [1.0]})
    with pytest.raises(UsageError, match=r"input_0: holds objects \(NoneType, int\); expected numbers, bools or text"):
        check_function(abs, [1, None])
    with pytest.raises(UsageError, match="backend 'theano': not a backend"):
        check_function(abs, [1.0], backends=["theano"])


def test_what_cannot_travel_is_named(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:

        def writes(x: Any) -> Any:
            file.write("no")
            return x

        with pytest.raises(UsageError, match="function: this function cannot be sent to the processes of the backends"):
            check_function(writes, [1.0], **QUIETLY)


# --- models ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("nowhere.keras", "nowhere.keras: no such file; expected a .keras file, or a function that builds the model"),
        ("folder", "folder: is a directory; expected a .keras file"),
        ("m.weights.h5", "m.weights.h5: holds weights without their model"),
        ("m.txt", "m.txt: not a model file"),
        ("no_such_module_at_all:build", "module 'no_such_module_at_all' not found"),
        ("m.keras:build", "module 'm' not found"),
        (3, "model: is int; expected a .keras file"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Any, said: str) -> None:
    project(tmp_path, {"m.weights.h5": "", "m.txt": "", "folder/x": ""})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refused:
        check_model(model, [[1.0]], [1.0])
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "x is None"),
        ({"x": []}, "x: holds no examples"),
        ({"x": [[1.0], [2.0]], "y": [1, 2, 3]}, "y: has 3 examples, x has 2; expected the same number"),
        ({"x": {"a": [1.0], "b": [1.0, 2.0]}, "y": [1]}, "x['b']: has 2 examples, x['a'] has 1"),
        ({"x": [[1.0]], "y": [1], "examples": 0}, "examples=0: expected a whole number, 1 or more"),
        ({"x": [[1.0], [1.0, 2.0]], "y": [1, 2]}, "x: not an array"),
        ({"x": [[1.0]], "y": [1], "imports": ["no such"]}, "--import 'no such': invalid module"),
        ({"x": (row for row in [[1.0]])}, "x: a generator can be read only once"),
    ],
)
def test_what_is_no_data_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_model("m.keras", **arguments)
    assert said in str(refused.value)


def test_labels_that_are_text_need_the_names_of_classes(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(b"")
    with pytest.raises(UsageError, match=r"y: text labels, such as 'a', without class names; .* Give class_names"):
        check_model(tmp_path / "m.keras", [[1.0]], ["a"])
    with pytest.raises(UsageError, match="y: unknown labels 'a'; expected one of 'b', 'c'"):
        check_model(tmp_path / "m.keras", [[1.0]], ["a"], class_names=["b", "c"])


def test_labels_for_a_model_without_a_loss_are_refused_before_anything_starts(tmp_path: Path) -> None:
    layer = {"module": "keras.layers", "class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 1]}}
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}, "compile_config": {"loss": None}}
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as file:
        file.writestr("config.json", json.dumps(config))
    with pytest.raises(UsageError, match=r"m\.keras: has no loss, but there are labels \(y\)\. Pass loss, or leave"):
        check_model(tmp_path / "m.keras", [[1.0]], [1.0])


def test_what_is_asked_of_labels_needs_labels(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(b"")
    for asked in ({"loss": "mse"}, {"metrics": ["mae"]}, {"class_weight": {0: 2.0}}, {"sample_weight": [1.0]}):
        (name,) = asked
        with pytest.raises(UsageError, match=f"^{name}: needs labels; expected y beside x"):
            check_model(tmp_path / "m.keras", [[1.0]], **asked)  # type: ignore[arg-type]


# --- in a notebook ---------------------------------------------------------------------------------------------
