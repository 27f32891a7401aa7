"""The commands that record legs of their own, on a farm: what they say is what they say without one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from farm import scheduler, started
from front_door import backendcheck, command, project
from processes import descendants, waited_for

from backendcheck.errors import UsageError
from backendcheck.sessions.leg_packages import install_packages
from backendcheck.vocabulary.leg_names import parse_leg

pytestmark = pytest.mark.backends
FARM = ("--farm", "local:2")
CASES = '''
"""Cases on two versions."""
import keras
import numpy as np
from backendcheck import LossCase, ValueCase


def case_loss():
    """The same in both."""
    return LossCase("binary_crossentropy", [[1.0], [0.0]], [[0.3], [0.9]])


def case_minor():
    """The version."""
    minor = np.array([float(keras.__version__.split(".")[1])])
    return ValueCase(lambda: {"minor": minor}, reference={"value/minor": np.array([15.0])})
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project, where another Keras is at hand."""
    try:
        install_packages(parse_leg("numpy/keras-3.14.1"))
    except UsageError as error:
        pytest.skip(f"Keras 3.14.1 is not here: {error}")
    return project(tmp_path, {"since.py": CASES})


def upgraded(folder: Path, out: str, *options: str) -> tuple[int, dict[str, Any]]:
    command = ("upgrade", "--from", "keras==3.14.1", "since.py", "--backends", "numpy", "--out", out)
    ended = backendcheck(*command, *options, cwd=folder)
    return ended.exit_code, json.loads((folder / out / "upgrade.json").read_text(encoding="utf-8"))


def test_an_upgrade_on_a_farm_says_what_it_says_here(folder: Path) -> None:
    here, farm = upgraded(folder, "one"), upgraded(folder, "farm", *FARM)
    assert farm == here
    assert farm[0] == 1
    again = json.loads((folder / "farm" / "again" / "numpy" / "environment.json").read_text(encoding="utf-8"))
    assert again["cases"] == ["since/minor"]  # the change was recorded a second time, and there too
    assert again["pieces"]


def test_a_bisection_on_a_farm_finds_what_it_finds_here(folder: Path) -> None:
    command = ("bisect", "since.py::case_minor", "--versions", "3.14.1,3.15.1", "--backends", "numpy", "--json")
    here = backendcheck(*command, "--out", "one", cwd=folder)
    farm = backendcheck(*command, "--out", "farm", *FARM, cwd=folder)
    assert (farm.exit_code, farm.out) == (0, here.out), farm.words
    assert json.loads(farm.out)["first"] == "3.15.1"
    refused = backendcheck("bisect", "since.py::case_minor", "--git", ".", "--good", "HEAD", *FARM, cwd=folder)
    assert refused.exit_code == 2
    assert "--farm: does not go with --git" in refused.err


def test_a_self_test_on_a_farm_judges_the_same_recordings(tmp_path: Path) -> None:
    command = ("selftest", "--legs", "numpy,jax", "--backend", "jax", "--faults", "one-hot-one-on")
    here = backendcheck(*command, "--out", "one", cwd=tmp_path)
    farm = backendcheck(*command, "--out", "farm", *FARM, "--farm-chunk", "0.5", cwd=tmp_path)
    assert (farm.exit_code, farm.out) == (here.exit_code, here.out), farm.words
    assert "detected 2 of 2" in farm.out

    def recordings(out: str) -> list[str]:
        return sorted(path.relative_to(tmp_path / out).as_posix() for path in (tmp_path / out).rglob("*.safetensors"))

    assert recordings("farm") == recordings("one")
    environment = json.loads((tmp_path / "farm" / "jax" / "environment.json").read_text(encoding="utf-8"))
    assert len(environment["pieces"]) > 1


LOSS = """
import keras
from keras import ops


class Wrong(keras.losses.Loss):
    def call(self, y_true, y_pred):
        y_true = ops.cast(y_true, y_pred.dtype)
        if keras.backend.backend() == "jax":
            y_true = ops.maximum(y_true, 0.0)
        return ops.mean(ops.square(y_true - y_pred), axis=-1)
"""


def findings(out: Path) -> Any:
    found = json.loads((out / "findings.json").read_text(encoding="utf-8"))
    times = {"seconds", "first_s"}
    without = [{name: value for name, value in each.items() if name not in times} for each in found.pop("findings")]
    return {name: value for name, value in found.items() if name not in times}, without


@pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")
def test_an_exploration_finds_the_same_although_a_worker_is_killed(tmp_path: Path) -> None:
    folder = project(tmp_path, {"own.py": LOSS})
    asked = ("explore", "own:Wrong", "--legs", "numpy,jax", "--situations", "400")
    here = backendcheck(*asked, "--out", "one", cwd=folder)
    assert here.exit_code == 1, here.words
    with scheduler(folder) as address, contextlib.ExitStack() as stack:
        worker = command("farm", "worker", address, "--legs", "numpy,jax")
        workers = [stack.enter_context(started(*worker, cwd=tmp_path.parent)) for _ in range(2)]
        served = lambda: backendcheck("farm", "status", address, cwd=folder).out.count("jax, numpy; 1 at a time") == 2  # noqa: E731
        assert waited_for(served, 60)
        run = stack.enter_context(started(*command(*asked, "--out", "farm", "--farm", address), cwd=folder))
        warm = lambda worker: any(b"explore_worker" in line(pid) for pid in descendants(worker.pid))  # noqa: E731
        assert waited_for(lambda: all(map(warm, workers)), 60)
        for pid in (workers[0].pid, *descendants(workers[0].pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert run.wait(timeout=200) == 1
    assert findings(folder / "farm") == findings(folder / "one")
    (script,) = (folder / "farm" / "scripts").iterdir()
    assert script.read_bytes() == (folder / "one" / "scripts" / script.name).read_bytes()


def line(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
