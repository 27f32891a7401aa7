"""The half of the recording plugin that runs in a worker: one backend, imported once, case after case."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import os
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from backendcheck.record.backends import backend_module
from backendcheck.record.case_module import error_in_words, is_case
from backendcheck.record.case_recording import CaseRecorder, EndedSession, status_and_problem
from backendcheck.record.device import lost_device
from backendcheck.record.environment import NUMERIC_VARIABLES, environment_note
from backendcheck.record.fixtures import seed_of
from backendcheck.record.isolation import Streams, clear_session, preserved_process_state, seed_everything
from backendcheck.record.memory import WorkerMemory
from backendcheck.record.observe.raised import Project
from backendcheck.record.process_state.interpreter import end_children
from backendcheck.record.process_state.snapshot import ProcessState
from backendcheck.record.unpickling import Parcel
from backendcheck.recordings.files import INJECTION_NOTES
from backendcheck.recordings.recording import Recording
from backendcheck.reference.of_recording import built_in_reference_values
from backendcheck.sessions.child_processes import end_process
from backendcheck.sessions.resume import check_conditions
from backendcheck.sessions.session_state import SessionState
from backendcheck.vocabulary.case_ids import case_id
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.states import Status

_NUMERIC = ("torch", "tensorflow", "jax", "keras", "NumPy", "rounding", "functions of")  # state that can change a number
_SECONDS_TO_RETIRE = 10  # a thread or an exit function that an item left may never end


class Worker:
    """Starts the backend, runs cases, writes their recordings."""

    def __init__(self, session: SessionState, worker: str, streams: Streams) -> None:
        self.session, self.worker, self.streams = session, worker, streams
        self.leg = session.request.leg
        self.files = session.files.of_worker(worker)
        self.recorder = CaseRecorder(session)
        Parcel.path, Project.directory = session.request.pickled, session.directory
        self.state: ProcessState | None = None
        self.environment: dict[str, Any] = {}
        self.import_notes: list[str] = []
        self.left: list[str] = []  # changed by the last item, or by imports
        self.kept: dict[str, Recording] = {}
        self.unwritten: set[str] = set()
        self.of_fixtures: dict[int, dict[str, Any]] = {}
        self.began = self.spoiled = False
        self.memory = WorkerMemory(session.request.worker_memory_bound)
        self.umask = os.umask(0)
        os.umask(self.umask)
        faulthandler.enable(file=self.streams.file)
        self.stacks = self.files.timeout.open("ab", buffering=0)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        try:
            self.environment = environment_note(self.session)
            self.files.note_environment(self.environment)
            self.state = ProcessState()
            gc.freeze()  # a million objects of a backend need not be looked at again for each case
            faulthandler.cancel_dump_traceback_later()  # it has started
        except BaseException as error:
            last = traceback.format_exception_only(error)[-1].strip()
            self.session.files.note_fatal(f"{self.session.backend} cannot be used here: {last}")
            traceback.print_exc()
            raise
        if self.session.resumes:
            check_conditions(self.leg, self.session.files)
        for folder in (str(self.session.directory), os.getcwd()):  # noqa: PTH109
            if folder not in sys.path:
                sys.path.append(folder)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self) -> None:
        """Start the devices. It ends this process where they do not start, or where it takes too long."""
        faulthandler.dump_traceback_later(self.session.request.start_timeout_s, exit=True, file=self.stacks)
        try:
            backend_module().start()
        except Exception as error:
            self.session.files.note_fatal(f"{self.session.backend} cannot be used here: {error_in_words(error)}")
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._retire_if_unfit(item)
        self.streams.reopen()
        self.files.note_running(nodeid=item.nodeid, stderr_from=self.streams.size(), began=time.time())
        try:
            for fault in self.session.faults_for(case_id(item.nodeid)):
                self._run_injected(item, fault)
            return (yield)
        except Exception as error:  # noqa: BLE001 - a user's hook failed; record it, keep the session
            problem = f"a pytest hook failed around it: {error_in_words(error)}"
            try:
                self.session.write(self.leg, self.recorder.not_observed(item, status=Status.ERROR, problem=problem))
            except BaseException:  # noqa: BLE001 - only this process may end: the controller then says so, and the others go on
                traceback.print_exc()
                os._exit(os.EX_SOFTWARE)
            with contextlib.suppress(Exception):
                item.session._setupstate.teardown_exact(None)  # noqa: SLF001 - the next case needs a clean start
            return True
        finally:
            self.files.running.unlink()

    def _retire_if_unfit(self, item: pytest.Item) -> None:
        """End this process if items before have left something changed, or too little memory. Another worker gets `item`."""
        if self.spoiled or self.memory.is_full():
            with contextlib.suppress(BaseException):
                item.session._setupstate.teardown_exact(None)  # noqa: SLF001 - of fixtures that were kept for this item
            self.files.note_retired(for_memory=not self.spoiled)
            end_children()
            end_process(0, within_s=_SECONDS_TO_RETIRE)

    def keep(self, recording: Recording) -> None:
        """Write a recording aside, and keep it until the item is torn down and the state of the process is as it was.

        It then moves to the leg, with a note if something was left changed. If the session is killed before that, a later one
        records the item again. If this process dies, the controller moves what is aside.
        """
        self.kept[recording.case] = recording
        self.unwritten.add(recording.case)
        umask = os.umask(self.umask)  # that of a case may make what is written here unreadable
        with contextlib.suppress(Exception):  # a case may have replaced what writing needs
            self.session.write(self._aside, recording)
            self.unwritten.discard(recording.case)
        os.umask(umask)

    @property
    def _aside(self) -> Path:
        """Where recordings wait for the end of their item. A session never goes on with those of injected faults."""
        return self.files.unfinished if self.leg == self.session.request.leg else self.leg

    def _end_item(self, item: pytest.Item) -> None:
        """Put the state of the process back, and write the recordings of the item, with a line about what it had left changed."""
        if problem := lost_device():
            self._crash(item, problem)
            return
        changes = self.state.restore() if self.state is not None else []
        self.streams.reopen()
        kept, self.kept = self.kept, {}
        unwritten, self.unwritten = self.unwritten, set()
        self.spoiled = self.spoiled or any(not change.restored for change in changes) or any(
            change.name.startswith("functions of") for change in changes)  # compiled programs may hold what was replaced
        notes = self.left = [*self.import_notes]
        temporary = getattr(getattr(item.config, "_tmp_path_factory", None), "_basetemp", None)
        if temporary is not None and not temporary.is_dir():
            temporary.mkdir(parents=True)
            notes.append("left removed, and made again: the directory above tmp_path")
        if changes:
            then = "; its worker runs no other case" if self.spoiled else ""
            notes.append(f"left changed: {', '.join(map(str, changes))}{then}")
        for recording in kept.values():
            try:
                if notes or recording.case in unwritten:
                    self.session.write(self.leg, replace(recording, notes=(*recording.notes, *notes)))
                elif self._aside != self.leg:
                    self.session.finish(self._aside, self.leg, recording.case)
            except Exception as error:  # noqa: BLE001 - one that cannot be written is an error of one case
                problem = f"its recording cannot be written: {error_in_words(error)}"
                failed = self.recorder.not_observed(item, recording.case, status=Status.ERROR, problem=problem)
                self.session.write(self.leg, failed)
        shutil.rmtree(self.files.unfinished, ignore_errors=True)

    def _crash(self, item: pytest.Item, problem: str) -> None:
        """Record that `item` has crashed: this process lives, but can run no other one."""
        self.spoiled = True
        for case in list(self.kept) or [case_id(item.nodeid)]:
            self.session.write(self.leg, self.recorder.not_observed(item, case, status=Status.CRASHED, problem=problem))
        self.kept, self.unwritten = {}, set()
        shutil.rmtree(self.files.unfinished, ignore_errors=True)

    def _begin_item(self) -> None:
        if self.state is None or self.began:
            return
        self.began = True
        changed = [name for name in self.state.changes() if name.startswith(_NUMERIC)]
        before = self.environment["determinism"]
        changed += [name for name in NUMERIC_VARIABLES if os.environ.get(name) != before.get(name)]
        if changed:
            text = ", ".join(changed)
            self.import_notes.append(f"changed by what is imported, for all cases: {text}")
            determinism = {**self.environment["determinism"], "changed by imports": text}
            self.files.note_environment({**self.environment, "determinism": determinism})
        self.state.accept()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """What a fixture sets that is kept for several items is theirs until it ends."""
        if self.state is None or fixturedef.scope == "function":
            return (yield)
        before = self.state.read()
        try:
            return (yield)
        finally:
            changed = {name: value for name, value in self.state.read().items() if name in before and before[name] != value}
            self.state.take(changed)
            self.of_fixtures[id(fixturedef)] = {name: before[name] for name in changed}

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        if self.state is not None:
            self.state.take(self.of_fixtures.pop(id(fixturedef), {}))

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
            self.keep(recording)
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        self._begin_item()
        return (yield from self._ending_nothing())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        self.memory.begin()
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
            self.keep(self.recorder.not_observed(item, status=status, problem=problem, call=call))
        if call.when == "teardown":
            self._end_item(item)
        return report
