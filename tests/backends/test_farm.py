"""Legs recorded on a farm: the report of one machine, and nothing lost where workers and commands are lost."""

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
from farm import recording_processes, scheduler, started
from front_door import backendcheck, command, project
from processes import descendants, waited_for

pytestmark = [pytest.mark.backends, pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")]
FILES = {
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["lib"]\n',
    "lib/beside.py": "N = 3\n",
    "cases/few.py": """
        import time
        from pathlib import Path

        import keras
        import numpy as np
        import pytest

        from beside import N

        DATA = np.loadtxt(Path(__file__).with_name("data.txt"))

        @pytest.mark.parametrize("k", range(4))
        def case_sum(rng, k):
            "A sum is the same everywhere."
            return {"sum": keras.ops.sum(keras.ops.convert_to_tensor(rng.random((N, k + 1))))}

        def case_data():
            "Data beside the case is read."
            return {"data": DATA}

        def case_raises():
            raise ValueError("no")

        def case_waits():
            while Path("SWITCH").exists():
                time.sleep(0.1)
            return {"v": np.float64(1.0)}
    """,
    "cases/data.txt": "1 2 3\n",
}
TIMES_AND_HOSTS = {"created", "started", "duration_s", "seconds", "run", "pieces"}


def cases(folder: Path) -> Path:
    """The project, whose case `waits` waits as long as the file `switch` exists."""
    text = FILES["cases/few.py"].replace("SWITCH", str(folder / "switch"))
    return project(folder, {**FILES, "cases/few.py": text})


def comparable(report: Path) -> Any:
    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(content) for name, content in value.items() if name not in TIMES_AND_HOSTS}
        return [strip(content) for content in value] if isinstance(value, list) else value

    return strip(json.loads(report.read_text(encoding="utf-8")))


def test_the_report_is_that_of_one_machine_but_for_times_and_hosts(tmp_path: Path) -> None:
    folder = cases(tmp_path)
    one = backendcheck("run", "cases", "--legs", "numpy", "--out", "one", "--fresh", cwd=folder)
    options = ("--farm", "local:2", "--farm-chunk", "0.8")
    farm = backendcheck("run", "cases", "--legs", "numpy", "--out", "farm", *options, cwd=folder)
    pieces = json.loads((folder / "farm" / "report.json").read_text(encoding="utf-8"))["environments"]["numpy"]["pieces"]
    assert len(pieces) > 1
    assert comparable(folder / "farm" / "report.json") == comparable(folder / "one" / "report.json")
    assert (farm.exit_code, farm.out.replace("farm", "one")) == (one.exit_code, one.out)
    assert "distributed" not in farm.err


def test_a_leg_that_nobody_serves_is_missing_and_the_others_go_on(tmp_path: Path) -> None:
    folder = cases(tmp_path)
    with scheduler(folder) as address, started(*command("farm", "worker", address, "--legs", "numpy"), cwd=folder):
        serves = lambda: "numpy; 1 at a time" in backendcheck("farm", "status", address, cwd=folder).out  # noqa: E731
        assert waited_for(serves, 30)
        ended = backendcheck(
            "run", "cases", "--legs", "numpy,jax", "--out", "out", "--farm", address, "--farm-wait", "4", cwd=folder
        )
    assert ended.exit_code == 3
    assert "jax chunk 1/1 could not be recorded: no worker serves jax since 4 s" in ended.err
    report = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    assert len(report["results"]) == 7
    assert report["environments"]["numpy"]["n_recordings"] == 7


def test_a_chunk_whose_worker_is_killed_is_recorded_elsewhere(tmp_path: Path) -> None:
    folder = cases(tmp_path)
    (folder / "switch").touch()
    arguments = ("record", "cases", "--backend", "numpy", "--out", "out", "--farm")
    with scheduler(folder) as address, contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(started(*command("farm", "worker", address, "--legs", "numpy"), cwd=folder)) for _ in range(2)
        ]
        run = stack.enter_context(started(*command(*arguments, address), cwd=folder))
        assert waited_for(lambda: any(recording_processes(worker.pid) for worker in workers), 60)
        (lost,) = [worker for worker in workers if recording_processes(worker.pid)]
        (other,) = [worker for worker in workers if worker is not lost]
        for pid in (lost.pid, *descendants(lost.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert waited_for(lambda: recording_processes(other.pid), 60)
        (folder / "switch").unlink()
        assert run.wait(timeout=60) == 0
    environment = json.loads((folder / "out" / "numpy" / "environment.json").read_text(encoding="utf-8"))
    assert environment["exit_state"] == "complete"
    assert len(environment["cases"]) == len(environment["digests"]) == 7


def test_ctrl_c_frees_the_workers_and_resume_takes_what_is_there(tmp_path: Path) -> None:
    folder = cases(tmp_path)
    (folder / "switch").touch()
    arguments = ("record", "cases", "--backend", "numpy", "--out", "out", "--farm-chunk", "0.3", "--farm")
    slots = ("--legs", "numpy", "--slots", "2")  # one waits, the other goes on
    with scheduler(folder) as address, started(*command("farm", "worker", address, *slots), cwd=folder) as worker:
        with started(*command(*arguments, address), cwd=folder) as run:
            came = folder / "out" / ".farm" / "numpy"
            assert waited_for(lambda: len([*came.glob("*/environment.json")]) >= 1, 60)
            time.sleep(1)
            run.send_signal(signal.SIGINT)
            assert run.wait(timeout=30) == 130
        assert waited_for(lambda: not recording_processes(worker.pid), 30)
        before = {path.parent.name for path in came.glob("*/environment.json")}
        (folder / "switch").unlink()
        ended = backendcheck(*arguments, address, "--resume", cwd=folder)
    assert ended.exit_code == 0, ended.words
    environment = json.loads((folder / "out" / "numpy" / "environment.json").read_text(encoding="utf-8"))
    assert before
    assert environment["exit_state"] == "complete"
    assert len(environment["cases"]) == len(environment["digests"]) == 7
    assert len(environment["pieces"]) > len(before)
