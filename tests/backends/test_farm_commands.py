"""The commands that record legs of their own, on a farm: what they say is what they say without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from front_door import backendcheck, project

from backendcheck.errors import UsageError
from backendcheck.sessions.leg_packages import install_packages
from backendcheck.vocabulary.leg_names import parse_leg

pytestmark = pytest.mark.backends
FARM = ("--farm", "local:2")
CASES = '''
"""Cases on two versions."""
import keras
import numpy as np
from backendcheck import LossCase, ValueCase


def case_loss():
    """The same in both."""
    return LossCase("binary_crossentropy", [[1.0], [0.0]], [[0.3], [0.9]])


def case_minor():
    """The version."""
    minor = np.array([float(keras.__version__.split(".")[1])])
    return ValueCase(lambda: {"minor": minor}, reference={"value/minor": np.array([15.0])})
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project, where another Keras is at hand."""
    try:
        install_packages(parse_leg("numpy/keras-3.14.1"))
    except UsageError as error:
        pytest.skip(f"Keras 3.14.1 is not here: {error}")
    return project(tmp_path, {"since.py": CASES})


def upgraded(folder: Path, out: str, *options: str) -> tuple[int, dict[str, Any]]:
    command = ("upgrade", "--from", "keras==3.14.1", "since.py", "--backends", "numpy", "--out", out)
    ended = backendcheck(*command, *options, cwd=folder)
    return ended.exit_code, json.loads((folder / out / "upgrade.json").read_text(encoding="utf-8"))


def test_an_upgrade_on_a_farm_says_what_it_says_here(folder: Path) -> None:
    here, farm = upgraded(folder, "one"), upgraded(folder, "farm", *FARM)
    assert farm == here
    assert farm[0] == 1
    again = json.loads((folder / "farm" / "again" / "numpy" / "environment.json").read_text(encoding="utf-8"))
    assert again["cases"] == ["since/minor"]  # the change was recorded a second time, and there too
    assert again["pieces"]


def test_a_bisection_on_a_farm_finds_what_it_finds_here(folder: Path) -> None:
    command = ("bisect", "since.py::case_minor", "--versions", "3.14.1,3.15.1", "--backends", "numpy", "--json")
    here = backendcheck(*command, "--out", "one", cwd=folder)
    farm = backendcheck(*command, "--out", "farm", *FARM, cwd=folder)
    assert (farm.exit_code, farm.out) == (0, here.out), farm.words
    assert json.loads(farm.out)["first"] == "3.15.1"
    refused = backendcheck("bisect", "since.py::case_minor", "--git", ".", "--good", "HEAD", *FARM, cwd=folder)
    assert refused.exit_code == 2
    assert "--farm: does not go with --git" in refused.err


def test_a_self_test_on_a_farm_judges_the_same_recordings(tmp_path: Path) -> None:
    command = ("selftest", "--legs", "numpy,jax", "--backend", "jax", "--faults", "one-hot-one-on")
    here = backendcheck(*command, "--out", "one", cwd=tmp_path)
    farm = backendcheck(*command, "--out", "farm", *FARM, "--farm-chunk", "0.5", cwd=tmp_path)
    assert (farm.exit_code, farm.out) == (here.exit_code, here.out), farm.words
    assert "detected 2 of 2" in farm.out

    def recordings(out: str) -> list[str]:
        return sorted(path.relative_to(tmp_path / out).as_posix() for path in (tmp_path / out).rglob("*.safetensors"))

    assert recordings("farm") == recordings("one")
    environment = json.loads((tmp_path / "farm" / "jax" / "environment.json").read_text(encoding="utf-8"))
    assert len(environment["pieces"]) > 1
