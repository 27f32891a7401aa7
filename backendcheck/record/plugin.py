"""The pytest plugin of a recording session: collects cases, runs them in warm workers, notes what became of each.

It is loaded in the controller and in every worker of pytest-xdist. `Collection` finds cases there, `Worker` runs them and writes
recordings; `Controller` watches the workers and writes the recording of a case whose worker died. No keras is imported before
a worker runs.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backendcheck.case_files import case_names
from backendcheck.record.fixtures import declare_mark, rng
from backendcheck.record.session_file import SessionFile

__all__ = ["CaseModule", "rng"]  # pytest looks for fixtures here


def pytest_configure(config: pytest.Config) -> None:
    declare_mark(config)
    session = SessionFile.load(Path(os.environ[SessionFile.VARIABLE]))
    if hasattr(config, "workerinput"):
        from backendcheck.record.collection import Collection
        from backendcheck.record.worker import Worker

        worker = Worker(session, config.workerinput["workerid"])
        config.pluginmanager.register(worker, "backendcheck-worker")
        config.pluginmanager.register(Collection(session, worker.worker, worker.stacks), "backendcheck-collection")
    else:
        from backendcheck.record.controller import Controller

        config.pluginmanager.register(Controller(session, config), "backendcheck-controller")


class CaseModule(pytest.Module):
    """A Python file in which the functions named ``case_*`` are the items, and nothing else is."""

    def funcnamefilter(self, name: str) -> bool:
        # By the source: a case that is imported from another file, to build upon, is a case of that file only.
        return name in self._names()

    def _names(self) -> frozenset[str]:
        if self._case_names is None:
            self._case_names = case_names(self.path)
        return self._case_names

    _case_names: frozenset[str] | None = None

    def classnamefilter(self, name: str) -> bool:  # noqa: ARG002
        return False

    def istestclass(self, obj: object, name: str) -> bool:  # noqa: ARG002
        return False
