"""Recorders that need no backend: in place of recording processes, a world that says what each backend makes of each case.

    world = World(monkeypatch, {"x/a": everywhere(loss=0.5), "x/b": {"jax": {"loss": 0.5}, "torch": {"loss": 0.7}}})

What a world does not mention is the same everywhere. `record_all` is replaced in this process: a pytest session has its recorders
there, its workers only read files.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from make import environment, recording

from backendcheck.files import file_sha256
from backendcheck.in_pytest import recorders
from backendcheck.recordings.files import write_environment, write_recording
from backendcheck.recordings.paths import recording_path
from backendcheck.sessions.processes import Stopped
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.selected_items import SelectedItems, finished_log
from backendcheck.vocabulary.backends import Backend
from backendcheck.vocabulary.case_ids import case_id


class World:
    """What the backends do, and what was asked of them: `sessions` holds the chosen items of each session that was recorded.

    `cases` maps a case to what each backend makes of it: keyword arguments of `make.recording`, or a callable that is called in
    place of recording it. A backend that is left out of a case does not record it. `endings` are exit codes and messages by
    backend: that session ends so, with nothing recorded.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cases: Mapping[str, Any] | None, **endings: tuple[int, str]) -> None:
        self.cases = dict(cases or {})
        self.endings = endings
        self.sessions: list[SelectedItems] = []
        self.stopped = threading.Event()
        monkeypatch.setattr(recorders, "record_all", self.record_all)
        monkeypatch.setattr(Backend, "missing_modules", lambda _: [])

    def record_all(self, requests: Sequence[RecordingRequest], progress: Any, stop: threading.Event) -> None:
        chosen = [SelectedItems.load(request.selected_items) for request in requests if request.selected_items is not None]
        self.sessions.append(chosen[0])
        for request in requests:
            self._record(request, chosen[0], stop)
            progress.ended(request.backend.value, *self.endings.get(request.backend.value, (0, "")))

    def _record(self, request: RecordingRequest, chosen: SelectedItems, stop: threading.Event) -> None:
        backend = request.backend.value
        if backend in self.endings:
            return
        request = replace(request, paths=chosen.files, is_subset=chosen.is_subset)
        cases: list[str] = []
        state = {"selection": request.selection, "run": f"run of {backend}"}
        write_environment(request.leg, environment(backend, **state, exit_state="running", started="now"))
        for item in chosen.items:
            for case in self._cases_of(case_id(item.nodeid)):
                self._record_case(request.leg, case, backend, stop, item.file)
                if recording_path(request.leg, case).exists():
                    cases.append(case)
            with finished_log(request.selected_items or Path(), backend).open("a") as file:
                file.write(json.dumps(item.nodeid) + "\n")
        digests = {case: file_sha256(recording_path(request.leg, case)) for case in cases}
        write_environment(request.leg, environment(backend, cases, **state, digests=digests))

    def _cases_of(self, case: str) -> list[str]:
        return [case, *(name for name in self.cases if name.startswith(f"{case}#"))]

    def _record_case(self, leg: Path, case: str, backend: str, stop: threading.Event, file: str) -> None:
        by_backend = self.cases.get(case, {backend: {"observations": {"value/result": 1.0}}})
        what = by_backend.get(backend)
        if isinstance(what, Callable):
            what = what(leg, stop)
        if what is not None:
            write_recording(leg, recording(case, backend, file=file, **what))

    def hangs(self, _leg: Path, stop: threading.Event) -> None:
        """A case that takes until it is interrupted."""
        if not stop.wait(60):
            raise AssertionError
        self.stopped.set()
        raise Stopped


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    def make(cases: Mapping[str, Any] | None = None, **endings: tuple[int, str]) -> World:
        return World(monkeypatch, cases, **endings)

    return make
