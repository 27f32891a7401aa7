"""What a recording session gives to its controller and workers: the request, and what the session has decided about it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from backendcheck.case_files import builtin_cases, is_built_in
from backendcheck.files import write_atomically
from backendcheck.recordings.files import move_recording, write_recording
from backendcheck.recordings.recording import Recording
from backendcheck.sessions.request import CODEC, RecordingRequest
from backendcheck.sessions.worker_files import WorkerFiles
from backendcheck.vocabulary.shards import divided


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """A recording session. Its file is named by an environment variable, which workers inherit.

    `run` is the run id, `work` the directory of the worker files, and `directory` where the session was started. `kept` are the
    cases of which an earlier session has left a recording. `resumes` says that there was one: its conditions are then in the
    environment file of the leg.
    """

    VARIABLE: ClassVar[str] = "BACKENDCHECK_SESSION"

    request: RecordingRequest
    run: str
    work: Path
    directory: Path
    kept: Sequence[str] = ()
    resumes: bool = False

    def save(self) -> Path:
        """Write the file into the work directory; returns its path."""
        path = self.files.session
        write_atomically(path, json.dumps(CODEC.encode(self)).encode())
        return path

    @classmethod
    def load(cls, path: Path) -> SessionState:
        """Read the file."""
        return CODEC.decode(cls, json.loads(path.read_text(encoding="utf-8")))

    @property
    def files(self) -> WorkerFiles:
        """The files through which controller and workers exchange notes."""
        return WorkerFiles(self.work)

    @property
    def backend(self) -> str:
        """The name of the leg."""
        return self.request.backend.value

    @property
    def keras_backend(self) -> str:
        """The name of its backend."""
        return self.request.backend.backend.value

    def wants(self, case: str) -> bool:
        """Whether a case is recorded at all: `only` excludes all other cases, and faults those into which none is injected."""
        only, injections = self.request.only, self.request.injections
        return (not only or case == only) and (not injections or bool(self.faults_for(case)))

    def in_shard(self, cases: Collection[str]) -> frozenset[str]:
        """Those of all cases that are in the shard that is recorded."""
        shard = self.request.shard
        if shard is None:
            return frozenset(cases)
        numbers = divided(cases, shard.of, self.request.seconds_before)
        return frozenset(case for case, number in numbers.items() if number == shard.number)

    def comes_first(self, case: str) -> bool:
        """Whether a case is recorded before the others."""
        return case in self.request.first or case.partition("/")[0] in self.request.first

    def faults_for(self, case: str) -> list[str]:
        """The faults to be injected into a case."""
        return [fault for fault, cases in self.request.injections.items() if case in cases or "*" in cases]

    def case_file(self, path: Path) -> str:
        """The path of a case file as reports name it: relative to where the session was started, if it is below.

        A built-in case has its path in the repository otherwise, so that its report is the same wherever it was recorded.
        """
        if path.is_relative_to(self.directory):
            return str(path.relative_to(self.directory))
        if is_built_in(path):
            return f"cases/{path.relative_to(builtin_cases()).as_posix()}"
        return f"{path.parent.name}/{path.name}"

    def write(self, leg: Path, recording: Recording) -> None:
        """Write a recording below the directory of a leg, at a path that no other case of the session shares."""
        write_recording(leg, recording, distinct=self.files.is_alike(recording.case))

    def finish(self, unfinished: Path, leg: Path, case: str) -> None:
        """Move a recording that `write` has written below `unfinished` to below the directory of a leg."""
        move_recording(unfinished, leg, case, distinct=self.files.is_alike(case))

    def note_problem(self, path: Path, line: int, message: str) -> None:
        """Note what is wrong with a case file."""
        self.files.note_problem(self.case_file(path), line, message)
