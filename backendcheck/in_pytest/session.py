"""The judging half of a pytest session: it chooses, has recorded in the background, and judges as the recordings come in."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from backendcheck.errors import BackendcheckError
from backendcheck.in_pytest.files import Exchange
from backendcheck.in_pytest.items import Case, CaseCollection, InvalidCase
from backendcheck.in_pytest.judge import Judge
from backendcheck.in_pytest.names import OWN_OPTIONS, base_nodeid, takes_fixture
from backendcheck.in_pytest.outcomes import AGREEMENT, HEADLINE, KNOWN, PROPERTY, Agreement
from backendcheck.in_pytest.recorders import Recorders
from backendcheck.in_pytest.settings import settings_of
from backendcheck.in_pytest.summary import Ending
from backendcheck.in_pytest.waiting import wait_for
from backendcheck.sessions.selected_items import SelectedItem, SelectedItems
from backendcheck.vocabulary.case_ids import case_id


class JudgingSession:
    """The plugin that does the work in a session that compares, in the controller and the workers of pytest-xdist as well."""

    def __init__(self, config: pytest.Config, exchange_directory: Path) -> None:
        self.config = config
        self.settings = settings_of(config)
        self.exchange = Exchange(exchange_directory)
        self.judge = Judge(self.settings, self.exchange, config.invocation_params.dir)
        self.recorders: Recorders | None = None
        self.is_worker = hasattr(config, "workerinput")
        self.collection = CaseCollection(self.settings.configuration.paths if self.settings.cases else ())
        self.ending = Ending(self.settings)
        self.n_found = self.n_deselected = 0
        self.chosen: frozenset[str] = frozenset()
        self.lost = ""  # why there will be no recordings
        if self.settings.cases:
            config.pluginmanager.register(self.collection, "backendcheck-collection")

    def pytest_report_header(self) -> str:
        names = ", ".join(backend.value for backend in self.settings.backends)
        return f"backendcheck: {names}; report: {self.settings.place}/index.html"

    # --- choosing -------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.n_found = sum(map(_is_compared, items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.n_found = max(self.n_found, getattr(node, "workeroutput", {}).get(_FOUND, 0))

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.n_deselected += len(items)

    def choose(self, session: pytest.Session) -> None:
        """Note what is to be recorded of what the session is going to run."""
        found = [item for item in session.items if _is_compared(item) and not isinstance(item, InvalidCase)]
        for item in found:
            item.user_properties.append((PROPERTY, case_id(base_nodeid(item))))
        self.chosen = frozenset(base_nodeid(item) for item in found)
        option = self.config.option
        if not found or option.collectonly or option.setuponly or option.setupplan:
            return
        chosen = SelectedItems(
            items=tuple(map(_chosen, found)),
            rootdir=str(self.config.rootpath),
            inifile=str(self.config.inipath or ""),
            confcutdir=str(self.config.known_args_namespace.confcutdir),
            import_mode=str(getattr(option.importmode, "value", option.importmode)),
            import_path=tuple(folder for folder in sys.path if folder),
            options={name: value for name, value in self._own_options().items() if _plain(value)},
            is_subset=self.n_deselected > 0 or self.config.args_source is pytest.Config.ArgsSource.ARGS,
        )
        try:
            self.exchange.choose(chosen)
        except BackendcheckError as error:
            raise pytest.UsageError(str(error)) from None

    def _own_options(self) -> dict[str, Any]:
        names = self.config.stash.get(OWN_OPTIONS, frozenset())
        return {name: getattr(self.config.option, name) for name in names}

    def record(self) -> None:
        """Have recorded what was chosen, unless that is under way."""
        if self.recorders is not None or not self.exchange.chosen.exists():
            return
        self.ending.chosen = SelectedItems.load(self.exchange.chosen)
        recorders = Recorders(self.settings.requests(self.exchange.chosen), self.exchange, self.settings.out)
        try:
            recorders.start()
        except BackendcheckError as error:
            recorders.release()
            raise pytest.UsageError(str(error)) from None
        self.recorders = recorders

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        stopped = session.testsfailed and not self.config.option.continue_on_collection_errors
        if not self.is_worker and not stopped:
            self.record()  # in the controller of pytest-xdist nothing is chosen yet
        return (yield)

    # --- judging --------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        # Before everything, time limits too: the item has nothing to do with how long others take to be recorded.
        if base_nodeid(item) in self.chosen and not self.lost and not self.config.option.setuponly:
            self.lost = wait_for(base_nodeid(item), self.judge.backends, self.exchange)
        return (yield)

    def agreement_of(self, item: pytest.Item) -> Agreement:
        """The fixture `backends_agree` of a test."""
        if base_nodeid(item) not in self.chosen:
            message = "backends_agree was asked for while the test runs; expected it among the test's arguments. Name it there."
            pytest.fail(message, pytrace=False)
        return item.stash.setdefault(AGREEMENT, Agreement(item))

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        value = yield
        agreement = pyfuncitem.stash.get(AGREEMENT, None)
        if agreement is not None:
            agreement.check_end()
        return value

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None and report.failed and (headline := item.stash.get(HEADLINE, "")):
            crash.message = headline  # in one line that is more than the name of pytest's own exception
        known = item.stash.get(KNOWN, [])
        if known and call.when == "call" and report.passed and not hasattr(report, "wasxfail"):
            report.outcome = "skipped"
            report.wasxfail = "; ".join(dict.fromkeys(known))
        return report

    # --- ending ---------------------------------------------------------------------------------------------------

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ending.see(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.is_worker:
            self.config.workeroutput[_FOUND] = self.n_found  # type: ignore[attr-defined]  # pytest-xdist's
            return
        if self.recorders is not None:
            self.recorders.finish(self.ending.patience_s)
            self.ending.report()
        elif not self.n_found and not self.config.option.collectonly:
            self.ending.see_nothing()
        if self.ending.is_wrong and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.is_worker:
            self.ending.tell(terminalreporter)

    def pytest_unconfigure(self) -> None:
        if self.recorders is not None:
            self.recorders.finish(0.0)
            self.recorders.release()
        elif not self.is_worker:
            self.exchange.remove()


_FOUND = "backendcheck_found"  # by a worker


def _is_compared(item: pytest.Item) -> bool:
    return isinstance(item, Case | InvalidCase) or takes_fixture(item)


def _plain(value: object) -> bool:
    """Whether an option's value can be told to another process."""
    if isinstance(value, list):
        return all(map(_plain, value))
    return value is None or isinstance(value, str | int | float | bool)


def _chosen(item: pytest.Item) -> SelectedItem:
    classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    names = (*classes, getattr(item, "originalname", item.name))
    return SelectedItem(nodeid=base_nodeid(item), file=str(item.path), names=names, is_case=isinstance(item, Case))
