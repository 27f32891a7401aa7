"""Schedulers and workers of a farm as processes, which end with a test."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from front_door import backendcheck, command, variables
from processes import descendants, waited_for


@contextlib.contextmanager
def started(*arguments: object, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed with its children at the end of the block."""
    line = [*map(str, arguments)]
    process = subprocess.Popen(line, cwd=cwd, env=variables(env), stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        children = descendants(process.pid)
        for pid in (process.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def scheduler(folder: Path, *options: str, protocol: str = "tcp", env: Mapping[str, str] | None = None) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    dask = (sys.executable, "-m", "distributed.cli.dask_scheduler")
    where = ("--host", "127.0.0.1", "--port", port, "--dashboard-address", "127.0.0.1:0")
    with started(*dask, *where, *options, cwd=folder, env=env):
        yield f"{protocol}://127.0.0.1:{port}"


@contextlib.contextmanager
def workers(
    folder: Path, address: str, legs: str, *environments: Mapping[str, str], limits: Sequence[str] = ()
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A worker with each of these environments, all connected. `limits` is a prefix of the last one's command line."""
    with contextlib.ExitStack() as stack:
        processes = []
        for number, environment in enumerate(environments):
            prefix = limits if number == len(environments) - 1 else ()
            line = (*prefix, *command("farm", "worker", address, "--legs", legs, "--name", f"worker-{number}"))
            processes.append(stack.enter_context(started(*line, cwd=folder, env=environment)))
        n_connected = lambda: backendcheck("farm", "status", address, cwd=folder, env=environments[0]).out.count("1 at a time")  # noqa: E731
        assert waited_for(lambda: n_connected() == len(environments), 60)
        yield processes


def recording_processes(pid: int) -> list[int]:
    """The recording processes below a worker."""
    lines = {child: Path(f"/proc/{child}/cmdline") for child in descendants(pid)}
    return [child for child, line in lines.items() if line.exists() and b"--request" in line.read_bytes()]
