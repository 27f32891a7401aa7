"""`backendcheck upgrade` on jax, with a Keras from the package index."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from front_door import backendcheck, project

from backendcheck.errors import UsageError
from backendcheck.sessions.leg_packages import install_packages
from backendcheck.vocabulary.leg_names import parse_leg

CASES = '''
"""Cases on two versions."""
import time
import keras
import numpy as np
from backendcheck import LossCase


def case_unique():
    """New in Keras 3.15."""
    return {"u": keras.ops.unique(keras.ops.array([2.0, 1.0, 2.0]))}


def case_loss():
    """The same in both."""
    return LossCase("binary_crossentropy", [[1.0], [0.0]], [[0.3], [0.9]])


def case_version():
    """Another text and another number."""
    return {"text": keras.__version__, "minor": np.array([int(keras.__version__.split(".")[1])])}


def case_clock():
    """Another number each time."""
    return {"now": np.array([time.time() % 1])}


def case_random():
    """Random numbers of Keras."""
    return {"drawn": keras.random.normal((3,))}
'''


def test_upgrade_of_keras(tmp_path: Path) -> None:
    try:
        install_packages(parse_leg("jax/keras-3.14.1"))
    except UsageError as error:
        pytest.skip(f"Keras 3.14.1 is not here: {error}")
    folder = project(tmp_path, {"small.py": CASES})
    command = ("upgrade", "--from", "keras==3.14.1", "small.py", "--backends", "jax", "--out", "out")
    ended = backendcheck(*command, cwd=folder)
    assert ended.exit_code == 1, ended.words
    found = json.loads((folder / "out" / "upgrade.json").read_text(encoding="utf-8"))
    assert {change["case"]: change["what"] for change in found["changes"]} == {
        "small/unique": "exception gone", "small/version": "other value"
    }  # fmt: skip
    assert {row["case"] for row in found["not_compared"]} == {"small/clock", "small/random"}
    assert not found["not_comparable"]
    assert "EXCEPTION GONE: 1 case" in ended.out
    assert "small/unique" in (folder / "out" / "changes" / "jax" / "index.html").read_text(encoding="utf-8")
