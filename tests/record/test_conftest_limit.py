"""A conftest.py that hangs is one that cannot be imported, and is named."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backendcheck.record.conftest_limit import limit_conftests

_PLUGIN = """
import pytest
from backendcheck.record.conftest_limit import limit_conftests

@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config):
    limit_conftests(early_config.pluginmanager, 0.5)
    return (yield)
"""


@pytest.mark.parametrize("folder", ["", "inner"])
def test_a_conftest_that_hangs_is_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / "limits.py").write_text(_PLUGIN)
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "test_a.py").write_text("def test_a(): pass\n")
    conftest = tmp_path / folder / "conftest.py"
    conftest.write_text("import time\ntime.sleep(1000)\n")
    command = [sys.executable, "-m", "pytest", "-p", "limits", "-p", "no:backendcheck", "."]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    words = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert str(Path(folder) / "conftest.py") in words
    assert "TimeoutError: importing it took longer than 0.5 s" in words


def test_a_conftest_in_time_leaves_nothing_behind() -> None:
    before = signal.getsignal(signal.SIGALRM)
    manager: Any = SimpleNamespace(_importconftest=lambda path, number: (path, number))
    limit_conftests(cast("pytest.PytestPluginManager", manager), 0.2)
    assert manager._importconftest("conftest.py", 3) == ("conftest.py", 3)
    time.sleep(0.3)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
