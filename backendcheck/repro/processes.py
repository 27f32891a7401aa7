"""Client of the program servers: one warm process per backend, programs in, recordings out."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.recordings.files import read_recording
from backendcheck.recordings.recording import Recording
from backendcheck.repro.program import Program, program_from
from backendcheck.sessions.child_processes import environment_for, start_python
from backendcheck.sessions.nest_json import decode
from backendcheck.temporary import temporary_directory
from backendcheck.vocabulary.leg_names import LegName

_START_S = 120.0
_ANSWER_S = 60.0


class ProgramClient:
    """Runs programs in warm processes, one per backend (`backendcheck.record.program_server`). A context manager."""

    def __init__(self, case: str, nodeid: str, legs: Mapping[str, LegName], device: str) -> None:
        """Start a process for each of the legs, which are given by name.

        Raises:
            UsageError: if the case cannot be run on a backend.
        """
        self.stack = contextlib.ExitStack()
        folder = self.stack.enter_context(temporary_directory("repro"))
        self.case = case
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.queues: dict[str, queue.Queue[str | None]] = {}
        self.works: dict[str, Path] = {}
        self.broken = ""
        try:
            for name, leg in legs.items():
                work = self.works[name] = folder / leg.folder
                work.mkdir()
                self.processes[name] = _start_server(case, nodeid, leg, work, device)
                self.queues[name] = queue.Queue()
                threading.Thread(target=_forward, args=(self.processes[name].stdout, self.queues[name]), daemon=True).start()
            for name, answer in self._read_answers(_START_S).items():
                if "ready" not in answer:
                    message = f"{case}: cannot be run on {name}: {answer.get('error', 'no answer')}. Record it again to see why."
                    raise UsageError(message)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes and remove what they wrote."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
        self.stack.close()

    def describe(self) -> tuple[list[Program], list[str]]:
        """The case as programs, best first, and the reasons why other programs could not be written."""
        answers = self._ask({"do": "describe"}, _START_S)
        usable = [answer for answer in answers.values() if "programs" in answer]
        if not usable:
            message = f"{self.case}: {next(iter(answers.values())).get('error', 'no answer')}"
            raise UsageError(message)
        # Where the case function did not raise, more of it can be written as a program.
        best = min(usable, key=lambda answer: (answer["raised"] is not None, -len(answer["programs"])))
        return [program_from(decode(program)) for program in best["programs"]], list(best["reasons"])

    def observe(self, program: Program, source: str, options: Mapping[str, Any]) -> dict[str, Recording] | None:
        """The recordings of a program on every backend; None if a process failed."""
        request = {
            "do": "observe", "kind": program.case_type, "source": source,
            "epochs": program.epochs, "batch_size": program.batch_size,
            **options,
        }  # fmt: skip
        answers = self._ask(request, _ANSWER_S)
        recordings = {}
        for leg, answer in answers.items():
            if "recording" not in answer:
                return None
            try:
                recordings[leg] = read_recording(Path(answer["recording"]))
            except UnreadableInput:
                return None
        return recordings

    def _ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, dict[str, Any]]:
        line = json.dumps(request) + "\n"
        for process in self.processes.values():
            if process.stdin is None:
                continue
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(line)
                process.stdin.flush()
        return self._read_answers(timeout_s)

    def _read_answers(self, timeout_s: float) -> dict[str, dict[str, Any]]:
        answers: dict[str, dict[str, Any]] = {}
        deadline = time.monotonic() + timeout_s
        for leg, lines in self.queues.items():
            try:
                line = lines.get(timeout=max(0.1, deadline - time.monotonic()))
            except queue.Empty:
                self.broken = f"{leg} gave no answer in {timeout_s:g} s"
                line = None
            if line is None:
                self.broken = self.broken or f"{leg} ended"
                answers[leg] = {"error": self.broken}
            else:
                answers[leg] = json.loads(line)
        return answers


def _start_server(case: str, nodeid: str, leg: LegName, work: Path, device: str) -> subprocess.Popen[str]:
    environment = environment_for(leg, device, max(1, (os.cpu_count() or 1) // 2))
    return start_python(
        "backendcheck.record.program_server:main", leg.backend.value, nodeid, case, str(work), leg.device or device, leg.mode,
        python=leg.python, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
    )  # fmt: skip


def _forward(stream: IO[str] | None, answers: queue.Queue[str | None]) -> None:
    with contextlib.suppress(ValueError):  # the stream was closed
        for line in stream or ():
            answers.put(line)
    answers.put(None)

