"""`backendcheck certify` on NumPy against JAX: the table, the file, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

from front_door import backendcheck, project

CASES = {
    "cases/losses/own.py": '''
        """A loss of one's own."""
        import keras
        from keras import ops
        from backendcheck import LossCase


        def wrong_on_numpy(y_true, y_pred):
            error = ops.mean(ops.square(y_true - y_pred), axis=-1)
            return error * 2 if keras.backend.backend() == "numpy" else error


        def case_fine():
            """Agrees."""
            return LossCase("mse", [[1.0]], [[0.5]])


        def case_differs():
            """Does not."""
            return LossCase(wrong_on_numpy, [[1.0]], [[0.5]])
        ''',
    "cases/kernels/own.py": '''
        """What NumPy does not have."""
        import keras
        import numpy as np
        from keras.src import backend


        def case_lstm():
            """A recurrent kernel, called by itself."""
            if keras.backend.backend() == "numpy":
                backend.lstm()
            return {"one": np.ones(1)}
        ''',
}


def test_what_numpy_can_do(tmp_path: Path) -> None:
    folder = project(tmp_path, CASES)
    ended = backendcheck("certify", "numpy", "cases", "--against", "jax", "--out", "certified", "-q", cwd=folder)
    assert ended.exit_code == 0, ended.words
    table = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert "topic cases accepts differs not supported" in table
    assert "kernels 1 1" in table
    assert "losses 2 1 1" in table
    assert "every case has an outcome on numpy" in ended.out
    content = json.loads((folder / "certified" / "capabilities.json").read_text(encoding="utf-8"))
    topics = {topic["name"]: topic["legs"]["numpy"] for topic in content["topics"]}
    assert topics == {"kernels": {"not supported": 1}, "losses": {"accepts": 1, "differs": 1}}
    assert (folder / "certified" / "index.html").exists()


def test_what_cannot_be_certified_is_refused(tmp_path: Path) -> None:
    folder = project(tmp_path, CASES)
    ended = backendcheck("certify", "numpy", "cases", "--against", "numpy", cwd=folder)
    assert (ended.exit_code, "one leg to compare it with" in ended.err) == (2, True), ended.words
