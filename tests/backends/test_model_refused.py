"""`backendcheck model`: from a saved model and data to a report, in one command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from front_door import Ended, backendcheck, project
from iris_model import folder

__all__ = ["folder"]

# --- what is refused, before anything starts -------------------------------------------------------------------


def refused(folder: Path, *arguments: object) -> str:
    ended: Ended = backendcheck("model", *arguments, cwd=folder)
    assert ended.exit_code == 2, ended.words
    assert ended.out == ""
    return ended.err


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    project(tmp_path, {"m.keras": "no zip", "d.csv": "a,label\n1,fox\n", "names.json": "{", "own.py": "def build(): pass"})
    np.savez(tmp_path / "d.npz", x=np.ones((2, 2)), y=[0, 1])
    np.savez(tmp_path / "unlabeled.npz", x=np.ones((2, 2)))
    assert "m.keras: damaged, or not a .keras file" in refused(tmp_path, "m.keras", "--data", "d.npz")
    assert "n.keras: no such file" in refused(tmp_path, "n.keras", "--data", "d.npz")
    assert "Missing option '--data'" in refused(tmp_path, "m.keras")
    build = ("own:build", "--data")
    assert "nothing.npz: file or directory not found" in refused(tmp_path, *build, "nothing.npz")
    assert "loss: needs labels; expected y beside x" in refused(tmp_path, *build, "unlabeled.npz", "--loss", "mse")
    assert "d.npz: --label-column is only for tables" in refused(tmp_path, *build, "d.npz", "--label-column", "y")
    assert "loss='foo': unknown loss" in refused(tmp_path, *build, "d.npz", "--loss", "foo")
    assert "options of a loss need a case file" in refused(tmp_path, *build, "d.npz", "--loss", "huber(delta=2)")
    assert "'foo'" in refused(tmp_path, *build, "d.npz", "--backends", "jax,foo")
    text = refused(tmp_path, *build, "d.csv", "--label-column", "label")
    assert "text labels, such as 'fox'" in text
    assert "Give --class-names" in text
    named = (*build, "d.csv", "--label-column", "label", "--class-names")
    assert "unknown labels 'fox'; expected one of 'cat', 'dog'" in refused(tmp_path, *named, "cat,dog")
    assert "names.json: invalid JSON" in refused(tmp_path, *named, "names.json")
    assert "names.txt: cannot be read" in refused(tmp_path, *named, "names.txt")
    assert "invalid number of examples 'few'" in refused(tmp_path, *build, "d.npz", "--examples", "few")
    assert "module 'no_module_of_this_name' not found" in refused(tmp_path, "no_module_of_this_name:f", "--data", "d.npz")
    assert "no such file; expected the weights" in refused(tmp_path, *build, "d.npz", "--weights", "w.weights.h5")
