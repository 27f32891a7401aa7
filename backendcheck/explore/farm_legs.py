"""The legs of an exploration on a farm: batches of requests in, recordings out, in the order in which they were asked for."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from backendcheck.errors import BackendcheckError, UnreadableInput, UsageError
from backendcheck.explore.confirm import Outcomes
from backendcheck.explore.farm_batch import Batch, answer_batch, end_idle
from backendcheck.explore.legs import BATCH, Legs, Request
from backendcheck.farm.bundle import packed, project_files
from backendcheck.farm.chunks import import_folders
from backendcheck.farm.cluster import cluster, connected, workers_of
from backendcheck.farm.dispatch import Dispatch
from backendcheck.farm.recording import Farm
from backendcheck.recordings.files import from_bytes
from backendcheck.recordings.recording import Recording
from backendcheck.repro.run_script import Raised
from backendcheck.sessions.conditions import harness
from backendcheck.vocabulary.leg_names import parse_leg

_LOOK_EVERY_S = 0.2
# How many situations a worker gets at a time: a share of the batch, whose size decides in which order situations are looked at.
_SIZES = (48, 24, 16, 12, 8, 4)


class FarmLost(BackendcheckError):
    """The farm cannot go on with an exploration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A batch as it is given to a worker."""

    leg: str
    backend: str
    key: str
    job: str

    @property
    def name(self) -> str:
        """The batch in a message."""
        return f"a batch of {self.leg}"


class FarmLegs(Legs):
    """The legs of an exploration, on the workers of a farm. `tell` takes lines about what was lost or refused."""

    def __init__(
        self, names: Sequence[str], device: str, farm: Farm, targets: Sequence[str], out: Path, tell: Callable[[str], None]
    ) -> None:
        super().__init__(names, device)
        own = not all(target.startswith("keras.") for target in targets)  # modules, packages and files of the project
        files = project_files([str(Path.cwd())], farm.files, Path.cwd(), out.absolute()) if own else {}
        self._farm, self._tell, self._bundle = farm, tell, packed(files)
        self._import_folders = import_folders() if own else ()
        self._size = BATCH
        self._number = itertools.count()
        self._pending: list[Request] = []
        self._sent: deque[tuple[int, dict[str, str]]] = deque()  # number of requests, and keys by leg
        self._came: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()
        self._contents: dict[str, dict[str, Any]] = {}
        self._environments: dict[str, dict[str, Any]] = {}
        self._recordings: deque[dict[str, Recording]] = deque()
        self._n_restarts = 0
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        try:
            where = self._stack.enter_context(cluster(self._farm.address))
            with connected(where) as client:
                n_slots = sum(worker.slots for worker in workers_of(client))
            self._size = next(size for size in _SIZES if size * n_slots <= BATCH or size == _SIZES[-1])
            self._stack.enter_context(self._dispatched(where))
            for key in self._send([]).values():
                self._content(key)  # that each leg can be used
        except FarmLost as error:
            self._stack.close()
            raise UsageError(str(error)) from None
        except BaseException:
            self._stack.close()
            raise
        return self

    @contextlib.contextmanager
    def _dispatched(self, where: Any) -> Iterator[None]:
        """Batches are given to the workers as long as the block lasts."""
        self._dispatch: Dispatch[_Asked] = Dispatch(
            where, self._bundle, self._farm.wait_s, self._take, lambda _: None, self._tell, answer_batch
        )
        over = threading.Event()

        def run() -> None:
            try:
                self._dispatch.go_on(over.is_set)
            except BaseException as error:  # noqa: BLE001 - raised where an answer is waited for
                self._failure = error

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            self._dispatch.add(())
            thread.join()
            end_idle()  # of local:N

    def _take(self, asked: _Asked, piece: Mapping[str, Any]) -> list[str]:
        """Take the answers to a batch; returns in what the worker differs from the others of its leg."""
        if hashlib.sha256(piece["content"]).hexdigest() != piece["sha256"]:
            message = "the answers were damaged on the way"
            raise UnreadableInput(message)
        content = json.loads(piece["content"])
        if (environment := content.get("environment")) is not None:
            first = self._environments.setdefault(asked.leg, environment)
            if different := list(_differences(environment, first, asked.leg)):
                return different
        self._came.put((asked.key, content))
        return []

    # --- asking -------------------------------------------------------------------------------------------------

    def _send(self, requests: Sequence[Request], scripts: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give a batch to a worker of each leg; returns the keys by leg."""
        asked = []
        for leg in self.names:
            batch = Batch(
                leg=leg, device=self._device, bundle=self._bundle.sha256, harness=harness(), import_folders=self._import_folders,
                requests=requests, scripts=scripts,
            )  # fmt: skip
            job = batch.to_json()
            key = f"{hashlib.sha256(job.encode()).hexdigest()[:24]}{next(self._number):08}"
            asked.append(_Asked(leg=leg, backend=parse_leg(leg).backend.value, key=key, job=job))
        self._dispatch.add(asked)
        return {each.leg: each.key for each in asked}

    def _content(self, key: str) -> dict[str, Any]:
        """Wait for the answers to a batch.

        Raises:
            FarmLost: if it was given up.
        """
        while key not in self._contents:
            with contextlib.suppress(queue.Empty):
                came, content = self._came.get(timeout=_LOOK_EVERY_S)
                self._contents[came] = content
                continue
            if reason := self._dispatch.given_up.get(key):
                message = f"--farm {self._farm.address}: cannot go on: {reason} What was found is kept; go on with --resume."
                raise FarmLost(message)
            if self._failure is not None:
                raise self._failure
        return self._contents.pop(key)

    # --- what a search asks -------------------------------------------------------------------------------------

    @property
    def environments(self) -> dict[str, dict[str, Any]]:
        """Versions, device and settings by leg."""
        return {name: self._environments[name] for name in self.names}

    @property
    def n_restarts(self) -> int:
        """How often a process was started again on the workers."""
        return self._n_restarts

    def submit(self, request: Request) -> None:
        """Send a request to every leg, with others in one batch."""
        self._pending.append(request)
        if len(self._pending) == self._size:
            self._flush()

    def _flush(self) -> None:
        self._sent.append((len(self._pending), self._send(self._pending)))
        self._pending = []

    def next_recordings(self) -> dict[str, Recording]:
        """The recordings of the request that was submitted first, by leg."""
        if not self._recordings:
            if not self._sent:
                self._flush()
            n, keys = self._sent.popleft()
            contents = {leg: self._content(key) for leg, key in keys.items()}
            self._n_restarts += sum(content["n_restarts"] for content in contents.values())
            self._recordings.extend(
                {leg: from_bytes(base64.b64decode(content["answers"][number])) for leg, content in contents.items()}
                for number in range(n)
            )
        return self._recordings.popleft()

    def describe(self, target: str) -> dict[str, dict[str, Any]]:
        """What each leg says of a target."""
        keys = self._send([{"do": "describe", "target": target}])
        return {leg: self._content(key)["answers"][0] for leg, key in keys.items()}

    def run_scripts(self, paths: Sequence[Path], legs: Sequence[str], device: str) -> dict[Path, Outcomes]:
        """What each script prints in one fresh process of each leg."""
        del legs, device  # those of this exploration
        keys = self._send([], {path.name: path.read_text(encoding="utf-8") for path in paths})
        values = {leg: self._content(key)["values"] for leg, key in keys.items()}
        return {path: {leg: _printed(of_leg[path.name]) for leg, of_leg in values.items()} for path in paths}


def _printed(value: Any) -> Any:
    return Raised(value["raises"]) if isinstance(value, dict) and "raises" in value else value


def _differences(environment: Mapping[str, Any], first: Mapping[str, Any], leg: str) -> Iterator[str]:
    for kind in ("versions", "settings"):
        for name in dict.fromkeys([*environment[kind], *first[kind]]):
            left, right = environment[kind].get(name, "none"), first[kind].get(name, "none")
            if left != right:
                yield f"{name} {left} there and {right} in other batches of {leg}"
    if environment["device"] != first["device"]:
        yield f"device {environment['device']} there and {first['device']} in other batches of {leg}"
