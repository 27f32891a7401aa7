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
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from backendcheck.case_files import file_digest
from backendcheck.files import write_atomically
from backendcheck.record.case_module import is_case
from backendcheck.record.environment import note_environment, settings
from backendcheck.record.fixtures import seed_of
from backendcheck.record.isolation import Streams, clear_session, preserved_process_state, seed_everything
from backendcheck.recordings.conditions import unlike
from backendcheck.recordings.files import PLANTED_NOTES, read_environment, read_recording, recording_path, write_recording
from backendcheck.recordings.recording import Recording
from backendcheck.reference.of_recording import built_in_reference_values
from backendcheck.sessions.resume import REMEDY, in_words
from backendcheck.sessions.session_file import SessionFile
from backendcheck.sessions.signals import end_with_parent
from backendcheck.sessions.worker_files import REFUSED, in_one_line, noted
from backendcheck.vocabulary.case_ids import case_id
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.stages import RecordingStage
from backendcheck.vocabulary.states import Status


class Worker:
    """Starts the backend, runs cases, writes their recordings."""

    def __init__(self, session: SessionFile, worker: str) -> None:
        self.session = session
        self.leg = Path(session.leg)
        self.work = Path(session.work)
        self.worker = worker
        self.digests: dict[Path, str] = {}
        self.injection: Any = contextlib.nullcontext()  # the fault in force, if any
        end_with_parent(signal.SIGKILL)
        # Ctrl-C is for the controller: here it would look like something the case has thrown, and SIGTERM as if it had crashed.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        self.streams = Streams(self.work / f"{worker}.stderr")
        faulthandler.enable(file=self.streams.file)
        self.stacks = (self.work / f"{worker}.timeout").open("ab", buffering=0)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        try:
            note_environment(self.session, self.work / f"{self.worker}.environment")
        except BaseException as error:
            last = traceback.format_exception_only(error)[-1].strip()
            write_atomically(self.work / "fatal", f"{self.session.backend} cannot be used here: {last}".encode())
            traceback.print_exc()
            raise
        if self.session.resumes:
            self._check_conditions()
        for folder in (self.session.directory, os.getcwd()):  # noqa: PTH109
            if folder not in sys.path:
                sys.path.append(folder)
    def _check_conditions(self) -> None:
        """Record nothing beside what an earlier session has left if versions or settings are no longer those."""
        before = read_environment(self.leg)
        now = noted(before, self.work)
        if changed := unlike(before, now):
            message = f"cannot be resumed, not all is as it was: {'; '.join(map(in_words, changed))}. {REMEDY}."
            for name in (REFUSED, "fatal"):
                write_atomically(self.work / name, message.encode())
            raise RuntimeError(message)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.streams.reopen()
        marker = self.work / f"{self.worker}.running"
        begun = {"nodeid": item.nodeid, "stderr_from": self.streams.size(), "began": time.time()}
        marker.write_text(json.dumps(begun), encoding="utf-8")
        try:
            for fault in self.session.planted_on(case_id(item.nodeid)):
                self._run_planted(item, fault)
            return (yield)
        except Exception as error:  # noqa: BLE001 - a hook of somebody's; it would end the session, and with it all the other cases
            problem = f"a pytest hook failed around it: {in_one_line(error)}"
            try:
                write_recording(self.leg, self.recording(item, status=Status.ERROR, problem=problem))
            except BaseException:  # noqa: BLE001 - only this process may end: the controller then says so, and the others go on
                traceback.print_exc()
                os._exit(os.EX_SOFTWARE)
            with contextlib.suppress(Exception):
                item.session._setupstate.teardown_exact(None)  # noqa: SLF001 - the next case needs a clean start
            return True
        finally:
            marker.unlink()

    def _run_planted(self, item: pytest.Item, fault: str) -> None:
        """Run `item` once more, from its fixtures on, with a fault injected. The recording goes to the leg of the fault."""
        from backendcheck.record.faults import injected

        clean, self.leg = self.leg, Path(self.session.plants[fault][1])
        self.injection = injected(fault)
        faulthandler.dump_traceback_later(self.session.timeout_s, exit=True, file=self.stacks)
        try:
            # What follows, to the tear-down, is another item of the same module: fixtures of the module stay.
            runtestprotocol(item, log=False, nextitem=item.parent)  # type: ignore[arg-type]
        finally:
            faulthandler.cancel_dump_traceback_later()
            line = json.dumps({"case": case_id(item.nodeid), **self.injection.notes()}) + "\n"
            self.leg.mkdir(parents=True, exist_ok=True)
            with (self.leg / f"{PLANTED_NOTES}-{self.worker}.jsonl").open("a", encoding="utf-8") as file:
                file.write(line)
            self.leg, self.injection = clean, contextlib.nullcontext()

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
        # Filters that a conftest or a fixture has put up must not decide what a backend is seen to do.
        with warnings.catch_warnings():
            warnings.resetwarnings()
            warnings.simplefilter("ignore")
            with preserved_process_state():
                recording = self._record(pyfuncitem)
            if Oracle.REFERENCE in recording.oracles and not self.session.layers:
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
            message = f"it raised {in_one_line(error)}"
            raise EndedSession(message) from error
        finally:
            self.streams.reopen()

    def _record(self, item: pytest.Function) -> Recording:
        clear_session()
        seed_everything(seed_of(item))
        return self.record(item, lambda: item.obj(**{name: item.funcargs[name] for name in item._fixtureinfo.argnames}))  # noqa: SLF001 - pytest's own call does this

    def record(self, item: pytest.Function, make: Callable[[], Any], case_named: str = "") -> Recording:
        """The recording of what `make` returns, as a case that `item` stands for, or as the one of that id."""
        from backendcheck.record import flow
        from backendcheck.record.layers.replay import observe_layers
        from backendcheck.record.observe.declarations import materialized, missing_library, reference_of, tolerances_of
        from backendcheck.record.observe.errors import InvalidCase
        from backendcheck.record.observe.perturbation import Perturbation
        from backendcheck.record.observe.trace import Trace

        seed, noise = seed_of(item), Perturbation(name=self.session.noise)
        trace = Trace()
        case: Any = None
        fields: dict[str, Any] = {}
        with trace.ended_by_problems():
            with self.injection:
                with trace.stage(RecordingStage.CASE):
                    case = materialized(make())
                if missing := missing_library(trace.raised):
                    raise InvalidCase(missing)
                if not trace.raised:
                    fields = {
                        "class_names": _plain_class_names(getattr(case, "class_names", None)),
                        "tolerance": tolerances_of(case),
                        "expect": _expectation(getattr(case, "expect", None)),
                    }
                    if self.session.layers:
                        observe_layers(case, trace, seed=seed, source=self._source(case_id(item.nodeid)))
                    else:
                        flow.observe(case, trace, seed=seed, oracles=frozenset(self.session.oracles), noise=noise)
            if fields and not self.session.layers:
                fields["reference"] = reference_of(case)
        return trace.recording(
            **self.identity(item, case_named),
            oracles=tuple(self.session.oracles),
            settings=settings() | noise.settings,
            **fields,
        )

    def _source(self, case: str) -> Recording | None:
        return read_recording(recording_path(Path(self.session.teacher), case)) if self.session.teacher else None

    def recording(self, item: pytest.Item, case_named: str = "", *, status: Status, problem: str) -> Recording:
        """A recording of `item`, or of the case of that id in it, that was not observed."""
        return Recording(**self.identity(item, case_named), status=status, problem=problem)

    def identity(self, item: pytest.Item, case_named: str = "") -> dict[str, Any]:
        """The fields of a recording that are known however the case ends."""
        if item.path not in self.digests:
            self.digests[item.path] = file_digest(item.path)
        return {
            "case": case_named or case_id(item.nodeid),
            "backend": self.session.backend,
            "run": self.session.run,
            "claim": _claim(getattr(item, "obj", None)),
            "file": self.session.case_file(item.path),
            "line": (item.reportinfo()[1] or 0) + 1,
            "file_digest": self.digests[item.path],
        }

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if is_case(item) and call.excinfo is not None:
            status, problem = what_came_instead(call)
            write_recording(self.leg, self.recording(item, status=status, problem=problem))
        return report


