"""What the process of a worker does before it imports a backend."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

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
