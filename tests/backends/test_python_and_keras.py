"""Python and Keras as the user has them: versions, settings, seeds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from front_door import backendcheck, project, record


def test_sitecustomize_and_keras_json_are_in_force_and_keras_backend_wins(tmp_path: Path) -> None:
    files = {
        "cases.py": """
            import keras, os
            def case_seen(): return {"v": [os.environ["SEEN"], keras.backend.backend(), keras.config.floatx()]}
        """,
        "site/sitecustomize.py": "import os\nos.environ['SEEN'] = 'sitecustomize'\n",
        "home/.keras/keras.json": """
            {"floatx": "float64", "epsilon": 1e-06, "backend": "torch", "image_data_format": "channels_first"}
        """,
    }
    folder = project(tmp_path, files)
    env = {"PYTHONPATH": str(folder / "site"), "HOME": str(folder / "home"), "JAX_COMPILATION_CACHE_DIR": str(folder / "cache")}
    session = record(folder, "cases.py", env=env)
    assert session.value("cases/seen") == ["sitecustomize", "jax", "float64"]
    settings = {"floatx": "float64", "epsilon": "1e-06", "image_data_format": "channels_first", "dtype_policy": "float64"}
    assert session.recordings["cases/seen"].settings == session.environment.settings == settings


@pytest.mark.parametrize("version", ["3.5.0", "3.8.0", "3.13.0"])
def test_an_older_keras_in_front_on_the_path_is_the_one_recorded(tmp_path: Path, version: str) -> None:
    """How history is replayed. BACKENDCHECK_OLD_KERAS may name a folder with k3.5.0 and so on; otherwise pip fetches them."""
    older = Path(os.environ.get("BACKENDCHECK_OLD_KERAS", tmp_path)) / f"k{version}"
    if not older.is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(older), f"keras=={version}"]
        if subprocess.run(pip, check=False, capture_output=True).returncode != 0:
            pytest.skip(f"Keras {version} cannot be fetched here")
    cases = """
        import keras
        from backendcheck import LossCase
        def case_seen(): return {"v": keras.__version__}
        def case_loss(): return LossCase("mean_squared_error", [[0.0, 1.0]], [[0.2, 0.8]])
    """
    conftest = "import jax\njax.spmd_mode = lambda *_: __import__('contextlib').nullcontext()\n"
    session = record(project(tmp_path, {"cases.py": cases, "conftest.py": conftest}), "cases.py", env={"PYTHONPATH": str(older)})
    assert session.statuses == {"cases/seen": "recorded", "cases/loss": "recorded"}, session.ended.words
    assert session.value("cases/seen") == session.environment.versions["keras"] == version


def test_settings_of_a_conftest_and_of_a_fixture_are_in_force(tmp_path: Path) -> None:
    conftest = """
        import keras
        import pytest
        keras.config.set_dtype_policy("mixed_bfloat16")
        keras.config.disable_flash_attention()

        @pytest.fixture
        def float64():
            keras.config.set_dtype_policy("float64")
            yield
            keras.config.set_dtype_policy("mixed_bfloat16")
    """
    cases = """
        import keras
        def case_a(): return {"v": keras.config.dtype_policy().name}
        def case_b(float64): return {"v": keras.config.dtype_policy().name}
        def case_c(): return {"v": keras.config.dtype_policy().name}
        def case_d(): return {"v": str(keras.config.is_flash_attention_enabled())}
    """
    session = record(project(tmp_path, {"cases.py": cases, "conftest.py": conftest}), "cases.py")
    seen = {case: (session.value(case), one.settings["dtype_policy"]) for case, one in session.recordings.items()}
    mixed, double = ("mixed_bfloat16",) * 2, ("float64",) * 2
    assert seen == {"cases/a": mixed, "cases/b": double, "cases/c": mixed, "cases/d": ("False", "mixed_bfloat16")}


def test_tensorflow_is_not_imported_for_another_backend_and_is_seeded_if_a_case_imports_it(tmp_path: Path) -> None:
    cases = """
        import sys
        import pytest

        def case_a(): return {"v": "tensorflow" in sys.modules}

        @pytest.mark.backendcheck(seed=3)
        def case_b():
            import tensorflow
            return {"v": tensorflow.random.uniform((2,)).numpy()}

        @pytest.mark.backendcheck(seed=3)
        def case_c():
            import tensorflow
            return {"v": tensorflow.random.uniform((2,)).numpy()}
    """
    session = record(project(tmp_path, {"cases.py": cases}), "cases.py")
    assert session.value("cases/a") is False
    assert session.value("cases/b") == session.value("cases/c")


def test_the_same_backend_twice_agrees_with_itself(tmp_path: Path) -> None:
    cases = """
        import keras
        from backendcheck import LossCase, ModelCase

        def case_loss(rng):
            return LossCase("sparse_categorical_crossentropy", [0, 1, 2], keras.ops.softmax(rng.normal(size=(3, 3))))

        def case_model(rng):
            layers = [keras.layers.Dense(4, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
            model = keras.Sequential([keras.Input((3,)), *layers])
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            return ModelCase(model, loss, rng.normal(size=(6, 3)), rng.integers(0, 2, 6), batch_size=3)
    """
    project(tmp_path, {"cases.py": cases})
    for folder in ("first", "second"):
        assert backendcheck("record", "cases.py", "--backend", "jax", "--out", folder, cwd=tmp_path).exit_code == 0
    ended = backendcheck("compare", "first/jax", "second/jax", "--out", "report", cwd=tmp_path)
    assert ended.exit_code == 0, ended.out
    assert "jax#1" in (tmp_path / "report" / "report.json").read_text(encoding="utf-8")


def test_a_directory_may_be_named_by_way_of_its_parent(tmp_path: Path) -> None:
    folder = project(tmp_path / "inside", {"values.py": "import numpy as np\ndef case_v(): return {'v': np.ones(2)}\n"})
    ended = backendcheck("record", "values.py", "--backend", "jax", "--out", "../legs", cwd=folder)
    assert ended.exit_code == 0, ended.words
    assert (tmp_path / "legs" / "jax" / "environment.json").is_file()


def test_what_a_case_file_sets_before_jax_has_started_is_in_force_and_told(tmp_path: Path) -> None:
    """As in a plain script. The recorder does not start the devices before all case files are imported."""
    cases = """
        import os
        os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=3"

        import jax
        def case_devices(): return {"v": jax.device_count()}
    """
    session = record(project(tmp_path, {"cases.py": cases}), "cases.py")
    assert session.value("cases/devices") == 3
    assert session.environment.device == "cpu"
    assert session.environment.determinism["changed by imports"] == "XLA_FLAGS"
    assert session.recordings["cases/devices"].notes == ("changed by what is imported, for all cases: XLA_FLAGS",)


def test_devices_that_do_not_start_end_the_session_before_its_first_case(tmp_path: Path) -> None:
    folder = project(tmp_path, {"cases.py": "def case_a(): return {'v': 1}\n"})
    session = record(folder, "cases.py", env={"XLA_FLAGS": "--xla_none=1"})
    assert session.ended.exit_code == 2
    assert "a jax worker died before its first case" in session.ended.err
    assert session.recordings == {}
