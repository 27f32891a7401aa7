"""The commands that record legs of their own, on a farm: what they say is what they say without one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
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


EXPLORE = ("explore", "own:Wrong", "--legs", "numpy,jax")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an exploration without a farm, in `one`."""
    folder = project(tmp_path_factory.mktemp("explored"), {"own.py": LOSS})
    here = backendcheck(*EXPLORE, "--situations", "48", "--out", "one", cwd=folder)
    assert here.exit_code == 1, here.words
    return folder


@on_linux
def test_an_exploration_finds_the_same_although_a_worker_is_killed(explored: Path) -> None:
    folder, asked = explored, (*EXPLORE, "--situations", "48")
    with scheduler(folder) as address, contextlib.ExitStack() as stack:
        worker = command("farm", "worker", address, "--legs", "numpy,jax")
        workers = [stack.enter_context(started(*worker, cwd=folder.parent)) for _ in range(2)]
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
    here, there = (
        {script.name: script.read_bytes() for script in (folder / out / "scripts").iterdir()} for out in ("one", "farm")
    )
    assert there == here != {}


@on_linux
def test_an_exploration_that_was_interrupted_goes_on(explored: Path) -> None:
    farm = (*EXPLORE, "--out", "resumed", *FARM)
    with started(*command(*farm, "--budget", "300s"), cwd=explored) as run:
        assert waited_for(lambda: sum(b"explore_worker" in line(pid) for pid in descendants(run.pid)) >= 2, 60)
        time.sleep(5)  # the search has begun, or the probes before it
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=60) == 130
        assert not descendants(run.pid)
    was_written = (explored / "resumed" / "findings.json").exists()
    ended = backendcheck(*farm, "--situations", "48", *(["--resume"] if was_written else []), cwd=explored)
    assert ended.exit_code in (0, 1), ended.words
    (numbers, found), (_, expected) = findings(explored / "resumed"), findings(explored / "one")
    assert numbers["situations"] >= 48
    assert {each["signature"] for each in expected} <= {each["signature"] for each in found}


def line(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
