"""A user's own pytest configuration neither breaks a recording nor changes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from front_door import backendcheck, project, record

FINE = """
    def case_fine():
        \"\"\"Nothing is the matter.\"\"\"
        return {"v": 1}
"""

OPTIONS = {
    "addopts": ["-n", "auto", "--cov=.", "-x", "--strict-markers", "-p", "no:cacheprovider"],
    "collect_imported_tests": "false",
    "filterwarnings": ["error"],
    "log_cli": "true",
    "markers": ["slow: it is slow"],
    "minversion": "100",
    "norecursedirs": ["cases"],
    "python_files": ["*.py"],
    "python_functions": ["nothing_*"],
    "pythonpath": ["src"],
    "required_plugins": ["pytest-nothing-of-the-kind>=3"],
    "strict": "true",
    "testpaths": ["nowhere"],
    "timeout": "1",
    "unknown_key": "3",
    "xfail_strict": "true",
}


def ini(section: str) -> str:
    lines = [f"{name} = {value if isinstance(value, str) else ' '.join(value)}" for name, value in OPTIONS.items()]
    return f"[{section}]\n" + "\n".join(lines) + "\n"


def toml(section: str) -> str:
    return f"[{section}]\n" + "\n".join(f"{name} = {value!r}" for name, value in OPTIONS.items()) + "\n"


CONFIGURED = {
    "src/mine.py": "NUMBER = 5\n",
    "cases/one.py": """
        import time, warnings
        import mine
        import pytest

        @pytest.mark.slow
        def case_slow():
            warnings.warn("a library has become older")
            time.sleep(1.2)
            return {"v": mine.NUMBER}

        @pytest.mark.xfail
        def case_not_strict(): return {"v": 1}
    """,
    "conftest.py": """
        import random, warnings
        import numpy as np
        import pytest

        @pytest.fixture(autouse=True)
        def everything(tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
            monkeypatch.setenv("KERAS_BACKEND", "torch")
            warnings.simplefilter("error")
            np.random.seed(1)
            random.seed(1)

        def pytest_addoption(parser): parser.addoption("--mine", action="store_true")
        def pytest_collection_modifyitems(items): items.reverse()
        def pytest_runtest_logreport(report): print(report)
    """,
}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", ini("pytest")),
        ("setup.cfg", ini("tool:pytest")),
        ("tox.ini", ini("pytest")),
        ("pyproject.toml", toml("tool.pytest.ini_options")),
        ("pyproject.toml", toml("tool.pytest").replace("'true'", "true").replace("'false'", "false")),
    ],
)
def test_a_pytest_configuration_neither_breaks_a_recording_nor_changes_it(tmp_path: Path, name: str, text: str) -> None:
    folder = project(tmp_path, CONFIGURED | {name: text})
    env = {"PYTEST_ADDOPTS": "-n 7 --cov -x", "PYTEST_PLUGINS": "nothing_of_the_kind", "PYTEST_DEBUG": "1"}
    session = record(folder, "cases", env=env)
    assert session.statuses == {"one/slow": "recorded", "one/not_strict": "recorded"}, session.ended.words
    assert session.value("one/slow") == 5
    assert session.ended.exit_code == 0
    assert session.ended.err == ""


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"conftest.py": "import nothing_of_the_kind\n"}, "No module named 'nothing_of_the_kind'"),
        ({"conftest.py": "def broken(:\n"}, "SyntaxError"),
        ({"conftest.py": "import sys\nsys.exit('not on this machine')\n"}, "SystemExit: not on this machine"),
        ({"conftest.py": "pytest_plugins = ['nothing_of_the_kind']\n"}, 'Error importing plugin "nothing_of_the_kind"'),
        ({"conftest.py": "def pytest_configure(config): raise ValueError('a hook')\n"}, "ValueError: a hook"),
        ({"conftest.py": "import ctypes, os\nif 'PYTEST_XDIST_WORKER' in os.environ: ctypes.string_at(0)\n"}, "SIGSEGV"),
        ({"pytest.ini": "[pytest\naddopts = x\n"}, "pytest.ini:1"),
    ],
)
def test_a_session_that_cannot_start_says_why(tmp_path: Path, files: dict[str, str], words: str) -> None:
    session = record(project(tmp_path, {"cases.py": FINE} | files), "cases.py")
    assert session.ended.exit_code == 2
    assert words in session.ended.err
    assert session.environment.exit_state != "complete"


def test_settings_that_cannot_be_read_are_refused_at_once(tmp_path: Path) -> None:
    folder = project(tmp_path, {"cases.py": FINE, "pyproject.toml": "[tool.pytest.ini_options\n"})
    ended = backendcheck("record", "--backend", "jax", "cases.py", "--out", "out", cwd=folder)
    assert ended.exit_code == 2
    assert "pyproject.toml: cannot be read as TOML (Expected ']' at the end of a table declaration" in ended.err
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("hook", "place"),
    [
        ("pytest_collection_modifyitems(items)", "conftest.py:1: "),
        ("pytest_nothing_of_the_kind()", ""),
        ("pytest_runtest_logreport(report)", "cases.py:1: "),
        ("pytest_sessionfinish(session)", "cases.py:1: "),
    ],
)
def test_a_hook_that_fails_is_never_a_recording_of_nothing(tmp_path: Path, hook: str, place: str) -> None:
    conftest = f"def {hook}: raise ValueError('a hook')\n"
    session = record(project(tmp_path, {"cases.py": FINE, "conftest.py": conftest}), "cases.py")
    assert session.ended.exit_code == 3
    assert session.environment.exit_state == "interrupted"
    assert any(one.startswith(place) and ("a hook" in one or "unknown hook" in one) for one in session.problems)


def test_what_differs_from_worker_to_worker_is_not_recorded_in_part(tmp_path: Path) -> None:
    cases = """
        import os
        import pytest

        @pytest.mark.parametrize("n", [os.getpid()])
        def case_p(n): return {"v": n}
    """
    session = record(project(tmp_path, {"cases.py": cases}), "cases.py", "-n", 2)
    assert session.ended.exit_code == 3
    assert any("Different tests were collected" in one for one in session.problems)
