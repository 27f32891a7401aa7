"""A worker that has imported its backend before there is a session. `run --watch` has one ready for the next change.

It has imported nothing of the user's. A session takes it only where its own worker would have begun in the same way: with the
same variables, search path, packages and settings, and no code of the user that could have changed how the backend is imported.
Otherwise it starts a worker of its own, and is slower by that.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from execnet import gateway_io
from execnet.gateway_base import Popen2IO

from backendcheck.sessions.child_processes import parent_variable
from backendcheck.sessions.conditions import start_conditions, variables_of
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.session_state import SessionState
from backendcheck.sessions.worker_files import WorkerFiles

_OF_PYTEST = "PYTEST_"  # variables that pytest sets for each session
_OWN_PLUGINS = ("_pytest.", "xdist.", "pytest_timeout", "backendcheck.")
# What a conftest.py may import and ask for without a difference to a backend that is imported after it, or has been before.
_HARMLESS = frozenset({
    "__future__", "backendcheck", "collections", "contextlib", "dataclasses", "enum", "fractions", "functools", "itertools",
    "json", "keras", "math", "numpy", "operator", "pathlib", "pytest", "random", "re", "string", "textwrap", "typing",
})  # fmt: skip
_HARMLESS_PARTS = {"sys": ("path",), "os": ("path", "sep")}
_DYNAMIC = frozenset({
    "__builtins__", "__dict__", "__import__", "__loader__", "__spec__", "MonkeyPatch", "delattr", "eval", "exec", "globals",
    "import_module", "importorskip", "pytest_plugins", "setattr", "vars",
})  # fmt: skip
_CODE = "import sys; sys.path[:] = {path!r}; from backendcheck.record.spare import wait; wait(); exec(eval(sys.stdin.readline()))"


class SpareWorker:
    """The process of a spare worker, a child of the process that will run the session of `request`."""

    ready: ClassVar[SpareWorker | None] = None  # that of this process, until a session takes it

    def __init__(self, request: RecordingRequest) -> None:
        session_file = str(WorkerFiles.of_leg(request.leg).session)
        self.variables = {**variables_of(request), SessionState.VARIABLE: session_file, **parent_variable()}
        self.path = [*sys.path]
        self.conditions = start_conditions(self.variables)
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-u", "-c", _CODE.format(path=self.path)], env=self.variables,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def begins_as(self, config: pytest.Config, variables: dict[str, str], limit_s: float) -> bool:
        """Whether a worker that starts now, with these variables, begins as this one has; ends this one otherwise."""
        of_pytest = {name: value for name, value in variables.items() if name.startswith(_OF_PYTEST)}
        same = (
            {name: value for name, value in self.variables.items() if not name.startswith(_OF_PYTEST)}
            == {name: value for name, value in variables.items() if name not in of_pytest}
            and sys.path[: len(self.path)] == self.path
            and start_conditions(variables) == self.conditions
            and self._is_first(config)
        )
        with contextlib.suppress(OSError, ValueError):
            if same and self._answer(limit_s) == b"ready":
                assert self.process.stdin is not None  # noqa: S101 - for the type
                self.process.stdin.write(json.dumps(of_pytest).encode() + b"\n")
                self.process.stdin.flush()
                if self._answer(limit_s) == b"unchanged":
                    return True
        self.process.kill()
        self.process.wait()
        return False

    def _answer(self, limit_s: float) -> bytes:
        stream = self.process.stdout
        assert stream is not None  # noqa: S101 - for the type
        line, deadline = b"", time.monotonic() + limit_s
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
            part = os.read(stream.fileno(), 1) if readable else b""
            if not part:
                return b""
            line += part
        return line.strip()

    def _is_first(self, config: pytest.Config) -> bool:
        """Whether nothing of the user's that runs before the backend is imported can have an effect on it."""
        files = []
        for plugin in config.pluginmanager.get_plugins():
            name = str(getattr(plugin, "__name__", ""))
            module = name if hasattr(plugin, "__file__") else str(getattr(type(plugin), "__module__", ""))
            if Path(str(getattr(plugin, "__file__", None) or "")).name == "conftest.py":
                files.append(str(plugin.__file__))
            elif not f"{module}.".startswith(_OWN_PLUGINS) and module != "builtins":
                return False
        return all(map(is_harmless, files))


def is_harmless(file: str) -> bool:
    """Whether a conftest.py asks for nothing that could change how a backend is imported after it."""
    try:
        nodes = list(ast.walk(ast.parse(Path(file).read_bytes())))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return False
    parts = [node for node in nodes if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in _HARMLESS_PARTS]
    wholes = [node for node in nodes if isinstance(node, ast.Name) and node.id in _HARMLESS_PARTS]
    # A module that is used as a whole, such as by getattr, could be asked for anything.
    return len(parts) == len(wholes) and all(map(_asks_for_nothing, nodes))


def _asks_for_nothing(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        names = {alias.name.partition(".")[0]: alias.asname for alias in node.names}
        return all(name in _HARMLESS or (name in _HARMLESS_PARTS and not asname) for name, asname in names.items())
    if isinstance(node, ast.ImportFrom):
        of = (node.module or "").partition(".")[0]
        return not node.level and of in _HARMLESS and not _DYNAMIC & {alias.name for alias in node.names}
    if isinstance(node, ast.Attribute):  # to set one may be to patch a library
        parts = _HARMLESS_PARTS.get(getattr(node.value, "id", ""))
        return isinstance(node.ctx, ast.Load) and node.attr not in _DYNAMIC and (parts is None or node.attr in parts)
    return not isinstance(node, ast.Name) or node.id not in _DYNAMIC


def is_unchanged_since(moment_ns: int) -> bool:
    """Whether the files of all modules of this process are as they were at that moment."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and os.path.isabs(file):  # noqa: PTH117 - thousands
            try:
                status = os.stat(file)  # noqa: PTH116
            except OSError:
                return False
            if max(status.st_mtime_ns, status.st_ctime_ns) >= moment_ns:
                return False
    return True


class _SpareIO(Popen2IO):
    """What execnet makes of a process that it has started."""

    def __init__(self, process: subprocess.Popen[bytes], execmodel: Any) -> None:
        self.popen = process
        super().__init__(process.stdin, process.stdout, execmodel)

    def wait(self) -> int | None:
        return self.popen.wait()

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self.popen.kill()


def hand_over(session: SessionState, config: pytest.Config) -> None:
    """Give the spare worker of this process, if it has one, to the first worker that pytest-xdist starts."""
    spare, SpareWorker.ready = SpareWorker.ready, None
    if spare is None:
        return
    create = gateway_io.create_io

    def create_once(spec: Any, execmodel: Any) -> Any:
        gateway_io.create_io = create
        if spec.popen and not spec.python and spare.begins_as(config, dict(os.environ), session.request.start_timeout_s):
            return _SpareIO(spare.process, execmodel)
        return create(spec, execmodel)

    gateway_io.create_io = create_once  # execnet has no public way to bring a process
