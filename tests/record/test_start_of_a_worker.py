"""What the process of a worker does before it imports a backend."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

_START = """
import sys, time
from pathlib import Path
from backendcheck.record.plugin import _own_process
from backendcheck.sessions.worker_files import FilesOfWorker
streams = _own_process(FilesOfWorker(Path(), "gw0"), float(sys.argv[1]))
print("message of a library", file=sys.stderr, flush=True)
assert not {"keras", "torch", "tensorflow", "jax"} & sys.modules.keys()
print("started", flush=True)
time.sleep(60)
"""


def _started(folder: Path, limit_s: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _START, str(limit_s)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def test_a_backend_that_never_starts_ends_with_the_stacks_of_its_threads(tmp_path: Path) -> None:
    with _started(tmp_path, 0.2) as process:
        out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert (out, err) == ("", "")
    assert "Timeout" in (tmp_path / "gw0.timeout").read_text()
    assert "message of a library" in (tmp_path / "gw0.stderr").read_text()


def test_ctrl_c_is_for_the_controller(tmp_path: Path) -> None:
    with _started(tmp_path, 30) as process:
        for number in (signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        try:
            process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            process.kill()
    assert process.returncode == -signal.SIGKILL


_CHILD = """
import signal, sys, time
from backendcheck.sessions.child_processes import end_with_parent
print("waiting", flush=True)
sys.stdin.readline()
end_with_parent(signal.SIGKILL)
print("goes on", flush=True)
time.sleep(60)
"""
_PARENT = """
import os, subprocess, sys
from backendcheck.sessions.child_processes import parent_variable
subprocess.Popen([sys.executable, "-c", sys.argv[1]], env={**os.environ, **parent_variable()})
os.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a closed pipe tells")
@pytest.mark.parametrize("dies", [True, False])
def test_a_process_whose_parent_died_before_it_could_ask_for_a_signal_ends(dies: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stdout.readline() == "waiting\n"
        if dies:
            parent.kill()
            parent.wait()
        parent.stdin.write("\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == ("" if dies else "goes on\n")
        parent.kill()  # the child has asked for a signal at that
