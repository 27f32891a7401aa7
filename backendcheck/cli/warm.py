"""Warm processes for `run --watch`: the command and the legs of the next run are there before a file is saved.

A server, `_Server`, has imported the command and nothing of the project. For each run it forks the process of the command, and
before that, for each leg, a recording process that has a spare worker. All of them end when their parent does. Linux only.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from backendcheck.sessions.child_processes import end_process, end_with_parent, parent_variable
from backendcheck.sessions.conditions import start_conditions
from backendcheck.sessions.held import HELD, forked
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.spare_worker import SpareWorker, is_unchanged_since
from backendcheck.sessions.worker_count import available_bytes
from backendcheck.vocabulary import named_legs

if TYPE_CHECKING:
    from collections.abc import Callable

_OF_LEG = 1 << 30  # bytes that a spare worker may need
_CODE = "import sys; sys.path.append(sys.argv.pop(1)); from backendcheck.cli.warm import serve; serve(int(sys.argv.pop(1)))"
# What a run imports. Nothing of it may import pytest-xdist, which takes the search path of its session as it is then.
_IMPORTED = (
    "backendcheck.cli.run", "backendcheck.cli.record", "backendcheck.cli.early_verdicts", "backendcheck.results.results",
    "backendcheck.report", "backendcheck.report.html.page", "backendcheck.report.formats.text",
    "backendcheck.report.formats.json", "backendcheck.report.formats.junit", "backendcheck.verdicts.known_files",
    "backendcheck.progress.terminal", "backendcheck.sessions.processes", "backendcheck.sessions.session",
    "backendcheck.sessions.controller", "backendcheck.record.plugin", "rich.progress", "pytest", "pytest_timeout",
)  # fmt: skip


def is_possible() -> bool:
    """Whether this system can fork a process that has threads of NumPy, and end it with its parent."""
    return sys.platform == "linux"


class WarmCommand:
    """Runs a command several times. The first run is an ordinary process; others are forked from a server."""

    def __init__(self, requests: Sequence[RecordingRequest], cold: Callable[[Sequence[str]], int]) -> None:
        self._requests = [request.to_json() for request in requests if not request.backend.python]
        self._cold = cold
        self._server: subprocess.Popen[bytes] | None = None
        self._connection: Any = None

    def __call__(self, arguments: Sequence[str]) -> int:
        code = self._warm(arguments) if self._server is not None else None
        code = self._cold(arguments) if code is None else code
        self._prepare()
        return code

    def _warm(self, arguments: Sequence[str]) -> int | None:
        """The exit code of a run in a process of the server; None if it has not run."""
        self._send({"run": [*arguments]})
        answer = self._answer()
        if "pid" not in answer:
            self.close()
            return None
        try:
            return int(self._answer().get("exit_code", 1))
        except KeyboardInterrupt:
            with contextlib.suppress(OSError):
                os.kill(answer["pid"], signal.SIGINT)  # it has it already from a terminal; then the second one is ignored
            self._answer()
            raise

    def _prepare(self) -> None:
        room = available_bytes()
        if not self._requests or (room is not None and room < _OF_LEG * len(self._requests)):
            return
        if self._server is None:
            ours, theirs = socket.socketpair()
            package = str(Path(__file__).parent.parent.parent)
            self._server = subprocess.Popen(
                [sys.executable, "-P", "-c", _CODE, package, str(theirs.fileno())], pass_fds=[theirs.fileno()],
                env={**os.environ, **parent_variable()},
            )  # fmt: skip
            theirs.close()
            atexit.register(self.close)
            self._connection = ours.makefile("rw", encoding="utf-8")
            ours.close()
        self._send({"prepare": self._requests})

    def _send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # it has ended; there is no answer then
            self._connection.write(json.dumps(message) + "\n")
            self._connection.flush()

    def _answer(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(self._connection.readline()))
        return {}

    def close(self) -> None:
        """End the server, and with it the processes that wait."""
        if self._server is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._server.kill()
            self._server.wait()
            self._server = None


def serve(connection: int) -> None:
    """Be the server."""
    end_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, and for the process that watches
    began_ns, conditions = time.time_ns(), start_conditions(os.environ)
    for name in _IMPORTED:
        importlib.import_module(name)
    _Server(socket.socket(fileno=connection), began_ns, conditions).serve()


class _Server:
    def __init__(self, connection: socket.socket, began_ns: int, conditions: dict[str, str]) -> None:
        self._connection = connection
        self._lines = connection.makefile("rw", encoding="utf-8")
        self._began_ns = began_ns
        self._conditions = conditions

    def serve(self) -> None:
        for line in self._lines:
            message = json.loads(line)
            if "prepare" in message:
                self._reap()
                for request in message["prepare"]:
                    self._hold(request)
            elif not is_unchanged_since(self._began_ns) or start_conditions(os.environ) != self._conditions:
                # A package was upgraded, or one was added with a path: the processes have the old version and the old paths.
                self._say({})
            else:
                self._run(message["run"])

    def _say(self, answer: dict[str, Any]) -> None:
        self._lines.write(json.dumps(answer) + "\n")
        self._lines.flush()

    def _hold(self, text: str) -> None:
        request = RecordingRequest.from_json(text)
        name = request.backend.value
        if name in HELD:
            return
        server = parent_variable()
        held = forked()
        if held is None:
            _as_child(server, signal.SIGKILL, self._connection, lambda: _wait_for_request(request))
        HELD[name] = held

    def _run(self, arguments: Sequence[str]) -> None:
        server = parent_variable()
        if (command := os.fork()) == 0:
            _as_child(server, signal.SIGINT, self._connection, lambda: _run_command(arguments))
        self._say({"pid": command})
        while (ended := os.wait())[0] != command:
            self._note_exit(*ended)
        for held in HELD.values():  # of a command that was killed
            if held.is_taken and held.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(held.pid, signal.SIGKILL)
        self._say({"exit_code": os.waitstatus_to_exitcode(ended[1])})

    def _reap(self) -> None:
        """Forget the processes that have ended, or that a command has used."""
        for held in HELD.values():
            if held.is_taken and held.returncode is None:
                self._note_exit(*os.waitpid(held.pid, 0))
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._note_exit(*ended)
        for name, held in list(HELD.items()):
            if held.returncode is not None:
                held.close()
                del HELD[name]

    def _note_exit(self, pid: int, status: int) -> None:
        for held in HELD.values():
            if held.pid == pid:
                held.note_exit(status)


def _as_child(server: dict[str, str], death: signal.Signals, connection: socket.socket, function: Callable[[], None]) -> NoReturn:
    """Be a forked process, and end as an interpreter does."""
    code = 1
    try:
        os.environ.update(server)
        end_with_parent(death)
        os.close(connection.fileno())
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            function()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        end_process(code)
    except BaseException:  # noqa: BLE001 - this process must end here, and not go on as its parent
        traceback.print_exc()
    finally:
        os._exit(code)


def _run_command(arguments: Sequence[str]) -> None:
    for held in HELD.values():
        held.leave_to_parent()
    _main(arguments)


def _wait_for_request(request: RecordingRequest) -> None:
    """Hold a spare worker ready until a command comes, then record what it asks for. End if none does."""
    for held in HELD.values():
        held.close()
    HELD.clear()
    with contextlib.suppress(OSError):
        SpareWorker.ready = SpareWorker(request)
    # Those that were there know the files that these descriptors were before.
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", closefd=False)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", encoding="utf-8", buffering=1, closefd=False)  # type: ignore[misc]
    with os.fdopen(0, encoding="utf-8", closefd=False) as requests:
        path = requests.readline().strip()
    if path:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        _main(["record", "--request", path])


def _main(arguments: Sequence[str]) -> None:
    sys.argv = ["backendcheck", *arguments]
    importlib.invalidate_caches()  # as in a spare worker
    named_legs.read_again()
    importlib.import_module("backendcheck.cli").main()  # which imports the command `run`, and with it this file