def what_came_instead(call: pytest.CallInfo[None]) -> tuple[Status, str]:
    """The status and the problem of an item whose set-up, call or tear-down has thrown something."""
    assert call.excinfo is not None  # noqa: S101 - for the type
    error = call.excinfo.value
    if isinstance(error, pytest.skip.Exception):
        return Status.SKIPPED, f"skipped: {error}"
    if isinstance(error, pytest.xfail.Exception):
        return Status.SKIPPED, f"skipped: expected to fail: {error}"
    if isinstance(error, EndedSession):
        return Status.ERROR, f"{call.when} failed: {error}"
    return Status.ERROR, f"{call.when} failed: {in_one_line(error)}"


class EndedSession(Exception):
    """A case or a fixture threw what would end a pytest session, and with it all the other cases."""


def _expectation(expect: Any) -> dict[str, Any] | None:
    from backendcheck.case import Raises
    from backendcheck.record.observe.errors import InvalidCase

    if expect is None:
        return None
    if isinstance(expect, type) and issubclass(expect, Raises):
        expect = Raises()
    if not isinstance(expect, Raises):
        message = f"expect is {expect!r}; expected Raises(), with a type or a match if need be."
        raise InvalidCase(message)
    return {"type_names": list(expect.type_names) if expect.type_names else None, "match": expect.match}


def _plain_class_names(names: Any) -> Any:
    if names is None:
        return None
    if hasattr(names, "items"):
        return {str(output): [str(name) for name in one] for output, one in names.items()}
    return [str(name) for name in names]


def _claim(function: object) -> str:
    """The docstring of a case; that of a class, as a partial has, is not the case's own."""
    import inspect

    text = getattr(function, "__doc__", None)
    return inspect.cleandoc(text) if isinstance(text, str) and text is not type(function).__doc__ else ""
