"""One recording process per backend, all at the same time: start them, follow them, end them.

The parent imports no backend and keeps no arrays: it reads one line of JSON per event from each process.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import backendcheck
from backendcheck.errors import OutputInTheWay, UnreadableInput
from backendcheck.recordings.files import ENVIRONMENT, read_environment
from backendcheck.recordings.leg_directory import clear_leg, describe, make_writable
from backendcheck.sessions.claim import check_leg
from backendcheck.sessions.request import Request
from backendcheck.vocabulary.backends import Backend
from backendcheck.vocabulary.faults import CASE_SEPARATOR

_Events = queue.Queue[tuple[str, dict[str, Any] | None]]
_LOOK_EVERY_S = 0.1  # whether somebody wants an end
_GRACE_S = 15.0  # for a process to write its last file after it was asked to end


class Progress(Protocol):
    """Whoever shows how far the legs are."""

    def collected(self, backend: str, n_cases: int) -> None: ...
    def started(self, backend: str, case: str) -> None: ...
    def finished(self, backend: str, n_done: int) -> None: ...
    def ended(self, backend: str, exit_code: int, message: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LegEnd:
    """How one recording process ended: its exit code, what it had to say on standard error, whether it wrote its leg at all."""

    exit_code: int
    message: str
    recorded: bool

    @property
    def refused(self) -> bool:
        """Whether it was wrong usage, and nothing has been recorded."""
        return self.exit_code == 2 and not self.recorded  # noqa: PLR2004 - see the exit codes


def check_out(out: Path, requests: Sequence[Request]) -> None:
    """See that `out` can be written and holds nothing but, at most, an earlier run of the same selection.

    Legs of other backends go where requests say that all may be overwritten.

    Raises:
        OutputInTheWay: saying what is there.
    """
    asked = {request.backend for request in requests}
    for backend in Backend:
        leg = out / backend.value
        if backend not in asked and (leg / ENVIRONMENT).exists():
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


def move_aside(out: Path, requests: Sequence[Request]) -> Path | None:
    """Move another run out of the default directory, to a name with its date beside it; returns that, or None."""
    try:
        check_out(out, requests)
    except (OutputInTheWay, UnreadableInput):
        legs = [out / backend.value for backend in Backend if (out / backend.value / ENVIRONMENT).exists()]
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
    """Whoever asked for the recordings wants no more of them."""


def record_all(
    requests: Sequence[Request], progress: Progress, stop: threading.Event | None = None
) -> dict[str, LegEnd]:
    """Record every request in a process of its own, all at once; returns how each ended.

    On Ctrl-C, or any other end of this function, the processes are asked to end, then made to. `stop` is for other threads.

    Raises:
        Stopped: if `stop` was set before all had ended.
    """
    events: _Events = queue.Queue()
    legs = {request.backend.value: request.leg for request in requests}
    before = {name: _session_in(leg) for name, leg in legs.items()}
    with contextlib.ExitStack() as stack:
        processes: dict[str, subprocess.Popen[str]] = {}
        stack.callback(_end, processes.values())
        for request in requests:
            process = processes[request.backend.value] = _started(request)
            threading.Thread(target=_forward, args=(request.backend.value, process.stdout, events), daemon=True).start()
        errors = {name: _collected(process.stderr) for name, process in processes.items()}
        ends: dict[str, LegEnd] = {}
        while len(ends) < len(processes):
            name, event = _next(events, stop)
            if event is None:
                exit_code = processes[name].wait()
                thread, lines = errors[name]
                thread.join(timeout=_GRACE_S)
                recorded = _session_in(legs[name]) not in (None, before[name])
                ends[name] = LegEnd(exit_code=exit_code, message="".join(lines).strip(), recorded=recorded)
                progress.ended(name, exit_code, ends[name].message)
            elif event["event"] == "collected":
                progress.collected(name, event["n"])
            elif event["event"] == "started":
                progress.started(name, event["case"])
            elif event["event"] == "finished":
                progress.finished(name, event["n"])
        return ends


def _next(events: _Events, stop: threading.Event | None) -> tuple[str, dict[str, Any] | None]:
    while stop is not None:
        if stop.is_set():
            raise Stopped
        with contextlib.suppress(queue.Empty):
            return events.get(timeout=_LOOK_EVERY_S)
    return events.get()


def _session_in(leg: Path) -> tuple[str, int] | None:
    """The run in the directory of a leg, and how often it was resumed; None if there is none that can be read."""
    try:
        environment = read_environment(leg)
    except UnreadableInput:
        return None
    return environment.run, len(environment.sessions)


def _started(request: Request) -> subprocess.Popen[str]:
    # Not -m, which would put the current directory in front of every library.
    code = "import sys; sys.path.append(sys.argv.pop(1)); from backendcheck.cli import main; main()"
    package = str(Path(backendcheck.__file__).parent.parent)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, package, *_arguments(request)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        errors="backslashreplace", start_new_session=True,
    )  # fmt: skip


def _arguments(request: Request) -> list[str]:
    return [
        "record",
        *("--backend", request.backend.value, "--out", str(request.out), "-n", str(request.workers)),
        *("--timeout", str(request.timeout_s), "--device", request.device, "--events"),
        *("--oracles", ",".join(request.oracles)),
        *(("-k", request.keyword) if request.keyword else ()),
        *(("-m", request.marks) if request.marks else ()),
        *(part for plugin in request.plugins for part in ("-p", plugin)),
        *(("--overwrite",) if request.overwrite else ()),
        *(("--shard", str(request.shard)) if request.shard else ()),
        *(("--resume",) if request.resume else ()),
        *(("--retry-errors",) if request.retry else ()),
        *(part for fault, cases in request.plants.items() for part in ("--plant", f"{fault}={CASE_SEPARATOR.join(cases)}")),
        *(("--noise", request.noise, "--noise-of", request.noise_of) if request.noise else ()),
        *(("--only", request.only) if request.only else ()),
        *(("--layers",) if request.layers else ()),
        *(("--teacher", str(request.teacher)) if request.teacher else ()),
        *(("--chosen", str(request.chosen)) if request.chosen else ()),
        *("--", *request.paths),
    ]  # fmt: skip


def _forward(name: str, stream: IO[str] | None, events: _Events) -> None:
    for line in stream or ():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # something else wrote to standard output
        if isinstance(event, Mapping) and "event" in event:
            events.put((name, dict(event)))
    events.put((name, None))


def _collected(stream: IO[str] | None) -> tuple[threading.Thread, list[str]]:
    lines: list[str] = []
    thread = threading.Thread(target=lambda: lines.extend(stream or ()), daemon=True)
    thread.start()
    return thread, lines


def _end(processes: Iterable[subprocess.Popen[str]]) -> None:
    """End recording processes and their workers, kindly first: all are asked before any is waited for."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + _GRACE_S
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        # The workers are in the session of their controller: whoever is left of them goes, too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
