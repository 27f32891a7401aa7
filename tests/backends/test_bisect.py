"""`backendcheck bisect` on jax, with versions of Keras from the package index."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from front_door import backendcheck, project

from backendcheck.errors import UsageError
from backendcheck.sessions.leg_packages import install_packages
from backendcheck.vocabulary.leg_names import parse_leg

CASES = '''
"""A case that only Keras 3.15 gets right."""
import keras
import numpy as np
from backendcheck import ValueCase


def case_minor():
    """The version."""
    minor = np.array([float(keras.__version__.split(".")[1])])
    return ValueCase(lambda: {"minor": minor}, reference={"value/minor": np.array([15.0])})
'''


def test_the_first_version(tmp_path: Path) -> None:
    try:
        for version in ("3.14.0", "3.14.1"):
            install_packages(parse_leg(f"jax/keras-{version}"))
    except UsageError as error:
        pytest.skip(f"another Keras is not here: {error}")
    folder = project(tmp_path, {"since.py": CASES})
    command = ("bisect", "since.py::case_minor", "--versions", "3.14.0,3.14.1,3.15.1", "--backends", "jax", "--json")
    ended = backendcheck(*command, cwd=folder)
    assert ended.exit_code == 0, ended.words
    found = json.loads(ended.out)
    assert (found["last"], found["first"], found["appears"]) == ("3.14.1", "3.15.1", False)
    assert found["target"] == ["reference", "jax", "reference", "value/minor", "value"]
    again = backendcheck(*command, cwd=folder)
    assert (again.exit_code, again.out) == (0, ended.out)
    environment = json.loads((folder / "reports/bisect/3.14.1/jax~keras-3.14.1/environment.json").read_text(encoding="utf-8"))
    assert [run["n_recordings"] for run in environment["kept"]] == [1]
