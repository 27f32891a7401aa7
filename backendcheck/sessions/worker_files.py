"""What the workers of a session have noted: versions and settings, and which cases they have collected from which files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backendcheck.files import write_atomically
from backendcheck.recordings.recording import Environment
from backendcheck.sessions.session_file import SessionFile

REFUSED = "refused"  # the note of a worker that a session is not resumed, and why

def noted(environment: Environment, work: Path) -> Environment:
    """`environment` with what the workers have noted in the directory `work`; what they did not get to stays as it is."""
    notes, collections = _read(work, "*.environment"), _read(work, "*.collected")
    if notes:
        environment = replace(environment, **notes[0])
    # What the scheduler was told is more than the workers noted where one collects what others do not, or fails meanwhile.
    told = _collected(work)
    if collections or told:
        selected = [case for one in collections for case in one["selected"]] if collections else environment.cases
        every = [case for one in collections for case in one["all"]] if "shard" in environment.selection else []
        environment = replace(
            environment,
            cases=tuple(dict.fromkeys([*selected, *told])),
            all_cases=tuple(dict.fromkeys(every)) or environment.all_cases,
            seconds={**environment.seconds, **_seconds(work)},
            sources={name: digest for one in collections for name, digest in one["sources"].items()} or environment.sources,
        )
    return environment


def _read(work: Path, pattern: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(work.glob(pattern))]


def _seconds(work: Path) -> dict[str, float]:
    path = work / "seconds"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _collected(work: Path) -> list[str]:
    path = work / "collected"
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def note_problem(session: SessionFile, path: Path, line: int, message: str) -> None:
    note = {"file": session.case_file(path), "line": line, "message": message}
    text = json.dumps(note)
    name = f"problem-{hashlib.sha256(text.encode()).hexdigest()[:16]}"  # one note, whichever workers write it
    write_atomically(Path(session.work) / name, text.encode())


def in_one_line(error: BaseException) -> str:
    if isinstance(error, pytest.FixtureLookupError):
        return f"fixture {error.argname!r} not found"
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
