"""`backendcheck explore` on a package, on other versions of Keras, in a test, and a finding that is accepted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from front_door import backendcheck, project

from backendcheck.errors import UsageError
from backendcheck.sessions.leg_packages import install_packages
from backendcheck.vocabulary.leg_names import parse_leg

LOSSES = '''
import keras
from keras import ops


class Focal(keras.losses.Loss):
    """Leaves negative labels out on NumPy."""

    def __init__(self, gamma, **kwargs):
        super().__init__(**kwargs)
        self.gamma = gamma

    def call(self, y_true, y_pred):
        y_true = ops.cast(y_true, y_pred.dtype)
        if keras.backend.backend() == "numpy":
            y_true = ops.maximum(y_true, 0.0)
        return ops.mean(ops.square(y_true - y_pred) * self.gamma, axis=-1)


def sound(y_true, y_pred):
    return ops.mean(ops.abs(ops.cast(y_true, y_pred.dtype) - y_pred), axis=-1)


def _hidden(y_true, y_pred):
    return ops.mean(y_pred)
'''
FILES = {
    "own/__init__.py": "from own.losses import Focal\n",
    "own/losses.py": LOSSES,
    "own/broken.py": "import nothing_of_that_name\n",
    "own/__main__.py": "raise SystemExit('ran')\n",
}
FOCAL = "own.losses:Focal(gamma=2.0)"


def test_a_package_is_all_that_it_defines_and_needs_no_arguments(tmp_path: Path) -> None:
    folder = project(tmp_path, FILES)
    ended = backendcheck("explore", "own", "--legs", "jax", "--out", "out", "--situations", 40, cwd=folder)
    assert ended.exit_code == 0, ended.words
    content = json.loads((folder / "out/findings.json").read_text(encoding="utf-8"))
    assert content["targets"] == ["own.losses:sound"]
    assert any(note.startswith("own.broken cannot be imported (ModuleNotFoundError") for note in content["notes"])
    assert any("its constructor needs gamma" in note for note in content["notes"])


def test_a_finding_is_accepted_into_the_cases_of_the_project(tmp_path: Path) -> None:
    folder = project(tmp_path, FILES)
    searched = backendcheck("explore", FOCAL, "--legs", "jax,numpy", "--situations", 60, "--out", "out", cwd=folder)
    assert searched.exit_code == 1, searched.words
    content = json.loads((folder / "out/findings.json").read_text(encoding="utf-8"))
    assert content["targets"] == [FOCAL]
    finding = next(each for each in content["findings"] if each["path"] == "call")
    name = Path(finding["script"]).stem
    _refused_where_it_does_not_fail(folder, name)
    accepted = backendcheck("explore", "--out", "out", "--accept", name, "--into", "tests/cases", cwd=folder)
    assert accepted.exit_code == 0, accepted.words
    assert f"def case_{name}():" in (folder / "tests/cases/explored.py").read_text(encoding="utf-8")
    entries = (folder / "tests/cases/known_divergences.toml").read_text(encoding="utf-8")
    assert 'reason = "Found by explore: ' in entries
    ran = backendcheck("run", "tests/cases", "--backends", "jax,numpy", cwd=folder)
    assert ran.exit_code == 0, ran.words
    assert "XFAILED" in ran.words


def _refused_where_it_does_not_fail(folder: Path, name: str) -> None:
    """A loss that was repaired since then: nothing is accepted, and no folder is left."""
    source = folder / "own/losses.py"
    source.write_text(LOSSES.replace('== "numpy"', '== "none"'), encoding="utf-8")
    refused = backendcheck("explore", "--out", "out", "--accept", name, "--into", "tests/cases", cwd=folder)
    assert refused.exit_code == 2, refused.words
    assert "does not fail as a case of its own" in refused.words
    assert not (folder / "tests").exists()
    source.write_text(LOSSES, encoding="utf-8")


def test_two_versions_of_keras_are_two_legs(tmp_path: Path) -> None:
    try:
        install_packages(parse_leg("jax/keras-3.14.1"))
    except UsageError as error:
        pytest.skip(f"Keras 3.14.1 is not here: {error}")
    legs = "jax/keras-3.14.1,jax+eager"
    command = ("explore", "keras.metrics.MeanIoU", "--legs", legs, "--out", "out", "--situations", 48)
    ended = backendcheck(*command, cwd=tmp_path)
    assert ended.exit_code in (0, 1), ended.words
    content = json.loads((tmp_path / "out/findings.json").read_text(encoding="utf-8"))
    assert content["legs"] == legs.split(",")
    assert content["environments"]["jax/keras-3.14.1"]["versions"]["keras"] == "3.14.1"
    assert content["environments"]["jax+eager"]["versions"]["keras"] != "3.14.1"


def test_a_leg_that_is_none_is_refused(tmp_path: Path) -> None:
    ended = backendcheck("explore", "--legs", "jax+quick", "--out", "out", cwd=tmp_path)
    assert ended.exit_code == 2
    assert "'quick' is not a mode" in ended.words
