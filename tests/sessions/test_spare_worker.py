"""Spare workers: which code of the user may come before the backend without a difference, and files that have changed."""

from __future__ import annotations

import importlib
import time
from pathlib import Path

import pytest
from front_door import project

from backendcheck.sessions.spare_worker import is_harmless, is_unchanged_since


@pytest.mark.parametrize(
    "source",
    [
        "import pytest\n@pytest.fixture\ndef x(): return 1",
        "import sys\nfrom pathlib import Path\nif 'a' not in sys.path: sys.path.append(str(Path(__file__).parent))",
        "import os.path\nHERE = os.path.dirname(__file__)",
        "import keras\nkeras.config.set_floatx('float32')",
        "import numpy as np\nfrom backendcheck import LossCase",
        "",
    ],
)
def test_a_conftest_that_can_have_no_effect_on_a_backend(source: str, tmp_path: Path) -> None:
    assert is_harmless(str(project(tmp_path, {"conftest.py": source}) / "conftest.py"))


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['A'] = 'b'",
        "import os as o\no.environ['A'] = 'b'",
        "from os import environ",
        "import os, sys\nset_it = getattr(os, 'put' + 'env')",
        "import jax\njax.config.update('jax_enable_x64', True)",
        "import helper",
        "from . import helper",
        "import sys\nsys.modules['tensorflow'] = None",
        "import numpy as np\nnp.float_ = np.float64",
        "import numpy as np\nsetattr(np, 'float_', np.float64)",
        "import numpy as np\nnp.__dict__['float_'] = np.float64",
        "__import__('os').environ['A'] = 'b'",
        "import pytest\npytest.MonkeyPatch().setenv('A', 'b')",
        "import pytest\npytest.importorskip('jax')",
        "from importlib import import_module",
        "pytest_plugins = ['helper']",
        "exec('import os')",
        "def broken(:",
    ],
)
def test_a_conftest_that_could_change_how_a_backend_is_imported(source: str, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(source, encoding="utf-8")
    assert not is_harmless(str(tmp_path / "conftest.py"))


def test_a_module_that_was_replaced_after_its_import_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(project(tmp_path, {"module_of_a_package.py": "X = 1\n"}))
    importlib.import_module("module_of_a_package")
    time.sleep(0.05)  # the time of a file may be a few milliseconds behind
    began_ns = time.time_ns()
    assert is_unchanged_since(began_ns)
    project(tmp_path, {"module_of_a_package.py": "X = 2\n"})
    assert not is_unchanged_since(began_ns)
