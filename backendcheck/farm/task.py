"""What a worker of the farm does: one recording session over the cases of one chunk, in processes of its own.

Crashes, hangs and memory stay with the controller of that session, as on one machine. The worker watches the controller: one
that gives no sign of life for longer than its own limits allow is ended, and so is one that is not needed any more.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from backendcheck.case_files import BUILT_IN, builtin_cases
from backendcheck.errors import BackendcheckError
from backendcheck.farm.bundle import Bundle, files_in, packed, unpack
from backendcheck.progress.progress import Progress
from backendcheck.recordings.files import read_environment
from backendcheck.sessions.conditions import harness
from backendcheck.sessions.processes import Stopped, record_all
from backendcheck.sessions.request import RecordingRequest
from backendcheck.temporary import temporary_directory
from backendcheck.vocabulary.states import ExitState

_LOOK_EVERY_S = 0.5
_MARGIN_S = 60.0  # beyond the limits of the controller: for a machine that is busy


TOPIC = "backendcheck"
"""Where workers tell their progress."""

INJECTED_LEGS = ".faults"
"""Folder of a piece with its legs by injected fault."""


class ChunkFailed(Exception):
    """A worker could not record a chunk. Another may be able to. `worker` is its address."""

    worker = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker is asked for. `request` is the text of a recording request, with paths relative to the project.

    `bundle` is the SHA-256 of the files of the project, `harness` that of the source of backendcheck where the command was
    started, and `import_folders` are the folders of the project that were on the path there.
    """

    request: str
    bundle: str
    harness: str
    import_folders: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The job as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """What `to_json` wrote."""
        return cls(**json.loads(text))


def record_chunk(text: str, bundle: bytes) -> dict[str, Any]:
    """Record a chunk; returns the directory of its leg as bytes, with its digest, and where and how it was recorded.

    Raises:
        ChunkFailed: if there is no leg.
    """
    return answered(lambda task: _recorded(Job.from_json(text), bundle, task))


def answered(work: Callable[[DaskTask], dict[str, Any]]) -> dict[str, Any]:
    """What `work` returns, with the place where it was done.

    Raises:
        ChunkFailed: if it could not be done here.
    """
    task = DaskTask()
    try:
        return {**work(task), "host": socket.gethostname(), "worker": task.address}
    except (BackendcheckError, ChunkFailed) as error:
        failed = ChunkFailed(f"{error} (on {socket.gethostname()})")
    except OSError as error:
        what = f"{error.filename or 'temporary files'}: cannot be written or read ({error.strerror or error})"
        failed = ChunkFailed(f"{what} on {socket.gethostname()}. Free the space there, or make it accessible")
    failed.worker = task.address
    raise failed


def workers_of_error(error: BaseException | None) -> set[str]:
    """The addresses of the workers that an error names: the one that raised it, or the last one that was lost."""
    last = getattr(error, "last_worker", None)
    named = [getattr(error, "worker", ""), getattr(last, "address", "")]
    return {str(address) for address in named if address}


