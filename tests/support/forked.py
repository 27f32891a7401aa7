"""The command in a process of its own, forked from one that has imported the package.

A process as real as that of `front_door`, with its own exit code, streams, directory and environment, but without the half second
that Python and the imports take. For tests that start no backend; there are hundreds of them. What forking cannot give, another
interpreter configuration, goes through `front_door`.

`backendcheck` here and there are compared in ``tests/project/test_forked.py``.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import front_door
from front_door import Ended, variables

# All that the commands import later: what is imported here is imported once for hundreds of commands.
_PRELOADED = (
    "backendcheck.cli", "backendcheck.config", "backendcheck.results.results", "backendcheck.results.changes",
    "backendcheck.report", "backendcheck.report.html.page", "backendcheck.report.formats.text",
    "backendcheck.report.formats.text_case", "backendcheck.report.formats.json", "backendcheck.report.formats.junit",
    "backendcheck.report.formats.sarif", "backendcheck.report.formats.github", "backendcheck.recordings.merge",
    "backendcheck.recordings.merged_legs", "backendcheck.verdicts.known_files", "backendcheck.labels.check",
    "backendcheck.labels.report", "backendcheck.progress.terminal", "backendcheck.sessions.processes",
    "backendcheck.sessions.session", "rich.progress", "pytest",
)  # fmt: skip


def backendcheck(*arguments: object, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 240) -> Ended:
    """Run the command to its end, as `front_door.backendcheck` does."""
    if any(name.startswith("PYTHON") for name in env or {}):
        return front_door.backendcheck(*arguments, cwd=cwd, env=env, timeout=timeout)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        exit_code = exit_code_of(*arguments, cwd=cwd, env=env, streams=(out.fileno(), err.fileno()), timeout=timeout)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "backslashreplace").replace("\r\n", "\n"))
    assert "Traceback (most recent call last)" not in "".join(texts), "".join(texts)
    return Ended(exit_code, *texts)


def exit_code_of(
    *arguments: object, cwd: Path, streams: tuple[int, int], env: Mapping[str, str] | None = None, timeout: float = 240
) -> int:
    """Run the command to its end with these open files for its output and its errors."""
    return _ask({"arguments": [*map(str, arguments)], "cwd": str(cwd), "env": variables(env)}, streams, timeout)


def _ask(request: Mapping[str, Any], streams: tuple[int, int], timeout: float) -> int:
    server = _server()
    content = json.dumps(request).encode()
    socket.send_fds(server, [len(content).to_bytes(8, "big")], [*streams])
    server.sendall(content)
    server.settimeout(timeout)
    child = int.from_bytes(_received(server, 8), "big")
    try:
        return int.from_bytes(_received(server, 8), "big", signed=True)
    except TimeoutError:
        os.kill(child, signal.SIGKILL)
        server.settimeout(None)
        _received(server, 8)
        raise


@cache
def _server() -> socket.socket:
    """The process to fork from; one for each process of the test session."""
    ours, theirs = socket.socketpair()
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # a fork has one
    process = subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], env=variables(one_thread),
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    theirs.close()
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def _received(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        part = connection.recv(size - len(content))
        if not part:
            raise EOFError
        content += part
    return content


def _serve(connection: socket.socket) -> None:
    import importlib

    for name in _PRELOADED:
        importlib.import_module(name)
    _parse_templates()
    while True:
        head, streams, _, _ = socket.recv_fds(connection, 8, 2)
        if not head:
            return
        request = json.loads(_received(connection, int.from_bytes(head, "big")))
        child = os.fork()
        if child == 0:
            connection.close()
            _run(request, streams)
        for stream in streams:
            os.close(stream)
        connection.sendall(child.to_bytes(8, "big"))
        _, status = os.waitpid(child, 0)
        connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(8, "big", signed=True))


def _parse_templates() -> None:
    from backendcheck.report.html import page
    from backendcheck.results.results import analyze

    page.render(analyze([]))


def _run(request: Mapping[str, Any], streams: list[int]) -> None:
    """Be the command, and end as an interpreter does."""
    code = 1
    try:
        for target, stream in enumerate(streams, 1):
            os.dup2(stream, target)
            os.close(stream)
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        sys.argv = ["backendcheck", *request["arguments"]]
        sys.path[0] = request["cwd"]  # as python -m has it
        sys.stdout = open(1, "w", encoding="utf-8", errors="strict", closefd=False)  # noqa: SIM115 - to the end of the process
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)  # noqa: SIM115
        from backendcheck.cli import main

        try:
            main()
            code = 0
        except SystemExit as ended:  # click ends with a number
            code = int(ended.code or 0)
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - this process must end here, and not go on as its parent
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
