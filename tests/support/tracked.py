"""A pytest session that is tracked as a recording session is, without a backend: test functions are its cases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from front_door import project, variables

from backendcheck.recordings.dependencies import Now
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.session_state import SessionState
from backendcheck.vocabulary.leg_names import parse_leg


@dataclass(frozen=True)
class Tracked:
    """What one case depends on, and why it cannot be kept."""

    rows: tuple[tuple[str, str, str], ...]
    untracked: tuple[str, ...]

    @property
    def keys(self) -> set[str]:
        return {key for key, _, _ in self.rows}

    def is_unchanged(self, now: Now) -> bool:
        return all(now.is_unchanged(*row) for row in self.rows)


def tracked(folder: Path, files: Mapping[str, str], env: Mapping[str, str] | None = None, *paths: str) -> dict[str, Tracked]:
    """Run the test functions of a project; returns what each depends on by its name, the collection by an empty one."""
    project(folder, files)
    request = RecordingRequest(backend=parse_leg("torch"), out=folder / "out", store=folder / "store")
    work = folder / "out" / "torch" / ".work"
    work.mkdir(parents=True, exist_ok=True)
    for notes in work.glob("*.dependencies"):
        notes.unlink()
    session = SessionState(request=request, run="0", work=work, directory=folder)
    path = session.save()
    search = os.pathsep.join([str(folder), str(Path(__file__).parent)])
    environment = variables({**(env or {}), SessionState.VARIABLE: str(path), "PYTHONPATH": search})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tracking_plugin", "-p", "no:cacheprovider", "--import-mode=importlib",
         "--rootdir=.", "-c", os.devnull, "-o", "python_files=*.py",
         f"--basetemp={session.files.temporary}", *(paths or ("cases",))],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result, rows = {}, list[tuple[str, str, str]]()
    for note in session.files.dependencies()[0]:
        rows += [(key, value, identity) for key, value, identity in note["new"]]
        name = note["case"].rpartition("/")[2]
        result[name] = Tracked(tuple(rows[number] for number in note["rows"]), tuple(note["untracked"]))
    return result


def changed(cases: Mapping[str, Tracked], env: Mapping[str, str]) -> set[str]:
    """The cases of which something that they depend on has changed."""
    now = Now(env)
    return {name for name, case in cases.items() if name and not case.is_unchanged(now)}


def not_kept(cases: Mapping[str, Tracked]) -> set[str]:
    """The cases that cannot be kept."""
    return {name for name, case in cases.items() if name and case.untracked}


def reasons(cases: Mapping[str, Tracked], names: Iterable[str]) -> str:
    """Why these cases cannot be kept."""
    return "; ".join(reason for name in names for reason in cases[name].untracked)
