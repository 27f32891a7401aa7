"""The judging session: select the items, have them recorded in the background, judge each when its recordings arrive."""

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
from backendcheck.in_pytest.summary import Summary
from backendcheck.in_pytest.waiting import wait_for
from backendcheck.sessions.selected_items import SelectedItem, SelectedItems
from backendcheck.vocabulary.case_ids import case_id


class JudgingSession:
    """The plugin of a session that compares; it is used in the controller and in the workers of pytest-xdist."""

    def __init__(self, config: pytest.Config, exchange_directory: Path) -> None:
        self.config = config
        self.settings = settings_of(config)
        self.exchange = Exchange(exchange_directory)
        self.judge = Judge(self.settings, self.exchange, config.invocation_params.dir)
        self.recorders: Recorders | None = None
        self.is_worker = hasattr(config, "workerinput")
        self.collection = CaseCollection(self.settings.configuration.paths if self.settings.cases else ())
        self.summary = Summary(self.settings)
        self.n_compared = self.n_deselected = 0
        self.selected: frozenset[str] = frozenset()
        self.lost = ""  # why recordings cannot come, if so
        if self.settings.cases:
            config.pluginmanager.register(self.collection, "backendcheck-collection")

    def pytest_report_header(self) -> str:
        names = ", ".join(backend.value for backend in self.settings.backends)
        return f"backendcheck: {names}; report: {self.settings.place}/index.html"

    # --- selecting -------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.n_compared = sum(map(_is_compared, items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.n_compared = max(self.n_compared, getattr(node, "workeroutput", {}).get(_COMPARED, 0))

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.n_deselected += len(items)

    def select(self, session: pytest.Session) -> None:
        """Write the items to record, among those that the session will run."""
        items = [item for item in session.items if _is_compared(item) and not isinstance(item, InvalidCase)]
        for item in items:
            item.user_properties.append((PROPERTY, case_id(base_nodeid(item))))
        self.selected = frozenset(base_nodeid(item) for item in items)
        option = self.config.option
        if not items or option.collectonly or option.setuponly or option.setupplan:
            return
        selected = SelectedItems(
            items=tuple(map(_selected, items)),
            rootdir=str(self.config.rootpath),
            inifile=str(self.config.inipath or ""),
            confcutdir=str(self.config.known_args_namespace.confcutdir),
            import_mode=str(getattr(option.importmode, "value", option.importmode)),
            import_path=tuple(folder for folder in sys.path if folder),
            options={name: value for name, value in self._own_options().items() if _is_plain(value)},
            is_subset=self.n_deselected > 0 or self.config.args_source is pytest.Config.ArgsSource.ARGS,
        )
        try:
            self.exchange.select(selected)
        except BackendcheckError as error:
            raise pytest.UsageError(str(error)) from None

    def _own_options(self) -> dict[str, Any]:
        names = self.config.stash.get(OWN_OPTIONS, frozenset())
        return {name: getattr(self.config.option, name) for name in names}

    def record(self) -> None:
        """Start recording the selected items, unless it has started."""
        if self.recorders is not None or not self.exchange.selected.exists():
            return
        recorders = Recorders(self.settings.requests(self.exchange.selected), self.exchange, self.settings.out)
        try:
            self.summary.selected = SelectedItems.load(self.exchange.selected)
            recorders.start()
        except BackendcheckError as error:
            recorders.release()
            raise pytest.UsageError(str(error)) from None
        self.recorders = recorders

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        stopped = session.testsfailed and not self.config.option.continue_on_collection_errors
        if not self.is_worker and not stopped:
            self.record()  # the controller of pytest-xdist has not selected items yet
        return (yield)

    # --- judging --------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        # First of all hooks, also before time limits: waiting must not count as time of the item.
        if base_nodeid(item) in self.selected and not self.lost and not self.config.option.setuponly:
            self.lost = wait_for(base_nodeid(item), self.judge.backends, self.exchange)
        return (yield)

    def agreement_of(self, item: pytest.Item) -> Agreement:
        """The fixture `backends_agree` of a test."""
        if base_nodeid(item) not in self.selected:
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
            crash.message = headline  # for the one-line summary, instead of the name of pytest's exception
        known = item.stash.get(KNOWN, [])
        if known and call.when == "call" and report.passed and not hasattr(report, "wasxfail"):
            report.outcome = "skipped"
            report.wasxfail = "; ".join(dict.fromkeys(known))
        return report

    # --- the end of the session ---------------------------------------------------------------------------------------

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.summary.note(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.is_worker:
            self.config.workeroutput[_COMPARED] = self.n_compared  # type: ignore[attr-defined]  # pytest-xdist's
            return
        if self.recorders is not None:
            self.recorders.finish(self.summary.patience_s)
            self.summary.report()
        elif not self.n_compared and not self.config.option.collectonly:
            self.summary.note_nothing_compared()
        if self.summary.is_wrong and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.is_worker:
            self.summary.print_summary(terminalreporter)

    def pytest_unconfigure(self) -> None:
        if self.recorders is not None:
            self.recorders.finish(0.0)
            self.recorders.release()
        elif not self.is_worker:
            self.exchange.remove()


_COMPARED = "backendcheck_compared"  # in the output of a worker


def _is_compared(item: pytest.Item) -> bool:
    return isinstance(item, Case | InvalidCase) or takes_fixture(item)


def _is_plain(value: object) -> bool:
    """Whether the value of an option can be sent to another process."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float | bool)


def _selected(item: pytest.Item) -> SelectedItem:
    classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    names = (*classes, getattr(item, "originalname", item.name))
    return SelectedItem(nodeid=base_nodeid(item), file=str(item.path), names=names, is_case=isinstance(item, Case))
