"""What is wrong with a case file, noted for the controller: a place and a sentence."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from backendcheck.record.session_file import SessionFile
from backendcheck.recording import write_atomically


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
