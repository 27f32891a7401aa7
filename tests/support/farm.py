"""Schedulers and workers of a farm as processes, which end with a test."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from front_door import variables
from processes import descendants


@contextlib.contextmanager
def started(*arguments: object, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed with its children at the end of the block."""
    line = [*map(str, arguments)]
    process = subprocess.Popen(line, cwd=cwd, env=variables(), stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        children = descendants(process.pid)
        for pid in (process.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def scheduler(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    dask = (sys.executable, "-m", "distributed.cli.dask_scheduler")
    with started(*dask, "--host", "127.0.0.1", "--port", port, "--dashboard-address", "127.0.0.1:0", cwd=folder):
        yield f"tcp://127.0.0.1:{port}"


def recording_processes(pid: int) -> list[int]:
    """The recording processes below a worker."""
    lines = {child: Path(f"/proc/{child}/cmdline") for child in descendants(pid)}
    return [child for child, line in lines.items() if line.exists() and b"--request" in line.read_bytes()]
