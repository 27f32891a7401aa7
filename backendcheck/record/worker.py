"""The half of the recording plugin that runs in a worker: one backend, imported once, case after case."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from backendcheck.record.case_module import error_in_words, is_case
from backendcheck.record.case_recording import CaseRecorder, EndedSession, status_and_problem
from backendcheck.record.environment import environment_note
from backendcheck.record.fixtures import seed_of
from backendcheck.record.isolation import Streams, clear_session, preserved_process_state, seed_everything
from backendcheck.record.unpickling import Parcel
from backendcheck.recordings.conditions import condition_mismatches
from backendcheck.recordings.files import INJECTION_NOTES, read_environment, write_recording
from backendcheck.recordings.recording import Recording
from backendcheck.reference.of_recording import built_in_reference_values
from backendcheck.sessions.child_processes import end_with_parent
from backendcheck.sessions.resume import REMEDY, in_words
from backendcheck.sessions.session_state import SessionState
from backendcheck.vocabulary.case_ids import case_id
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.states import Status


class Worker:
    """Starts the backend, runs cases, writes their recordings."""

    def __init__(self, session: SessionState, worker: str) -> None:
        self.session = session
        self.leg = session.request.leg
        self.worker = worker
        self.files = session.files.of_worker(worker)
        self.recorder = CaseRecorder(session)
        Parcel.path = session.request.pickled
        end_with_parent(signal.SIGKILL)
        # Ctrl-C is for the controller: here it would look like an exception of the case, and SIGTERM like a crash.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        self.streams = Streams(self.files.stderr)
        faulthandler.enable(file=self.streams.file)
        self.stacks = self.files.timeout.open("ab", buffering=0)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        try:
            self.files.note_environment(environment_note(self.session))
        except BaseException as error:
            last = traceback.format_exception_only(error)[-1].strip()
            self.session.files.note_fatal(f"{self.session.backend} cannot be used here: {last}")
            traceback.print_exc()
            raise
        if self.session.resumes:
            self._check_conditions()
        for folder in (str(self.session.directory), os.getcwd()):  # noqa: PTH109
            if folder not in sys.path:
                sys.path.append(folder)

    def _check_conditions(self) -> None:
        """End a resumed session whose versions or settings differ from those of the earlier session."""
        before = read_environment(self.leg)
        now = self.session.files.noted(before)
        if changed := condition_mismatches(before, now):
            message = f"cannot be resumed, not all is as it was: {'; '.join(map(in_words, changed))}. {REMEDY}."
            self.session.files.note_refused(message)
            self.session.files.note_fatal(message)
            raise RuntimeError(message)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.streams.reopen()
        self.files.note_running(nodeid=item.nodeid, stderr_from=self.streams.size(), began=time.time())
        try:
            for fault in self.session.faults_for(case_id(item.nodeid)):
                self._run_injected(item, fault)
            return (yield)
        except Exception as error:  # noqa: BLE001 - a user's hook failed; record it, keep the session
            problem = f"a pytest hook failed around it: {error_in_words(error)}"
            try:
                write_recording(self.leg, self.recorder.not_observed(item, status=Status.ERROR, problem=problem))
            except BaseException:  # noqa: BLE001 - only this process may end: the controller then says so, and the others go on
                traceback.print_exc()
                os._exit(os.EX_SOFTWARE)
            with contextlib.suppress(Exception):
                item.session._setupstate.teardown_exact(None)  # noqa: SLF001 - the next case needs a clean start
            return True
        finally:
            self.files.running.unlink()

    def _run_injected(self, item: pytest.Item, fault: str) -> None:
        """Run `item` once more, from its fixtures on, with a fault injected. The recording goes to the leg of the fault."""
        from backendcheck.record.faults import injected

        clean, self.leg = self.leg, self.session.request.injection_leg(fault)
        self.recorder.injection = injected(fault)
        faulthandler.dump_traceback_later(self.session.request.timeout_s, exit=True, file=self.stacks)
        try:
            # What follows, to the tear-down, is another item of the same module: fixtures of the module stay.
            runtestprotocol(item, log=False, nextitem=item.parent)  # type: ignore[arg-type]
        finally:
            faulthandler.cancel_dump_traceback_later()
            line = json.dumps({"case": case_id(item.nodeid), **self.recorder.injection.notes()}) + "\n"
            self.leg.mkdir(parents=True, exist_ok=True)
            with (self.leg / f"{INJECTION_NOTES}-{self.worker}.jsonl").open("a", encoding="utf-8") as file:
                file.write(line)
            self.leg, self.recorder.injection = clean, contextlib.nullcontext()

    def pytest_timeout_set_timer(self, settings: Any) -> bool:
        # From a C thread that needs no lock of Python's: it ends even a case that hangs inside a backend.
        faulthandler.dump_traceback_later(settings.timeout, exit=True, file=self.stacks)
        return True

    def pytest_timeout_cancel_timer(self) -> bool:
        faulthandler.cancel_dump_traceback_later()
        return True

    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        if not is_case(pyfuncitem):
            return None
        # Warning filters of a conftest or a fixture must not decide what a backend does.
        with warnings.catch_warnings():
            warnings.resetwarnings()
            warnings.simplefilter("ignore")
            with preserved_process_state():
                recording = self._record(pyfuncitem)
            if Oracle.REFERENCE in recording.oracles and not self.session.request.layers:
                values = {**recording.reference_values, **built_in_reference_values(recording)}
                recording = replace(recording, reference_values=values)
            write_recording(self.leg, recording)
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        return (yield from self._ending_nothing())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        return (yield from self._ending_nothing())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        return (yield from self._ending_nothing())

    def _ending_nothing(self) -> Generator[None, object, object]:
        try:
            return (yield)
        except (KeyboardInterrupt, pytest.exit.Exception) as error:
            message = f"it raised {error_in_words(error)}"
            raise EndedSession(message) from error
        finally:
            self.streams.reopen()

    def _record(self, item: pytest.Function) -> Recording:
        clear_session()
        seed_everything(seed_of(item))
        arguments = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}  # noqa: SLF001 - as pytest calls it
        return self.recorder.record(item, lambda: item.obj(**arguments))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if is_case(item) and call.excinfo is not None:
            status, problem = status_and_problem(call)
            write_recording(self.leg, self.recorder.not_observed(item, status=status, problem=problem))
        return report
