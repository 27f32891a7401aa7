"""Legs with a name of their own in pyproject.toml: what they are, and what is wrong with a table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backendcheck.config import load_configuration
from backendcheck.errors import UsageError
from backendcheck.sessions.request import RecordingRequest
from backendcheck.vocabulary.backends import JAX
from backendcheck.vocabulary.interpreters import RECORDER
from backendcheck.vocabulary.leg_names import backend_in, parse_leg, parts_of

TABLES = f"""
[tool.backendcheck]
backends = ["jax", "fast"]

[tool.backendcheck.legs.fast]
backend = "jax+eager"
packages = ["keras==3.14.1"]
env = {{XLA_FLAGS = "--fast"}}

[tool.backendcheck.legs.own]
backend = "numpy"
python = "{sys.executable}"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_named_leg_has_the_parts_of_its_table(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(TABLES, encoding="utf-8")
    leg = parse_leg("fast")
    assert (leg.value, leg.folder, leg.parts, leg.backend) == ("fast", "fast", "jax+eager/keras-3.14.1", JAX)
    assert (leg.env, leg.keras_version()) == ((("XLA_FLAGS", "--fast"),), "3.14.1")
    assert (backend_in("fast"), backend_in("fast#2"), parts_of("fast").mode) == ("jax", "jax", "eager")
    assert load_configuration(folder).backends == ("jax", "fast")


def test_a_request_says_all_of_a_named_leg(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(TABLES, encoding="utf-8")
    request = RecordingRequest(backend=parse_leg("fast"), out=folder)
    text = request.to_json()
    (folder / "pyproject.toml").unlink()
    assert RecordingRequest.from_json(text).backend == request.backend


def test_what_an_interpreter_has_is_asked_of_it(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(TABLES, encoding="utf-8")
    leg = parse_leg("own")
    assert (leg.missing_modules(), leg.missing_in_words()) == ([], "")
    assert leg.keras_version() == parse_leg("numpy").keras_version()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('backend = "jaxx"', r"jaxx.*not a backend"),
        ('python = "bin/python"', r"legs.bad\] backend = ''; expected a backend"),
        ('backend = "jax"\npackages = ["keras"]', r"packages = \['keras'\]; expected exact versions"),
        ('backend = "jax"\nenv = {A = 1}', r"env = \{'A': 1\}; expected variables"),
        ('backend = "jax"\ndevice = "cpu"', r"expected some of backend, python, packages, env"),
        ('backend = "jax"\npython = "no/python"', r"no/python does not run .*Correct python in \[tool.backendcheck.legs.bad\]"),
    ],
)
def test_what_is_wrong_with_a_table(folder: Path, table: str, message: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.backendcheck.legs.bad]\n{table}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        parse_leg("bad")


def test_what_records_is_a_dependency_of_this_package() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = text.partition("dependencies = [")[2].partition("]")[0]
    assert all(f'"{package}>=' in dependencies for package in RECORDER.values())
