"""What a worker of a farm does in an exploration: a batch of requests in a warm process of one leg, or scripts in a fresh one.

A process stays warm between batches, and ends when none has come for a while, or at once when its batch is not needed any more.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backendcheck.errors import BackendcheckError
from backendcheck.explore.confirm import run_scripts
from backendcheck.explore.legs import Legs
from backendcheck.farm.bundle import unpack
from backendcheck.farm.task import ChunkFailed, DaskTask, answered, check_harness
from backendcheck.recordings.files import as_bytes
from backendcheck.repro.run_script import Raised
from backendcheck.sessions.leg_packages import install_packages
from backendcheck.temporary import temporary_directory
from backendcheck.vocabulary.leg_names import parse_leg

_IDLE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch for one leg. `scripts` are texts by name; without them the `requests` are answered.

    `bundle`, `harness` and `import_folders` are those of `farm.task.Job`.
    """

    leg: str
    device: str
    bundle: str
    harness: str
    import_folders: Sequence[str]
    requests: Sequence[Mapping[str, Any]] = ()
    scripts: Mapping[str, str] | None = None

    def to_json(self) -> str:
        """The batch as text."""
        return json.dumps(asdict(self))


def answer_batch(text: str, bundle: bytes) -> dict[str, Any]:
    """Answer a batch; returns the answers as JSON with its digest, and where they were given.

    Raises:
        ChunkFailed: if that is not possible here.
    """
    return answered(lambda task: _answers(Batch(**json.loads(text)), bundle, task))


def _answers(batch: Batch, bundle: bytes, task: DaskTask) -> dict[str, Any]:
    check_harness(batch.harness)
    install_packages(parse_leg(batch.leg))
    content = _requests_answered(batch, bundle, task) if batch.scripts is None else _scripts_run(batch, bundle)
    packed = json.dumps(content).encode()
    return {"content": packed, "sha256": hashlib.sha256(packed).hexdigest(), "is_whole": True, "message": ""}


def _requests_answered(batch: Batch, bundle: bytes, task: DaskTask) -> dict[str, Any]:
    answers: list[Any] = []
    with _warm(batch, bundle) as legs:
        before = legs.n_restarts
        observed = [request for request in batch.requests if request["do"] == "observe"]
        for request in observed:
            legs.submit(request)
        for request in batch.requests:
            if not task.is_wanted():
                message = "the batch is not needed any more"
                raise ChunkFailed(message)
            if request["do"] == "observe":
                answers.append(base64.b64encode(as_bytes(legs.next_recordings()[batch.leg])).decode("ascii"))
            else:
                answers.append(legs.describe(request["target"])[batch.leg])
        return {"answers": answers, "environment": legs.environments[batch.leg], "n_restarts": legs.n_restarts - before}


def _scripts_run(batch: Batch, bundle: bytes) -> dict[str, Any]:
    with temporary_directory("explore") as folder:
        project, *imports = _project(batch, bundle, folder)
        paths = {name: folder / name for name in batch.scripts or ()}
        for name, path in paths.items():
            path.write_text((batch.scripts or {})[name], encoding="utf-8")
        printed = run_scripts(list(paths.values()), [batch.leg], batch.device, (project, *imports))
    values = {name: printed[path][batch.leg] for name, path in paths.items()}
    return {"values": {name: {"raises": value.text} if isinstance(value, Raised) else value for name, value in values.items()}}


def _project(batch: Batch, bundle: bytes, folder: Path) -> list[Path]:
    """Unpack the project below a folder; returns its place, and those of its folders from which it imports."""
    project = folder / "project"
    project.mkdir()
    unpack(bundle, batch.bundle, project)
    return [project, *(project / name for name in batch.import_folders)]


# --- warm processes ----------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Warm:
    legs: Legs
    stack: contextlib.ExitStack
    since_s: float = 0.0


_idle: dict[tuple[str, str, str], list[_Warm]] = {}
_lock = threading.Lock()


@contextlib.contextmanager
def _warm(batch: Batch, bundle: bytes) -> Iterator[Legs]:
    """A process of the leg in use by no one else: one that is idle, or a new one."""
    kind = batch.leg, batch.device, batch.bundle
    with _lock:
        warm = _idle[kind].pop() if _idle.get(kind) else None
    warm = warm or _started(batch, bundle)
    try:
        yield warm.legs
    except BaseException:  # it still has requests to answer
        warm.stack.close()
        raise
    warm.since_s = time.monotonic()
    with _lock:
        _idle.setdefault(kind, []).append(warm)
    timer = threading.Timer(_IDLE_S, end_idle, [_IDLE_S])
    timer.daemon = True
    timer.start()


def _started(batch: Batch, bundle: bytes) -> _Warm:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_directory("explore"))
        project, *imports = _project(batch, bundle, folder)
        legs = stack.enter_context(Legs([batch.leg], batch.device, directory=project, imports=imports))
        return _Warm(legs=legs, stack=stack.pop_all())


def end_idle(idle_s: float = 0.0) -> None:
    """End the processes of this worker that have had nothing to do for so long."""
    with _lock:
        now = time.monotonic()
        ended = [warm for each in _idle.values() for warm in each if now - warm.since_s >= idle_s]
        for each in _idle.values():
            each[:] = [warm for warm in each if warm not in ended]
    for warm in ended:
        with contextlib.suppress(BackendcheckError, OSError):
            warm.stack.close()
