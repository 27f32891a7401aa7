"""`backendcheck upgrade` on jax, with a Keras from the package index."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import shutil
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


def test_upgrade_to_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    spec = importlib.util.find_spec("keras")
    assert spec is not None
    assert spec.origin is not None
    folder = project(tmp_path, {"small.py": CASES, "pyproject.toml": '[tool.backendcheck.packages]\nkeras-git = "checkout"\n'})
    copied = folder / "checkout" / "keras"
    shutil.copytree(Path(spec.origin).parent, copied, ignore=shutil.ignore_patterns("__pycache__"))
    version = copied / "src" / "version.py"
    version.write_text(re.sub(r'(?<=__version__ = ").*(?=")', "3.99.0", version.read_text(encoding="utf-8")), encoding="utf-8")
    installed = importlib.metadata.version("keras")
    ends = ("--from", f"keras=={installed}", "--to", "keras-git")
    command = ("upgrade", *ends, "small.py", "--backends", "jax", "-k", "version or loss")
    ended = backendcheck(*command, cwd=folder)
    assert ended.exit_code == 1, ended.words
    found = json.loads((folder / "reports" / "upgrade" / "upgrade.json").read_text(encoding="utf-8"))
    assert [change["case"] for change in found["changes"]] == ["small/version"]
    before, after = found["backends"]["jax"]
    assert (before, after.startswith("jax/keras-git.")) == ("jax", True)
    assert found["environments"][after]["keras"] == "3.99.0"
    again = backendcheck(*command, "--overwrite", cwd=folder)
    assert (again.exit_code, again.out) == (1, ended.out)
