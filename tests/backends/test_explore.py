"""`backendcheck explore` on losses of one's own: one that is wrong on one backend, and one that is sound."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from front_door import backendcheck

LOSSES = '''
import keras
from keras import ops


class Sound(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.square(ops.cast(y_true, y_pred.dtype) - y_pred), axis=-1)


class Wrong(Sound):
    """Leaves negative labels out on PyTorch."""

    def call(self, y_true, y_pred):
        y_true = ops.cast(y_true, y_pred.dtype)
        if keras.backend.backend() == "torch":
            y_true = ops.maximum(y_true, 0.0)
        return super().call(y_true, y_pred)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of one search over both losses."""
    project = tmp_path_factory.mktemp("explore")
    (project / "own_losses.py").write_text(LOSSES, encoding="utf-8")
    end = backendcheck(
        "explore", "own_losses:Wrong", "own_losses:Sound", "--out", "out", "--situations", 60, "--legs", "tensorflow,torch",
        cwd=project,
    )  # fmt: skip
    assert end.exit_code == 1, end.words
    return project / "out"


@pytest.fixture(scope="module")
def content(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    return found


def test_a_loss_that_is_wrong_on_one_backend_is_found_made_small_and_confirmed(folder: Path, content: dict[str, Any]) -> None:
    assert content["situations"] == 60
    (finding,) = [each for each in content["findings"] if each["kind"] == "value"]
    situation = finding["situation"]
    assert finding["target"] == "own_losses:Wrong"
    assert situation["label_values"] in ("negative", "minus-hundred")
    assert (situation["sample_weight"], situation["predictions"]) == ("none", "ordinary")
    assert (situation["n_examples"], situation["path"]) == (1, "call")
    assert finding["confirmed"] == 3
    assert finding["known"] is None
    script = (folder / finding["script"]).read_text(encoding="utf-8")
    assert "from own_losses import Wrong" in script
    assert "backendcheck" not in script
    assert f"def {finding['case'].partition('::')[2]}():" in (folder / "cases/explored.py").read_text(encoding="utf-8")
    assert "own_losses:Wrong" in (folder / "index.html").read_text(encoding="utf-8")


def test_a_leg_has_the_versions_of_the_other_backends_too(content: dict[str, Any]) -> None:
    assert {"keras", "tensorflow", "torch", "numpy"} <= content["environments"]["torch"]["versions"].keys()


def test_a_sound_loss_has_no_finding(content: dict[str, Any]) -> None:
    assert {finding["target"] for finding in content["findings"]} == {"own_losses:Wrong"}


def test_a_search_goes_on_with_its_legs_and_another_one_leaves_none_of_its_scripts(folder: Path, tmp_path: Path) -> None:
    """The search that goes on has nothing left to try."""
    project = folder.parent
    shutil.copytree(folder, tmp_path / "out")
    shutil.copy(project / "own_losses.py", tmp_path)
    resumed = backendcheck("explore", "--out", "out", "--resume", "--situations", 60, cwd=tmp_path)
    assert resumed.exit_code == 1, resumed.words
    assert json.loads((tmp_path / "out/findings.json").read_text(encoding="utf-8"))["legs"] == ["tensorflow", "torch"]
    assert [*(tmp_path / "out/scripts").iterdir()]
    command = ("explore", "own_losses:Sound", "--out", "out", "--overwrite", "--situations", 8, "--legs", "torch")
    assert backendcheck(*command, cwd=tmp_path).exit_code == 0
    assert not [*(tmp_path / "out/scripts").iterdir()]