def error_in_words(error: BaseException | None) -> str:
    """Why a task of Dask failed."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        last = getattr(error.last_worker, "address", error.last_worker)
        return f"its workers were lost {error.allowed_failures + 1} times, at last {last}"
    return f"{error}" if type(error).__name__ == "ChunkFailed" else f"{type(error).__name__}: {error}"


def check_harness(expected: str) -> None:
    """Refuse work where backendcheck is not the same as where the command was started.

    Raises:
        ChunkFailed: if it is another.
    """
    if expected != harness():
        message = f"the worker has another backendcheck ({harness()[:8]}); expected {expected[:8]}. Install the same one there"
        raise ChunkFailed(message)


def _recorded(job: Job, bundle: bytes, task: DaskTask) -> dict[str, Any]:
    check_harness(job.harness)
    with temporary_directory("farm") as folder:
        project = folder / "project"
        project.mkdir()
        unpack(bundle, job.bundle, project)
        request = on_this_machine(RecordingRequest.from_json(job.request), folder / "out")
        limit_s = request.timeout_s + request.start_timeout_s + _MARGIN_S
        signs = _Signs(task)
        with _watched(task, signs, limit_s) as stop:
            try:
                variables = _variables(project, job.import_folders, request.workers)
                ends = record_all([request], signs, stop, directory=project, variables=variables)
            except Stopped:
                hangs = f"the recording gave no sign of life for {limit_s:g} s and was ended"
                raise ChunkFailed(hangs if task.is_wanted() else "the recording is not needed any more") from None
        end = ends[request.backend.value]
        if not end.recorded:
            raise ChunkFailed(end.message or f"the recording left nothing (exit code {end.exit_code})")
        piece = _piece(request)
        is_whole = read_environment(request.leg).exit_state is ExitState.COMPLETE
        return {"content": piece.content, "sha256": piece.sha256, "is_whole": is_whole, "message": end.message}


def on_this_machine(request: RecordingRequest, out: Path) -> RecordingRequest:
    """The request on this machine, whose built-in cases may lie elsewhere."""
    paths = [
        str(builtin_cases() / inside) if (inside := path.removeprefix(f"{BUILT_IN}/")) != path else path for path in request.paths
    ]
    return replace(request, paths=paths, out=out, store=None)


def _piece(request: RecordingRequest) -> Bundle:
    """The leg, and the legs with faults injected below a folder of its own."""
    injected = {f"{INJECTED_LEGS}/{fault}/": request.injection_leg(fault) for fault in request.injections}
    return packed({
        f"{prefix}{name}": path for prefix, leg in {"": request.leg, **injected}.items() for name, path in files_in(leg).items()
    })


def _variables(project: Path, import_folders: tuple[str, ...], n_processes: int) -> dict[str, str]:
    """What a recording gets beside the variables of the worker: the folders of the project, and as many threads as elsewhere.

    Dask gives its workers one thread.
    """
    import dask.config

    threads = max(1, (os.cpu_count() or 1) // n_processes)
    of_dask = dask.config.get("distributed.nanny.pre-spawn-environ", {})
    variables = {
        name: str(threads) for name, value in of_dask.items()
        if name.endswith("_NUM_THREADS") and os.environ.get(name) == str(value)
    }  # fmt: skip
    behind = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    folders = [str(project / folder) for folder in import_folders]
    return variables | ({"PYTHONPATH": os.pathsep.join([*folders, *behind])} if folders else {})


class DaskTask:
    """The running task of Dask: whether it is still needed, and how it tells its progress."""

    def __init__(self) -> None:
        from distributed import get_worker

        self._worker: Any = get_worker()
        self._key = self._worker.get_current_task()
        self.address = str(self._worker.address)

    def is_wanted(self) -> bool:
        """Whether the task was neither taken back nor given to another worker, and the worker goes on."""
        state = self._worker.state.tasks.get(self._key)
        is_running = state is not None and state.state in ("executing", "long-running")
        return is_running and self._worker.status.name not in ("closing", "closed")

    def tell(self, case: str, n_done: int) -> None:
        """Tell the clients how far it is."""
        sign = {"key": str(self._key), "case": case, "n_done": n_done, "host": socket.gethostname()}
        with contextlib.suppress(Exception):  # the scheduler may be gone; progress is for people only
            self._worker.log_event(TOPIC, sign)


class _Signs(Progress):
    """Notes when the controller has last given a sign of life, and tells the progress."""

    def __init__(self, task: DaskTask) -> None:
        self.last_s = time.monotonic()
        self._case, self._task = "", task

    def collected(self, leg: str, n_cases: int) -> None:  # noqa: ARG002 - there is one leg
        self.last_s = time.monotonic()

    def started(self, leg: str, case: str) -> None:  # noqa: ARG002
        self.last_s = time.monotonic()
        self._case = case

    def finished(self, leg: str, n_done: int) -> None:  # noqa: ARG002
        self.last_s = time.monotonic()
        self._task.tell(self._case, n_done)


@contextlib.contextmanager
def _watched(task: DaskTask, signs: _Signs, limit_s: float) -> Iterator[threading.Event]:
    """An event that is set once the recording is not needed any more, or has given no sign of life for `limit_s`."""
    stop, ended = threading.Event(), threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            if not task.is_wanted() or time.monotonic() - signs.last_s > limit_s:
                stop.set()
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        ended.set()
        thread.join()
