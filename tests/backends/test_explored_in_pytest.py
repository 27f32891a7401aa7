"""The fixture `backends_explored` in a test suite of a user."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from front_door import project, variables

FILES = {
    "mylib.py": """
        import keras
        from keras import ops

        def sound(y_true, y_pred):
            return ops.mean(ops.abs(ops.cast(y_true, y_pred.dtype) - y_pred), axis=-1)

        def wrong(y_true, y_pred):
            y_true = ops.cast(y_true, y_pred.dtype)
            return sound(ops.maximum(y_true, 0.0) if keras.backend.backend() == "numpy" else y_true, y_pred)
    """,
    "test_mylib.py": """
        def test_sound(backends_explored):
            assert backends_explored("mylib:sound", situations=40, seconds=600)["situations"] == 40

        def test_wrong(backends_explored):
            backends_explored("mylib:wrong", situations=60, seconds=600)

        def test_nothing(backends_explored):
            backends_explored("mylib:nothing")
    """,
    "pyproject.toml": """
        [tool.backendcheck]
        backends = ["jax", "numpy"]
    """,
}


def test_a_new_finding_fails_the_test_and_names_its_script(tmp_path: Path) -> None:
    folder = project(tmp_path, FILES)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        command, cwd=folder, env=variables({"PYTHONPATH": str(folder)}), capture_output=True, encoding="utf-8", check=False
    )
    assert "1 passed" in ended.stdout, ended.stdout
    assert "2 failed" in ended.stdout
    assert "mylib:wrong: " in ended.stdout
    assert " new finding" in ended.stdout
    assert "module 'mylib' has no attribute 'nothing'" in ended.stdout
    out = folder / "reports/pytest-explored"
    assert [path.name for path in sorted(out.iterdir())][-2:] == ["test_mylib.py-test_sound", "test_mylib.py-test_wrong"]
    script = next((out / "test_mylib.py-test_wrong/scripts").iterdir())
    assert str(script) in ended.stdout
