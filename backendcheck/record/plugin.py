"""The pytest plugin of a recording session: collects cases, runs them in warm workers, writes a recording of each.

It is loaded in the controller and in every worker of pytest-xdist. `Collection` finds cases there, `Worker` runs them and writes
recordings; `Controller` watches the workers and writes the recording of a case whose worker died. No keras is imported before
a worker runs.
"""

from __future__ import annotations

import faulthandler
import functools
import os
import signal
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

import pytest
from _pytest.config import ConftestImportFailure

from backendcheck.record.case_module import error_in_words
from backendcheck.record.conftest_limit import limit_conftests
from backendcheck.record.fixtures import declare_mark, rng
from backendcheck.record.isolation import Streams
from backendcheck.record.kept_programs import keep_programs
from backendcheck.record.spare import EARLY_EVENTS
from backendcheck.sessions.child_processes import end_process, end_with_parent
from backendcheck.sessions.selected_items import SelectedItems, finished_log
from backendcheck.sessions.session_state import SessionState
from backendcheck.sessions.worker_files import FilesOfWorker

__all__ = ["rng"]  # pytest looks for fixtures here
_TRACKER = "backendcheck-tracker"
_starting: list[BinaryIO] = []  # open to the end of the process, for faulthandler


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Limit the time of conftest.py files, and give their options the values that they have where the items were selected."""
    before = set(vars(early_config.option))
    session = _session()
    if (name := os.environ.get("PYTEST_XDIST_WORKER")) and session.request.store is not None:
        from backendcheck.record.tracking.tracker import Tracker

        # Before any file of the user is imported. In the process that distributes cases, nothing is recorded.
        tracker = Tracker(session, session.files.of_worker(name), EARLY_EVENTS[0] if EARLY_EVENTS else None)
        early_config.pluginmanager.register(tracker, _TRACKER)
    limit_conftests(early_config.pluginmanager, session.request.start_timeout_s)
    try:
        yield
    except ConftestImportFailure as error:
        if "PYTEST_XDIST_WORKER" in os.environ:  # the session does not see what a worker prints before it has started
            session.files.note_fatal(f"{error.path}: does not import: {error_in_words(error.cause)}")
        raise
    if (path := session.request.selected_items) is not None:
        for name, value in SelectedItems.load(path).options.items():
            if name in set(vars(early_config.option)) - before:
                setattr(early_config.option, name, value)


def _session() -> SessionState:
    return SessionState.load(Path(os.environ[SessionState.VARIABLE]))


def _own_process(files: FilesOfWorker, limit_s: float) -> Streams:
    """What the process of a worker does first, because importing a backend takes seconds and prints messages.

    It ends after `limit_s` unless the backend has started: a library may wait for ever for memory that it does not get.
    """
    end_with_parent(signal.SIGKILL)
    _starting.append(files.timeout.open("ab", buffering=0))
    faulthandler.dump_traceback_later(limit_s, exit=True, file=_starting[-1])
    # Ctrl-C is for the controller: here it would look like an exception of the case, and SIGTERM like a crash.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return Streams(files.stderr)


def _start_worker(config: pytest.Config, session: SessionState, name: str) -> None:
    streams = _own_process(session.files.of_worker(name), session.request.start_timeout_s)
    keep_programs()
    # These import the backend.
    from backendcheck.record.collection import Collection
    from backendcheck.record.worker import Worker

    worker = Worker(session, name, streams)
    config.pluginmanager.register(worker, "backendcheck-worker")
    if (tracker := config.pluginmanager.get_plugin(_TRACKER)) is not None:
        tracker.left = lambda: worker.left
        tracker.changed_by_imports = lambda: [] if worker.state is None else worker.state.changes()
    config.pluginmanager.register(Collection(session, worker.worker, worker.stacks), "backendcheck-collection")
    if session.request.selected_items is not None:
        from backendcheck.record.backends_agree import AgreementTests
        from backendcheck.record.selected_items import SelectedCollection

        selected = SelectedItems.load(session.request.selected_items)
        config.pluginmanager.register(SelectedCollection(session, selected), "backendcheck-selected")
        config.pluginmanager.register(AgreementTests(worker), "backendcheck-agreement")


def pytest_configure(config: pytest.Config) -> None:
    declare_mark(config)
    session = _session()
    selected = session.request.selected_items
    if hasattr(config, "workerinput"):
        try:
            _start_worker(config, session, config.workerinput["workerid"])
        except BaseException as error:
            last = traceback.format_exception_only(error)[-1].strip()
            session.files.note_fatal(f"{session.backend} cannot be used here: {last}")
            traceback.print_exc()
            raise
    else:
        from backendcheck.sessions.controller import Controller

        config.pluginmanager.register(Controller(session, config), "backendcheck-controller")
        if selected is not None:
            from backendcheck.record.selected_items import FinishedLog

            config.pluginmanager.register(FinishedLog(finished_log(selected, session.backend)), "backendcheck-finished")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Have a worker leave its memory to the system when all is done. To free a backend object by object takes a second."""
    config = session.config
    if hasattr(config, "workerinput"):
        of_others = config._cleanup_stack.pop_all()  # noqa: SLF001 - they come before
        config.add_cleanup(functools.partial(end_process, 0))
        config.add_cleanup(of_others.close)
