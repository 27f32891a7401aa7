"""Give chunks to the workers of a cluster and take what comes back: once each, whatever happens to workers and scheduler.

Dask runs a task again whose worker is lost, a few times. All else is decided here: a chunk that failed goes to another worker, a
piece that does not fit is refused together with its worker, a leg without a worker is given up after a while, and when the
scheduler is lost, what is not here yet is asked for again.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from backendcheck.errors import BackendcheckError, UsageError
from backendcheck.farm.bundle import Bundle
from backendcheck.farm.cluster import Worker, connected, workers_of
from backendcheck.farm.task import TOPIC, error_in_words, record_chunk, workers_of_error

if TYPE_CHECKING:
    from distributed import Client, Future

_ATTEMPTS = 3  # of a chunk, each on another worker if there is one
_POLL_S = 0.2
_IN_HAND = 2  # chunks for each that a worker can record at a time: that one, and the next
_LOOK_AT_WORKERS_EVERY_S = 2.0
_FETCH_S = 60.0
_KNOWN = ("pending", "finished", "error")  # all other states of a task say that the scheduler has lost it


class Work(Protocol):
    """What one worker does at a time, such as a chunk of a leg. `backend` is what it needs for it, `job` what it is asked for."""

    @property
    def leg(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def job(self) -> str: ...
    @property
    def name(self) -> str: ...


W = TypeVar("W", bound=Work)


@dataclass(frozen=True, slots=True)
class Sign:
    """Progress of the chunk with this key: how many of its cases have ended, the last of them, and where."""

    key: str
    n_done: int
    case: str
    host: str


@dataclass(slots=True, kw_only=True)
class _Task:
    """A chunk that is not recorded yet. `failed_on` are the workers that could not."""

    chunk: Work
    future: Future | None = None
    only_on: frozenset[str] = frozenset()
    failed_on: set[str] = field(default_factory=set)
    n_failed: int = 0
    n_submitted: int = 0
    reason: str = ""


class Dispatch(Generic[W]):
    """Has chunks recorded. `take` is called with each piece, and says in what it does not fit; `tell` with lines for people.

    `function` is what the workers call with the job of a chunk and the files of the project.
    given_up: why, for each key of a chunk that could not be recorded.
    """

    def __init__(
        self, where: Any, bundle: Bundle, wait_s: float,
        take: Callable[[W, Mapping[str, Any]], list[str]], show: Callable[[Sign], None], tell: Callable[[str], None],
        function: Callable[[str, bytes], dict[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        self._where, self._bundle, self._wait_s = where, bundle, wait_s
        self._take: Callable[[Any, Mapping[str, Any]], list[str]] = take
        self._show, self._tell = show, tell
        self._function = function or record_chunk
        self._coming: queue.SimpleQueue[W] = queue.SimpleQueue()
        self._tasks: dict[str, _Task] = {}
        self._wake = threading.Event()
        self._signs: queue.SimpleQueue[Sign] = queue.SimpleQueue()
        self._refused: dict[str, set[str]] = {}  # workers by leg
        self._served_s: dict[str, float] = {}  # when a leg was last served
        self.given_up: dict[str, str] = {}

    def record(self, chunks: Sequence[W]) -> dict[str, str]:
        """Record all chunks; returns why, for each key of one that could not be recorded.

        Raises:
            UsageError: if no scheduler answers at the start.
        """
        self.add(chunks)
        self.go_on(lambda: not self._tasks)
        return self.given_up

    def add(self, chunks: Sequence[W]) -> None:
        """Ask for more, from any thread."""
        for chunk in chunks:
            self._coming.put(chunk)
        self._wake.set()

    def go_on(self, is_over: Callable[[], bool]) -> None:
        """Record what was asked for until it is over.

        Raises:
            UsageError: if no scheduler answers at the start.
        """
        tasks = self._tasks
        lost_s, is_first = time.monotonic(), True
        while True:
            self._take_coming()
            if is_over():
                return
            try:
                with connected(self._where) as client:
                    is_first = False
                    self._with_scheduler(client, is_over)
            except UsageError as error:
                if is_first:
                    raise
                if time.monotonic() - lost_s > self._wait_s:
                    for task in tasks.values():
                        self._give_up(task, f"the scheduler is lost ({error})")
                    tasks.clear()
                time.sleep(_POLL_S)
                continue
            lost_s = time.monotonic()
            if not is_over():
                self._tell("the connection to the scheduler is lost; chunks that are not here yet are asked for again")

    def _take_coming(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                chunk = self._coming.get_nowait()
                self._tasks[chunk.key] = _Task(chunk=chunk)
                self._served_s[chunk.leg] = time.monotonic()

    def _with_scheduler(self, client: Client, is_over: Callable[[], bool]) -> None:
        """Go on until it is over, or the scheduler is lost. Its tasks are then taken back, so that workers are free."""
        tasks = self._tasks
        self._served_s = dict.fromkeys({task.chunk.leg for task in tasks.values()}, time.monotonic())
        client.subscribe_topic(TOPIC, self._hear)
        project = client.submit(bytes, self._bundle.content, key=f"project-{self._bundle.sha256}")
        workers, looked_s = workers_of(client), time.monotonic()
        try:
            while not is_over() and client.status == "running":
                if time.monotonic() - looked_s > _LOOK_AT_WORKERS_EVERY_S:
                    workers, looked_s = workers_of(client), time.monotonic()
                    self._look(client, tasks, workers)
                if any(task.future.status not in _KNOWN for task in tasks.values() if task.future):
                    return
                self._follow(tasks)
                self._fill(client, tasks, project, workers)
                self._wake.wait(_POLL_S)
                self._wake.clear()
                self._take_coming()
        except (OSError, CancelledError, asyncio.CancelledError, RuntimeError):  # what Dask raises where the scheduler is gone
            if client.status == "running":
                raise
        finally:
            futures = [task.future for task in tasks.values() if task.future is not None]
            for task in tasks.values():
                task.future = None
            with contextlib.suppress(Exception):
                if futures and client.status == "running":
                    client.cancel(futures)

    def _fill(self, client: Client, tasks: Mapping[str, _Task], project: Future, workers: Sequence[Worker]) -> None:
        """Submit what workers can record now, and as much again, so that none waits. Dask divides all at once, and unevenly."""
        running = [task.chunk.backend for task in tasks.values() if task.future is not None]
        free = _IN_HAND * sum(worker.slots for worker in workers) - len(running)
        slots = Counter[str]()
        for worker in workers:
            slots.update(dict.fromkeys(worker.legs, _IN_HAND * worker.slots))
        slots.subtract(running)
        for task in tasks.values():
            backend = task.chunk.backend
            if free > 0 and task.future is None and slots[backend] > 0 and self._submit(client, task, project, workers):
                free -= 1
                slots[backend] -= 1

    def _follow(self, tasks: dict[str, _Task]) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._show(self._signs.get_nowait())
        for key, task in list(tasks.items()):
            if task.future is None or task.future.status not in ("finished", "error"):
                continue
            try:
                reason = self._outcome(task)
            except TimeoutError:
                continue  # its worker was lost before the piece was here; Dask repeats the task
            if reason is None:
                del tasks[key]
                continue
            task.n_failed += 1
            task.reason = reason
            if task.n_failed >= _ATTEMPTS:
                self._give_up(task, reason)
                del tasks[key]
                continue
            self._tell(f"{task.chunk.name}: {reason}; it is given to another worker")
            task.future = None

    def _outcome(self, task: _Task) -> str | None:
        """Why a task that has ended has to be repeated; None if its piece was taken."""
        future = task.future
        assert future is not None  # noqa: S101 - for the type checker
        if future.status == "error":
            error = future.exception(timeout=_FETCH_S)
            task.failed_on |= workers_of_error(error)
            return error_in_words(error)
        try:
            piece = future.result(timeout=_FETCH_S)
            address = str(piece["worker"])
            different = self._take(task.chunk, piece)
        except BackendcheckError as error:
            return str(error)
        if different:
            self._refuse(task.chunk.leg, address, piece, different)
            task.n_failed -= 1  # the chunk is not to blame
            return f"refused from {piece['host']}: {'; '.join(different)}"
        if not piece["is_whole"]:
            task.failed_on.add(address)
            if task.n_failed + 1 < _ATTEMPTS:
                return f"ended early on {piece['host']}: {piece['message'] or 'see the report'}"
        return None

    def _refuse(self, leg: str, address: str, piece: Mapping[str, Any], different: Sequence[str]) -> None:
        refused = self._refused.setdefault(leg, set())
        if address not in refused:
            refused.add(address)
            self._tell(f"worker {address} on {piece['host']} records no more of {leg}: {'; '.join(different)}")

    def _submit(self, client: Client, task: _Task, project: Future, workers: Sequence[Worker]) -> bool:
        """Submit a chunk; False if no worker may have it."""
        able = {worker.address for worker in workers if task.chunk.backend in worker.legs}
        refused = self._refused.get(task.chunk.leg, set())
        wanted = able - refused - task.failed_on or able - refused
        # Workers that come later are welcome, unless some must not have it.
        task.only_on = frozenset(wanted if wanted < able else ())
        if refused and not wanted:
            return False
        task.n_submitted += 1
        leg = task.chunk.leg.replace("/", "~")
        task.future = client.submit(
            self._function, task.chunk.job, project, key=f"record_{leg}-{task.chunk.key}-{task.n_submitted}",
            resources={task.chunk.backend: 1}, workers=sorted(task.only_on) or None, pure=False,
        )  # fmt: skip
        task.future.add_done_callback(lambda _: self._wake.set())
        return True

    def _look(self, client: Client, tasks: dict[str, _Task], workers: Sequence[Worker]) -> None:
        """Give up legs without a worker, and take chunks back whose only workers have gone."""
        now = time.monotonic()
        addresses = {worker.address for worker in workers}
        for key, task in list(tasks.items()):
            refused = self._refused.get(task.chunk.leg, set())
            if any(task.chunk.backend in worker.legs and worker.address not in refused for worker in workers):
                self._served_s[task.chunk.leg] = now
                if task.future is not None and task.only_on and not task.only_on & addresses:
                    client.cancel([task.future])
                    task.future = None
            elif now - self._served_s.setdefault(task.chunk.leg, now) > self._wait_s:
                if task.future is not None:
                    client.cancel([task.future])
                self._give_up(task, f"no worker serves {task.chunk.backend} since {self._wait_s:g} s")
                del tasks[key]

    def _give_up(self, task: _Task, reason: str) -> None:
        before = f" Before that: {task.reason}." if task.reason and task.reason != reason else ""
        self.given_up[task.chunk.key] = f"{reason}.{before}"

    def _hear(self, event: tuple[float, Any]) -> None:
        content = event[1]
        if isinstance(content, dict) and {"key", "n_done", "case", "host"} <= content.keys():
            key = str(content["key"]).rpartition("-")[0].rpartition("-")[2]
            self._signs.put(Sign(key, int(content["n_done"]), str(content["case"]), str(content["host"])))
