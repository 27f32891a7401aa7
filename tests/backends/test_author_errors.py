"""Errors of a case's author, recorded on two backends: told with their line, and apart from what Keras refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from front_door import backendcheck, line_of, project

CASES = """
import helpers
import keras
import numpy as np
import pytest

from backendcheck import LossCase, ModelCase


@pytest.fixture
def broken():
    return helpers.nothing


def case_misspelled():
    return LossCase(keras.losses.CategoricalCrossentropi(), [[0.0, 1.0]], [[0.3, 0.7]])


def case_wrong_argument():
    return LossCase(keras.losses.CategoricalCrossentropy(from_logit=True), [[0.0, 1.0]], [[0.3, 0.7]])


def case_in_a_module_of_the_project():
    return LossCase(helpers.loss, [[0.0, 1.0]], [[0.3, 0.7]])


class Doubled(keras.layers.Layer):
    def call(self, x):
        return keras.ops.dubble(x)


def _model(*layers):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), *layers])


def case_in_a_layer(rng):
    return ModelCase(_model(Doubled()), "mse", rng.normal(size=(3, 4)), np.zeros((3, 2)))


def metric(y_true, y_pred):
    return keras.ops.mean(y_true.missing)


def case_in_a_metric_through_evaluate(rng):
    return ModelCase(_model(), "mse", rng.normal(size=(3, 4)), np.zeros((3, 2)), metrics=[metric])


def case_refused_by_keras(rng):
    return ModelCase(_model(), "categorical_crossentropy", rng.normal(size=(3, 4)), np.zeros((3, 5)))


def case_refused_where_the_case_builds():
    return {"a": keras.layers.Dense(-2)(np.zeros((3, 4)))}


def case_only_on_jax():
    if keras.backend.backend() == "jax":
        raise ValueError("not here")
    return {"a": np.zeros(2)}


def case_with_a_broken_fixture(broken):
    return {"a": np.zeros(2)}
"""
HELPERS = """
def loss(y_true, y_pred):
    return undefined_name * y_pred
"""
AT = {
    "misspelled": ("own.py", "    return LossCase(keras.losses.CategoricalCrossentropi", "AttributeError"),
    "wrong_argument": ("own.py", "    return LossCase(keras.losses.CategoricalCrossentropy(from_logit", "TypeError"),
    "in_a_module_of_the_project": ("helpers.py", "    return undefined_name", "NameError"),
    "in_a_layer": ("own.py", "        return keras.ops.dubble", "AttributeError"),
    "in_a_metric_through_evaluate": ("own.py", "    return keras.ops.mean(y_true.missing)", "AttributeError"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = project(tmp_path_factory.mktemp("author"), {"own.py": CASES, "helpers.py": HELPERS})
    ended = backendcheck("run", "own.py", "--backends", "jax,torch", "--out", "out", cwd=folder)
    assert ended.exit_code == 3, ended.words
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Any]:
    report = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    return {result["case"].removeprefix("own/"): result for result in report["results"]}


@pytest.mark.parametrize("case", AT)
def test_a_mistake_of_the_author_is_an_error_with_its_line(results: dict[str, Any], case: str) -> None:
    file, source, kind = AT[case]
    line = line_of({"own.py": CASES, "helpers.py": HELPERS}[file], source)
    assert results[case]["verdict"] == "ERROR"
    assert results[case]["headline"].startswith(f"ERROR: your case raises at {file}:{line}: {kind}: ")
    for leg in ("jax", "torch"):
        error = results[case]["raised"][leg][0]
        assert error["by_author"]
        assert error["frame"]["source"].startswith(source.strip())
        assert f'File "{file}", line {line}' in error["traceback"]
        assert "backendcheck/record" not in error["traceback"]


@pytest.mark.parametrize("case", ["refused_by_keras", "refused_where_the_case_builds"])
def test_what_keras_refuses_everywhere_is_told_as_such(results: dict[str, Any], case: str) -> None:
    assert results[case]["verdict"] == "FAILED"
    assert results[case]["headline"].startswith("RAISED: every backend refuses this: ValueError: ")
    assert [diagnosis["code"] for diagnosis in results[case]["diagnoses"]] == ["refused-everywhere"]
    for leg in ("jax", "torch"):
        assert not results[case]["raised"][leg][0].get("by_author")
        assert "site-packages/keras/src" in results[case]["raised"][leg][0]["traceback"]


def test_what_one_backend_alone_raises_is_a_difference(results: dict[str, Any]) -> None:
    assert results["only_on_jax"]["verdict"] == "FAILED"
    assert results["only_on_jax"]["headline"].startswith("RAISED: jax raises ValueError: not here; torch returns ")


def test_a_fixture_that_raises_is_told_with_its_line(folder: Path, results: dict[str, Any]) -> None:
    result = results["with_a_broken_fixture"]
    assert result["verdict"] == "ERROR"
    assert result["failures"]["jax"]["frame"]["source"] == "return helpers.nothing"
    shown = backendcheck("show", "own/with_a_broken_fixture", "--run", "out", cwd=folder).out
    assert "\n  >         return helpers.nothing\n" in shown
