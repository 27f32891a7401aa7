"""`backendcheck bisect` on jax, with versions of Keras from the package index."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
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


def test_the_first_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    spec = importlib.util.find_spec("keras")
    assert spec is not None
    assert spec.origin is not None
    folder = project(tmp_path, {"since.py": CASES})
    (checkout := tmp_path / "checkout").mkdir()
    shutil.copytree(Path(spec.origin).parent, checkout / "keras", ignore=shutil.ignore_patterns("__pycache__"))

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(checkout), "-c", "user.name=x", "-c", "user.email=x@y.org", "-c", "commit.gpgsign=false"]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    git("init", "--quiet")
    source = checkout / "keras" / "src" / "version.py"
    text = source.read_text(encoding="utf-8")
    names = []
    for version in ("3.14.8", "3.14.9", "3.15.9"):
        source.write_text(re.sub(r'(?<=__version__ = ").*(?=")', version, text), encoding="utf-8")
        git("add", ".")
        git("commit", "--quiet", "-m", f"Version {version}")
        names.append(git("rev-parse", "HEAD")[:12])
    command = ("bisect", "since.py::case_minor", "--git", checkout, "--good", names[0], "--backends", "jax", "--timeout", "300")
    ended = backendcheck(*command, cwd=folder)
    assert ended.exit_code == 0, ended.words
    assert f"disappears in keras commit {names[2]} of " in ended.out
    assert f"keras commit {names[1]} is the last one before\n  Version 3.15.9\n3 of 3 commits judged" in ended.out
