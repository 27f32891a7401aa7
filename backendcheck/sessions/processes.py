"""One recording process per backend, all at the same time: start them, follow them, end them.

The parent imports no backend and keeps no arrays: it reads one line of JSON per event from each process.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from backendcheck.errors import OutputInTheWay, UnreadableInput
from backendcheck.progress.progress import Progress
from backendcheck.recordings.files import ENVIRONMENT, read_environment
from backendcheck.recordings.leg_directory import clear_leg, describe, legs_below, make_writable
from backendcheck.sessions.child_processes import start_python
from backendcheck.sessions.claim import check_leg
from backendcheck.sessions.events import Collected, Event, Finished, Message, Started, read_event
from backendcheck.sessions.held import HELD, HeldProcess
from backendcheck.sessions.request import RecordingRequest
from backendcheck.temporary import temporary_directory

_Process = subprocess.Popen[str] | HeldProcess
_Events = queue.Queue[tuple[str, Event | None]]
_LOOK_EVERY_S = 0.1  # at the request to stop
_GRACE_S = 15.0  # for a process to write its last file after it was asked to end


@dataclass(frozen=True, slots=True, kw_only=True)
class LegEnd:
    """How one recording process ended: its exit code, its messages, and whether it wrote its leg at all."""

    exit_code: int
    message: str
    recorded: bool

    @property
    def refused(self) -> bool:
        """Whether it was wrong usage, and nothing has been recorded."""
        return self.exit_code == 2 and not self.recorded  # noqa: PLR2004 - see the exit codes


def check_out(out: Path, requests: Sequence[RecordingRequest]) -> None:
    """Check that `out` can be written and holds at most an earlier run of the same selection.

    Legs of other backends are removed if the requests overwrite.

    Raises:
        OutputInTheWay: if it holds anything else.
    """
    asked = {request.leg for request in requests}
    for leg in legs_below(out):
        if out.absolute() / leg.name not in asked and (leg / ENVIRONMENT).exists():
            if requests[0].overwrite:
                clear_leg(leg)
                continue
            message = (
                f"{leg}: holds a leg that this run does not record: {describe(read_environment(leg))}. "
                "Choose another --out, or use --overwrite."
            )
            raise OutputInTheWay(message)
    for request in requests:
        check_leg(request)
    make_writable(out)


def move_aside(out: Path, requests: Sequence[RecordingRequest]) -> Path | None:
    """Move another run out of the default directory, to a name with its date beside it; returns that, or None."""
    try:
        check_out(out, requests)
    except (OutputInTheWay, UnreadableInput):
        legs = [leg for leg in legs_below(out) if (leg / ENVIRONMENT).exists()]
        if not legs:
            raise
        started = ""
        with contextlib.suppress(UnreadableInput):
            started = read_environment(legs[0]).started.partition("+")[0].replace(":", "")
        for number in itertools.count(1):
            target = out.with_name(f"{started or 'earlier'}{'' if number == 1 else f'-{number}'}")
            if not target.exists():
                out.rename(target)
                return target
    return None


class Stopped(Exception):
    """The recordings were stopped, because they are not needed any more."""


def record_all(
    requests: Sequence[RecordingRequest], progress: Progress, stop: threading.Event | None = None,
    *, directory: Path | None = None, variables: Mapping[str, str] | None = None,
) -> dict[str, LegEnd]:  # fmt: skip
    """Record every request in a process of its own, all at once; returns how each ended.

    On Ctrl-C, or any other end of this function, the processes are asked to end, then made to. `stop` is for other threads.
    `directory` is where the processes are started, and `variables` are added to their environment.

    Raises:
        Stopped: if `stop` was set before all had ended.
    """
    events: _Events = queue.Queue()
    legs = {request.backend.value: request.leg for request in requests}
    before = {name: _session_in(leg) for name, leg in legs.items()}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_directory("requests"))
        processes: dict[str, _Process] = {}
        stack.callback(_end, processes.values())
        for request in requests:
            file = folder / f"{request.backend.folder}.json"
            process = processes[request.backend.value] = _started(request, file, directory, variables or {})
            threading.Thread(target=_forward, args=(request.backend.value, process.stdout, events), daemon=True).start()
        errors = {name: _lines_of(process.stderr) for name, process in processes.items()}
        messages: dict[str, list[str]] = {name: [] for name in processes}
        ends: dict[str, LegEnd] = {}
        while len(ends) < len(processes):
            name, event = _next(events, stop)
            match event:
                case Collected(n_cases):
                    progress.collected(name, n_cases)
                case Started(case):
                    progress.started(name, case)
                case Finished(case, n_done):
                    progress.finished(name, n_done)
                    progress.recorded(name, case)
                case Message(text):
                    messages[name].append(text)
                case None:
                    exit_code = processes[name].wait()
                    thread, lines = errors[name]
                    thread.join(timeout=_GRACE_S)
                    message = "\n".join([*messages[name], "".join(_last_words(lines, exit_code))]).strip()
                    recorded = _session_in(legs[name]) not in (None, before[name])
                    ends[name] = LegEnd(exit_code=exit_code, message=message, recorded=recorded)
                    progress.ended(name, exit_code, message)
        return ends


def _next(events: _Events, stop: threading.Event | None) -> tuple[str, Event | None]:
    while stop is not None:
        if stop.is_set():
            raise Stopped
        with contextlib.suppress(queue.Empty):
            return events.get(timeout=_LOOK_EVERY_S)
    return events.get()


def _session_in(leg: Path) -> tuple[str, int] | None:
    """The run in the directory of a leg, and how often it was resumed; None if it has no readable environment file."""
    try:
        environment = read_environment(leg)
    except UnreadableInput:
        return None
    return environment.run, len(environment.sessions)


def _started(
    request: RecordingRequest, path: Path, directory: Path | None, variables: Mapping[str, str]
) -> _Process:
    replace(request, report_events=True).save(path)
    is_own = bool(directory or variables or request.backend.python)
    held = None if is_own else HELD.pop(request.backend.value, None)
    if held is not None and held.poll() is None:
        with contextlib.suppress(OSError):
            held.take(str(path))
            return held
    return start_python(
        "backendcheck.cli:main", "record", "--request", str(path), python=request.backend.python,
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=directory, env={**os.environ, **variables},
    )  # fmt: skip


def _forward(name: str, stream: IO[str] | None, events: _Events) -> None:
    for line in stream or ():
        if (event := read_event(line)) is not None:
            events.put((name, event))
    events.put((name, None))


def _lines_of(stream: IO[str] | None) -> tuple[threading.Thread, list[str]]:
    lines: list[str] = []
    thread = threading.Thread(target=lambda: lines.extend(stream or ()), daemon=True)
    thread.start()
    return thread, lines


def _last_words(lines: Iterable[str], exit_code: int) -> Iterable[str]:
    """What a process wrote to its error output.

    Tracebacks of one that was killed are left out: they name the line at which the signal met it, or at which a child found
    it gone, and the reason is the signal.
    """
    if exit_code >= 0:
        return lines
    return itertools.takewhile(lambda line: not line.startswith("Traceback (most recent call last)"), lines)


def _end(processes: Iterable[_Process]) -> None:
    """End recording processes and their workers, kindly first: all are asked before any is waited for."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + _GRACE_S
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        # The workers are in the session of their controller: those that are left are killed, too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
