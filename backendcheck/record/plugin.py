"""The pytest plugin of a recording session: collects cases, runs them in warm workers, notes what became of each.

It is loaded in the controller and in every worker of pytest-xdist. `Collection` finds cases there, `Worker` runs them and writes
recordings; `Controller` watches the workers and writes the recording of a case whose worker died. No keras is imported before
a worker runs.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from backendcheck.record.fixtures import declare_mark, rng
from backendcheck.sessions.selected_items import Chosen
from backendcheck.sessions.session_file import SessionFile

__all__ = ["rng"]  # pytest looks for fixtures here


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Give the options of conftest.py files the values that they have where the items were chosen."""
    before = set(vars(early_config.option))
    yield
    session = _session_file()
    if session.chosen:
        for name, value in Chosen.load(Path(session.chosen)).options.items():
            if name in set(vars(early_config.option)) - before:
                setattr(early_config.option, name, value)


def _session_file() -> SessionFile:
    return SessionFile.load(Path(os.environ[SessionFile.VARIABLE]))


def pytest_configure(config: pytest.Config) -> None:
    declare_mark(config)
    session = _session_file()
    if hasattr(config, "workerinput"):
        from backendcheck.record.collection import Collection
        from backendcheck.record.worker import Worker

        worker = Worker(session, config.workerinput["workerid"])
        config.pluginmanager.register(worker, "backendcheck-worker")
        config.pluginmanager.register(Collection(session, worker.worker, worker.stacks), "backendcheck-collection")
        if session.chosen:
            from backendcheck.record.backends_agree import AgreementTests
            from backendcheck.record.selected_items import ChosenCollection

            config.pluginmanager.register(ChosenCollection(session), "backendcheck-chosen")
            config.pluginmanager.register(AgreementTests(worker), "backendcheck-agreement")
    else:
        from backendcheck.sessions.controller import Controller

        config.pluginmanager.register(Controller(session, config), "backendcheck-controller")
        if session.chosen:
            from backendcheck.record.selected_items import FinishedLog

            config.pluginmanager.register(FinishedLog(session), "backendcheck-finished")
