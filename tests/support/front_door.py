"""The command as a user starts it: in a process of its own, in a project directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.recordings.environment import Environment
from backendcheck.recordings.files import read_environment, read_recording
from backendcheck.recordings.recording import Recording
from backendcheck.sessions.request import RecordingRequest
from backendcheck.vocabulary.leg_names import parse_leg

# How this test session itself is run must not show in the sessions that it starts.
_OWN = ("PYTEST_", "KERAS_", "JAX_", "TF_", "GITHUB_STEP_SUMMARY", "FORCE_COLOR", "NO_COLOR", "COLUMNS")


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    exit_code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        return self.out + self.err


def variables(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a command: ours without what is about this test session, with `env`."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OWN)} | dict(env or {})


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "backendcheck", *map(str, arguments)]


def backendcheck(*arguments: object, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 600) -> Ended:
    """Run the command to its end. Whatever happens, no traceback reaches the user."""
    done = subprocess.run(
        command(*arguments), cwd=cwd, env=variables(env), capture_output=True, encoding="utf-8", errors="backslashreplace",
        timeout=timeout, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert "Traceback (most recent call last)" not in done.stdout + done.stderr, done.stdout + done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


def project(folder: Path, files: Mapping[str, str]) -> Path:
    """A project directory with these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def line_of(text: str, start: str) -> int:
    """The number of the first line of a project file that starts so."""
    return next(n for n, line in enumerate(textwrap.dedent(text).splitlines(), 1) if line.startswith(start))


@dataclass(frozen=True)
class Session:
    """A recording session that has ended: what the command said and what is on disk."""

    ended: Ended
    leg: Path
    environment: Environment
    recordings: Mapping[str, Recording]

    @property
    def statuses(self) -> dict[str, str]:
        return {case: recording.status for case, recording in self.recordings.items()}

    @property
    def problems(self) -> list[str]:
        return [f"{problem.file}:{problem.line}: {problem.message}" for problem in self.environment.problems]

    def value(self, case: str, name: str = "v") -> Any:
        return self.recordings[case].observations[f"value/{name}"].value.tolist()


def record(folder: Path, *arguments: object, backend: str = "jax", env: Mapping[str, str] | None = None) -> Session:
    """Record the project in `folder` and read what was recorded."""
    ended = backendcheck("record", *arguments, "--backend", backend, "--out", "out", cwd=folder, env=env)
    return session(folder / "out" / backend, ended)


def record_request(folder: Path, *paths: str, backend: str = "jax", **fields: Any) -> Session:
    """Record what a request asks for, as a parent process has it recorded."""
    path = folder / f"{backend}-request.json"
    RecordingRequest(backend=parse_leg(backend), out=folder / "out", paths=paths, **fields).save(path)
    return session(folder / "out" / backend, backendcheck("record", "--request", path, cwd=folder))


def session(leg: Path, ended: Ended) -> Session:
    assert leg.is_dir(), ended.words
    found = [read_recording(path) for path in sorted((leg / "recordings").rglob("*.safetensors"))]
    return Session(ended, leg, read_environment(leg), {recording.case: recording for recording in found})
