"""A leg in chunks: shards of it, as `--shard` makes them, of about the same time each. What identifies a chunk is in its key."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from backendcheck.case_files import (
    BUILT_IN,
    builtin_cases,
    case_functions,
    find_case_files,
    is_built_in,
    split_node_id,
)
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.farm.bundle import Bundle
from backendcheck.farm.task import Job
from backendcheck.recordings.environment import Environment
from backendcheck.recordings.files import read_environment
from backendcheck.sessions.conditions import harness
from backendcheck.sessions.request import RecordingRequest
from backendcheck.vocabulary.shards import Shard

CHUNK_S = 120.0
"""How long a chunk should take: a lost one costs little, and starting a backend is a small part of it."""
_USUAL_S = 0.3  # a case that has not been timed
_MOST = 9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One shard of one leg. `leg` is its name, `backend` what a worker needs for it, and `job` what it is asked for.

    The `key` is the same whenever the same is to be recorded: cases, source files, options, backendcheck.
    """

    leg: str
    backend: str
    shard: Shard
    key: str
    job: str = field(repr=False)

    @property
    def name(self) -> str:
        """The chunk in a message."""
        return f"{self.leg} chunk {self.shard}"


Plan = tuple[int, Mapping[str, float]]
"""By what a leg is divided: the number of chunks, and how long cases took before."""


def plan_of(request: RecordingRequest, earlier_runs: Sequence[Path], chunk_s: float) -> Plan:
    """How to divide a leg. Without durations of an earlier run the cases are counted."""
    seconds = request.seconds_before or _earlier_seconds(request, earlier_runs)
    total_s = sum(seconds.values()) or _USUAL_S * _n_functions(request)
    return min(_MOST, max(1, math.ceil(total_s / chunk_s))), seconds


def chunks_of(request: RecordingRequest, plan: Plan, bundle: Bundle) -> list[Chunk]:
    """The chunks of the leg of a request."""
    of, seconds = plan
    asked = replace(
        request, out=Path("out"), paths=[_relative(path) for path in request.paths], store=None, fresh=True, first=(),
        resume=False, retry=False, overwrite=False, seconds_before=seconds,
    )  # fmt: skip
    return [_chunk(asked, Shard(number=number, of=of), bundle) for number in range(1, of + 1)]


def _chunk(request: RecordingRequest, shard: Shard, bundle: Bundle) -> Chunk:
    text = replace(request, shard=shard).to_json()
    key = hashlib.sha256(f"{text}\0{bundle.sha256}\0{harness()}".encode()).hexdigest()[:32]
    job = Job(request=text, bundle=bundle.sha256, harness=harness(), import_folders=import_folders())
    leg = request.backend
    return Chunk(leg=leg.value, backend=leg.backend.value, shard=shard, key=key, job=job.to_json())


def _relative(path: str) -> str:
    """A path or node id relative to the project, or as one of the built-in cases, which lie elsewhere on the worker."""
    file, rest = split_node_id(path)
    if is_built_in(file):
        return f"{BUILT_IN}/{file.absolute().relative_to(builtin_cases().absolute()).as_posix()}{rest}"
    return f"{file.absolute().relative_to(Path.cwd()).as_posix()}{rest}"


def import_folders() -> tuple[str, ...]:
    """The folders below this one from which Python imports here, such as `src` of a project that was installed editable."""
    entries = (Path(entry) for entry in sys.path if entry and os.path.isabs(entry))  # noqa: PTH117 - an entry may be anything
    inside = (entry.relative_to(Path.cwd()) for entry in entries if entry.is_relative_to(Path.cwd()) and entry.is_dir())
    hidden = {"site-packages", "dist-packages"}
    return tuple(dict.fromkeys(folder.as_posix() for folder in inside if not hidden & {*folder.parts}))


def _n_functions(request: RecordingRequest) -> int:
    """About as many cases as there are; of a self-test, recordings of those that faults are injected into."""
    injected = [case for cases in request.injections.values() for case in cases]
    n = 0 if "*" in injected else len(injected)
    for file in find_case_files([*request.paths] or [str(builtin_cases())]) if n == 0 else ():
        with contextlib.suppress(UsageError):  # a file that does not parse has a message of its own when it is recorded
            n += len(case_functions(file))
    return n


def _earlier_seconds(request: RecordingRequest, earlier_runs: Sequence[Path]) -> Mapping[str, float]:
    """How long the cases of this leg took in the first of these runs that has recorded the same selection."""
    for run in earlier_runs:
        with contextlib.suppress(UnreadableInput):
            earlier = read_environment(run / request.backend.folder)
            if earlier.seconds and _selects(earlier) == _selects(request):
                return {case: seconds for case, seconds in sorted(earlier.seconds.items()) if seconds}
    return {}


def _selects(source: RecordingRequest | Environment) -> tuple[object, ...]:
    selection = source.selection
    return selection.paths, selection.keyword, selection.marks
