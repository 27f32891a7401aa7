"""The legs of an exploration: one warm process each, requests in, recordings out. A crash or a hang costs one situation."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from backendcheck.errors import UsageError
from backendcheck.recordings.files import from_bytes
from backendcheck.recordings.recording import Recording
from backendcheck.sessions.child_processes import environment_for, start_python
from backendcheck.temporary import temporary_directory
from backendcheck.vocabulary.leg_names import folder_of, parse_leg
from backendcheck.vocabulary.states import Status

_START_S = 180.0
_ANSWER_S = 60.0
BATCH = 48
"""How many situations are submitted at a time."""
Request = Mapping[str, Any]


def array_entry(array: np.ndarray) -> dict[str, Any]:
    """An array as JSON."""
    content = np.ascontiguousarray(array).tobytes()
    dtype = array.dtype.str if array.dtype.kind == "U" else array.dtype.name
    return {"dtype": dtype, "shape": list(array.shape), "data": base64.b64encode(content).decode("ascii")}


class Leg:
    """One leg: its process, and the requests that have no answer yet."""

    def __init__(
        self, name: str, device: str, folder: Path, answer_s: float, directory: Path | None, imports: Sequence[Path]
    ) -> None:
        self.name = name
        self.directory, self.imports = directory, imports
        self.device = device
        self.log = folder / f"{folder_of(name)}.log"
        self.answer_s = answer_s
        self.n_restarts = 0
        self.environment: dict[str, Any] = {}
        self.pending: deque[Request] = deque()
        self._start()

    def _start(self) -> None:
        """Start the process. `wait_until_ready` comes before the first answer."""
        leg = parse_leg(self.name)
        environment = environment_for(leg, self.device, 1)
        if self.imports:
            behind = [environment["PYTHONPATH"]] if environment.get("PYTHONPATH") else []
            environment["PYTHONPATH"] = os.pathsep.join([*behind, *map(str, self.imports)])
        self.process = start_python(
            "backendcheck.record.explore_worker:main", self.name, self.device, str(self.log),
            python=leg.python, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, cwd=self.directory,
        )  # fmt: skip
        self.answers: queue.Queue[str | None] = queue.Queue()
        self.requests: queue.Queue[str | None] = queue.Queue()
        self.threads = [
            threading.Thread(target=_forward, args=(self.process.stdout, self.answers), daemon=True),
            threading.Thread(target=_write, args=(self.process.stdin, self.requests), daemon=True),
        ]
        for thread in self.threads:
            thread.start()
        self.is_ready = False

    def wait_until_ready(self) -> None:
        """Wait for the backend to be imported.

        Raises:
            UsageError: if it cannot be used here.
        """
        if self.is_ready:
            return
        answer = self._answer(_START_S)
        if answer is None or "ready" not in answer:
            why = "it ended, or took too long" if answer is None else answer.get("error", "no answer")
            message = f"{self.name}: cannot be used here: {why}."
            raise UsageError(message)
        self.is_ready = True
        self.environment = {key: answer[key] for key in ("versions", "device", "settings")}

    def submit(self, request: Request) -> None:
        self.pending.append(request)
        self.requests.put(json.dumps(request) + "\n")

    def describe(self, target: str) -> dict[str, Any]:
        """What the leg says of a target."""
        self.wait_until_ready()
        self.requests.put(json.dumps({"do": "describe", "target": target}) + "\n")
        return self._answer(_START_S) or {"kind": "", "why": "its process ended, or gave no answer"}

    def next_recording(self) -> Recording:
        """The recording of the request that was submitted first. One that crashes or hangs is recorded as that."""
        self.wait_until_ready()
        answer = self._answer(self.answer_s)
        request = self.pending.popleft()
        if answer is not None and "recording" in answer:
            return from_bytes(base64.b64decode(answer["recording"]))
        if answer is not None:
            return self._unobserved(request, Status.ERROR, str(answer.get("error", "no answer")))
        hangs = self.process.poll() is None
        self._restart()
        if hangs:
            return self._unobserved(request, Status.TIMED_OUT, f"gave no answer in {self.answer_s:g} s")
        return self._unobserved(request, Status.CRASHED, "the process ended")

    def _unobserved(self, request: Request, status: Status, problem: str) -> Recording:
        return Recording(case=request["case"], backend=self.name, run="explore", status=status, problem=problem)

    def _answer(self, timeout_s: float) -> dict[str, Any] | None:
        """The next answer; None if the process has ended, or none came in time."""
        try:
            line = self.answers.get(timeout=timeout_s)
            if line is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(timeout=5)
                return None
            answer: dict[str, Any] = json.loads(line)
        except (queue.Empty, ValueError):
            return None
        return answer

    def _restart(self) -> None:
        self.end()
        self.n_restarts += 1
        self._start()
        for request in self.pending:
            self.requests.put(json.dumps(request) + "\n")

    def end(self) -> None:
        """End the process."""
        self.requests.put(None)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for thread in self.threads:  # they use the streams
            thread.join(timeout=5)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


class Legs:
    """All legs of an exploration. A context manager.

    The processes are started in `directory`, and import from `imports` as well.
    """

    def __init__(
        self, names: Sequence[str], device: str = "cpu", answer_s: float = _ANSWER_S, *, directory: Path | None = None,
        imports: Sequence[Path] = (),
    ) -> None:  # fmt: skip
        self._directory, self._imports = directory, imports
        self.names = tuple(names)
        self._device, self._answer_s = device, answer_s
        self._stack = contextlib.ExitStack()
        self.legs: dict[str, Leg] = {}

    def __enter__(self) -> Self:
        folder = self._stack.enter_context(temporary_directory("explore"))
        try:
            for name in self.names:
                leg = self.legs[name] = Leg(name, self._device, folder, self._answer_s, self._directory, self._imports)
                self._stack.callback(leg.end)
            for leg in self.legs.values():
                leg.wait_until_ready()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def environments(self) -> dict[str, dict[str, Any]]:
        """Versions, device and settings by leg."""
        return {name: leg.environment for name, leg in self.legs.items()}

    @property
    def n_restarts(self) -> int:
        return sum(leg.n_restarts for leg in self.legs.values())

    def submit(self, request: Request) -> None:
        """Send a request to every leg. `next_recordings` returns the answers in the same order."""
        for leg in self.legs.values():
            leg.submit(request)

    def next_recordings(self) -> dict[str, Recording]:
        """The recordings of the request that was submitted first, by leg."""
        return {name: leg.next_recording() for name, leg in self.legs.items()}

    def observe(self, requests: Sequence[Request]) -> list[dict[str, Recording]]:
        """The recordings of several requests. Nothing else may have been submitted."""
        for request in requests:
            self.submit(request)
        return [self.next_recordings() for _ in requests]

    def describe(self, target: str) -> dict[str, dict[str, Any]]:
        """What each leg says of a target."""
        return {name: leg.describe(target) for name, leg in self.legs.items()}


def _forward(stream: IO[str] | None, answers: queue.Queue[str | None]) -> None:
    with contextlib.suppress(ValueError):  # the stream was closed
        for line in stream or ():
            answers.put(line)
    answers.put(None)


def _write(stream: IO[str] | None, requests: queue.Queue[str | None]) -> None:
    """Write requests as the process takes them, so that the parent need not wait for it."""
    while stream is not None and (line := requests.get()) is not None:
        try:
            stream.write(line)
            stream.flush()
        except (OSError, ValueError):  # the process has ended, which its answers tell
            return
