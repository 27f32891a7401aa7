"""A recording session of the items that a pytest session has selected: only those are collected, in that order."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from backendcheck.record.case_module import CaseModule
from backendcheck.sessions.selected_items import SelectedItems
from backendcheck.sessions.session_state import SessionState


class SelectedModule(CaseModule):
    """A file in which the selected cases and the selected tests are items."""

    wanted: frozenset[str] = frozenset()  # names of functions and classes

    def funcnamefilter(self, name: str) -> bool:
        return name in self.wanted

    def classnamefilter(self, name: str) -> bool:
        return name in self.wanted

    def istestclass(self, obj: object, name: str) -> bool:
        return pytest.Module.istestclass(self, obj, name)


class SelectedCollection:
    """Collects the selected items of one worker's session."""

    def __init__(self, session: SessionState, selected: SelectedItems) -> None:
        self.session = session
        self.selected = selected
        self.wanted: defaultdict[str, set[str]] = defaultdict(set)
        for item in self.selected.items:
            self.wanted[item.file].add(item.names[0])
        self.uncollected: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Module:
        module: SelectedModule = SelectedModule.from_parent(parent, path=module_path)
        module.wanted = frozenset(self.wanted[str(module_path)])
        return module

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.outcome != "passed":
            self.uncollected.add(report.nodeid)  # already reported as a problem

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        order = {item.nodeid: number for number, item in enumerate(self.selected.items)}
        items[:] = sorted((item for item in items if item.nodeid in order), key=lambda item: order[item.nodeid])
        collected = {item.nodeid for item in items}
        for item in self.selected.items:
            file = item.nodeid.partition("::")[0]
            if item.nodeid not in collected and not any(file.startswith(failed) for failed in self.uncollected):
                name = item.nodeid.partition("::")[2]
                message = (
                    f"{name} was selected, but is not collected on {self.session.backend}; expected the same items on every "
                    "backend. See what its parameters, or the names in its file, depend on"
                )
                self.session.note_problem(Path(item.file), 1, message)


class FinishedLog:
    """In the controller: notes the items whose recordings are all written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when in ("teardown", "???"):
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(report.nodeid) + "\n")
