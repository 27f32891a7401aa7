"""The files through which a recording session, its controller and its workers exchange notes.

They lie in ``.work`` in the directory of the leg while a session records, and are removed at its end. All other modules use the
names and functions of this one.

| file                 | what it holds                                                        | written by | read by            |
| -------------------- | -------------------------------------------------------------------- | ---------- | ------------------ |
| `session.json`       | the session, see `SessionState`                                      | session    | controller, worker |
| `pytest.ini`         | an empty configuration, where none of the user's may apply           | session    | pytest             |
| `pytest.log`         | what pytest printed                                                  | session    | people             |
| `cache`, `tmp`       | pytest's cache and temporary directories                             | pytest     | pytest             |
| `collected`          | the ids of all cases that the scheduler has distributed              | controller | session            |
| `alike`              | the ids of cases that differ only in upper and lower case            | worker     | controller, worker |
| `seconds`            | how long each case took                                              | controller | session            |
| `keyboard-interrupt` | nothing; it exists if Ctrl-C has ended the session                   | controller | session            |
| `poisoned`           | paths of files that killed the worker that imported them, one a line | controller | worker             |
| `fatal`              | why the session cannot go on                                         | both       | session            |
| `refused`            | why the session is not resumed                                       | worker     | session            |
| `problem-DIGEST`     | what is wrong with a case file: file, line and message               | both       | session            |
| `W.environment`      | versions, settings and device, as in environment.json                | worker     | session, parent    |
| `W.collected`        | the cases that worker W has collected, and their source files        | worker     | session            |
| `W.dependencies`     | what each case of W depends on, one JSON object a case and a line    | worker     | session            |
| `W.importing`        | the path of the file that is being imported; removed afterwards      | worker     | controller         |
| `W.running`          | the item that is being run; removed afterwards                       | worker     | controller         |
| `W.unfinished`       | recordings of an item that is not torn down yet                      | worker     | worker, controller |
| `W.retired`          | why the worker has ended itself between two items                    | worker     | both               |
| `W.timeout`          | the stacks of threads of a case that took too long                   | worker     | controller         |
| `W.stderr`           | everything that the process of W has written                         | worker     | controller         |
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backendcheck.errors import OutputInTheWay
from backendcheck.files import write_atomically
from backendcheck.recordings.environment import CaseFileProblem, Environment
from backendcheck.recordings.leg_directory import WORK
from backendcheck.recordings.paths import alike, is_alike

_PROBLEM = "problem-"
_FOR_MEMORY = "memory"
_DEPENDENCIES = ".dependencies"


@dataclass(frozen=True, slots=True)
class WorkerFiles:
    """The files of one session in `folder`."""

    folder: Path

    @classmethod
    def of_leg(cls, leg: Path) -> WorkerFiles:
        """The files of the session that records into the directory of a leg."""
        return cls(leg / WORK)

    @property
    def session(self) -> Path:
        return self.folder / "session.json"

    @property
    def log(self) -> Path:
        return self.folder / "pytest.log"

    @property
    def cache(self) -> Path:
        return self.folder.resolve() / "cache"  # pytest refuses a path with .. in it

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def of_worker(self, worker: str) -> FilesOfWorker:
        return FilesOfWorker(self.folder, worker)

    def empty_configuration(self) -> Path:
        """Write a configuration of pytest without settings; returns its path."""
        path = self.folder / "pytest.ini"
        path.write_text("[pytest]\n", encoding="utf-8")
        return path

    # --- the end of a session ------------------------------------------------------------------------------------

    def note_interrupt(self) -> None:
        (self.folder / "keyboard-interrupt").touch()

    def was_interrupted(self) -> bool:
        return (self.folder / "keyboard-interrupt").exists()

    def note_fatal(self, message: str) -> None:
        write_atomically(self.folder / "fatal", message.encode())

    def fatal(self) -> str:
        """Why the session cannot go on; empty if it can."""
        return _text(self.folder / "fatal")

    def note_refused(self, message: str) -> None:
        write_atomically(self.folder / "refused", message.encode())

    def refused(self) -> str:
        """Why the session is not resumed; empty if it is, or is a new one."""
        return _text(self.folder / "refused")

    # --- collection ----------------------------------------------------------------------------------------------

    def note_collected(self, cases: Iterable[str]) -> None:
        write_atomically(self.folder / "collected", json.dumps(list(cases)).encode())

    def note_alike(self, cases: Iterable[str]) -> None:
        if ids := sorted(alike(cases)):
            write_atomically(self.folder / "alike", json.dumps(ids).encode())

    def is_alike(self, case: str) -> bool:
        """Whether the id of another case, or its folder, has the same name but for upper and lower case."""
        text = _text(self.folder / "alike")
        return bool(text) and is_alike(case, frozenset(json.loads(text)))

    def note_seconds(self, seconds: Mapping[str, float]) -> None:
        with contextlib.suppress(OutputInTheWay):  # they are for the estimate of a later run
            write_atomically(self.folder / "seconds", json.dumps(seconds).encode())

    def note_poisoned(self, path: str) -> None:
        with (self.folder / "poisoned").open("a", encoding="utf-8") as file:
            file.write(path + "\n")

    def poisoned(self) -> list[str]:
        """The files that killed the worker that imported them."""
        return _text(self.folder / "poisoned").splitlines()

    # --- problems ------------------------------------------------------------------------------------------------

    def note_problem(self, file: str, line: int, message: str) -> None:
        """Note a problem once, even if several workers do."""
        text = json.dumps({"file": file, "line": line, "message": message})
        write_atomically(self.folder / f"{_PROBLEM}{hashlib.sha256(text.encode()).hexdigest()[:16]}", text.encode())

    def problems(self) -> list[CaseFileProblem]:
        """The problems in the order of files and lines."""
        problems = [CaseFileProblem(**note) for note in self._read_all(f"{_PROBLEM}*")]
        return sorted(problems, key=lambda problem: (problem.file, problem.line, problem.message))

    def n_retired_for_memory(self) -> int:
        """The number of workers that have ended themselves because of the memory that they kept."""
        return sum(_text(path) == _FOR_MEMORY for path in self.folder.glob("*.retired"))

    def dependencies(self) -> list[list[dict[str, Any]]]:
        """What each worker has noted about dependencies, in order. A line that a worker did not end is left out."""
        return [
            [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
            for path in sorted(self.folder.glob(f"*{_DEPENDENCIES}"))
        ]

    # --- what becomes of the environment file --------------------------------------------------------------------

    def environments(self) -> list[dict[str, Any]]:
        """The fields of the environment file that each worker has noted."""
        return self._read_all("*.environment")

    def noted(self, environment: Environment) -> Environment:
        """`environment` with what has been noted so far; other fields stay as they are."""
        environments, collections = self.environments(), self._read_all("*.collected")
        if environments:
            environment = replace(environment, **environments[0])
        # The scheduler knows of more cases than the workers noted, if they do not collect the same or one fails meanwhile.
        distributed = json.loads(_text(self.folder / "collected") or "[]")
        if collections or distributed:
            selected = [case for note in collections for case in note["selected"]] if collections else environment.cases
            every = [case for note in collections for case in note["all"]] if environment.selection.shard else []
            sources = {name: digest for note in collections for name, digest in note["sources"].items()}
            environment = replace(
                environment,
                cases=tuple(dict.fromkeys([*selected, *distributed])),
                all_cases=tuple(dict.fromkeys(every)) or environment.all_cases,
                seconds={**environment.seconds, **json.loads(_text(self.folder / "seconds") or "{}")},
                sources=sources or environment.sources,
            )
        return environment

    def _read_all(self, pattern: str) -> list[dict[str, Any]]:
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.folder.glob(pattern))]


@dataclass(frozen=True, slots=True)
class FilesOfWorker:
    """The files that one worker writes."""

    folder: Path
    worker: str

    @property
    def environment(self) -> Path:
        return self.folder / f"{self.worker}.environment"

    @property
    def importing(self) -> Path:
        return self.folder / f"{self.worker}.importing"

    @property
    def running(self) -> Path:
        return self.folder / f"{self.worker}.running"

    @property
    def unfinished(self) -> Path:
        """A directory like that of a leg, with recordings that may still get a note. A later session does not know of them."""
        return self.folder / f"{self.worker}.unfinished"

    @property
    def timeout(self) -> Path:
        return self.folder / f"{self.worker}.timeout"

    @property
    def retired(self) -> Path:
        """It exists once the worker has ended itself between two items, because of what the first had left."""
        return self.folder / f"{self.worker}.retired"

    def note_retired(self, *, for_memory: bool) -> None:
        """Note that the worker ends itself: it has too little memory left, or was left changed."""
        self.retired.write_text(_FOR_MEMORY if for_memory else "", encoding="utf-8")

    @property
    def stderr(self) -> Path:
        return self.folder / f"{self.worker}.stderr"

    def note_running(self, **note: Any) -> None:
        """Note the item that is being run, or more about it."""
        self.running.write_text(json.dumps(self.read_running() | note), encoding="utf-8")

    def read_running(self) -> dict[str, Any]:
        """The item that is being run; empty between items."""
        return dict(json.loads(_text(self.running) or "{}"))

    def note_environment(self, note: Mapping[str, Any]) -> None:
        write_atomically(self.environment, json.dumps(note).encode())

    def note_collected(self, note: Mapping[str, Any]) -> None:
        write_atomically(self.folder / f"{self.worker}.collected", json.dumps(note).encode())

    def note_dependencies(self, note: Mapping[str, Any]) -> None:
        """Add what one case depends on; see `Dependencies`."""
        with (self.folder / f"{self.worker}{_DEPENDENCIES}").open("a", encoding="utf-8") as file:
            file.write(json.dumps(note) + "\n")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
