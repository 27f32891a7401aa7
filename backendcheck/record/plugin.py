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

from backendcheck.case_files import case_names
from backendcheck.chosen import Chosen
from backendcheck.record.fixtures import declare_mark, rng
from backendcheck.record.session_file import SessionFile

__all__ = ["CaseModule", "rng"]  # pytest looks for fixtures here


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
            from backendcheck.record.agreement import AgreementTests
            from backendcheck.record.chosen_items import ChosenCollection

            config.pluginmanager.register(ChosenCollection(session), "backendcheck-chosen")
            config.pluginmanager.register(AgreementTests(worker), "backendcheck-agreement")
    else:
        from backendcheck.record.controller import Controller

        config.pluginmanager.register(Controller(session, config), "backendcheck-controller")
        if session.chosen:
            from backendcheck.record.chosen_items import FinishedLog

            config.pluginmanager.register(FinishedLog(session), "backendcheck-finished")


def is_case(item: pytest.Item) -> bool:
    """Whether an item is a case; in a session of chosen items there are tests, too."""
    return isinstance(item.parent, CaseModule) and item.parent.holds_case(item)


class CaseModule(pytest.Module):
    """A Python file in which the functions named ``case_*`` are the items, and nothing else is."""

    def funcnamefilter(self, name: str) -> bool:
        # By the source: a case that is imported from another file, to build upon, is a case of that file only.
        return name in self._names()

    def holds_case(self, item: pytest.Item) -> bool:
        """Whether an item of this file is a case."""
        return item.parent is self and getattr(item, "originalname", item.name) in self._names()

    def _names(self) -> frozenset[str]:
        if self._case_names is None:
            self._case_names = case_names(self.path)
        return self._case_names

    _case_names: frozenset[str] | None = None

    def classnamefilter(self, name: str) -> bool:  # noqa: ARG002
        return False

    def istestclass(self, obj: object, name: str) -> bool:  # noqa: ARG002
        return False
