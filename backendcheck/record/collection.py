"""The half of a worker that collects: the files with cases, the functions that are cases, and problems of others."""

from __future__ import annotations

import faulthandler
import sys
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from _pytest.config import ConftestImportFailure

from backendcheck.case_files import PREFIX, case_functions, defined_twice, holds_cases
from backendcheck.record.case_module import CaseModule, error_in_words
from backendcheck.sessions.session_state import SessionState
from backendcheck.sessions.source_files import sources
from backendcheck.vocabulary.case_ids import case_id


class Collection:
    """Collects the cases of one worker's session. `stacks` is where the stacks of an import that hangs go."""

    def __init__(self, session: SessionState, worker: str, stacks: Any) -> None:
        self.session = session
        self.files = session.files.of_worker(worker)
        self.stacks = stacks

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        # A file named outright is collected by pytest's own hook, which comes to pytest_pycollect_makemodule as well.
        only = self.session.request.only
        if only and file_path.stem != only.partition("/")[0]:
            return None
        if file_path.suffix != ".py" or parent.session.isinitpath(file_path) or not holds_cases(file_path):
            return None
        module: pytest.Collector | None = parent.ihook.pytest_pycollect_makemodule(module_path=file_path, parent=parent)
        return module

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Module:
        folder = str(module_path.parent)
        if folder not in sys.path:
            sys.path.append(folder)  # for helpers beside the case file; last, so that none of them hides a library
        return CaseModule.from_parent(parent, path=module_path)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        if not isinstance(collector, CaseModule):
            report = yield
            if report.outcome == "failed":  # a conftest.py in a folder, mostly
                self.session.note_problem(*_where_and_why(collector.path, report))
            return report
        if str(collector.path) in self.session.files.poisoned():
            collector.collect = list  # type: ignore[method-assign]  # it killed a worker before; that is noted already
            return (yield)
        self.files.importing.write_text(str(collector.path), encoding="utf-8")
        faulthandler.dump_traceback_later(self.session.request.timeout_s, exit=True, file=self.stacks)
        try:
            report = yield
        except (KeyboardInterrupt, SystemExit) as error:  # these end a pytest session; here they only spoil their file
            cause = pytest.ExceptionInfo.from_exception(error)
            info: pytest.CallInfo[Any] = pytest.CallInfo(None, cause, 0.0, 0.0, 0.0, "collect", _ispytest=True)
            report = pytest.CollectReport(collector.nodeid, "failed", str(error), [])
            report.call = info  # type: ignore[attr-defined]
        finally:
            faulthandler.cancel_dump_traceback_later()
            self.files.importing.unlink()
        if report.outcome != "passed":
            self.session.note_problem(*_where_and_why(collector.path, report))
        for name, first, second in defined_twice(collector.path):
            message = (
                f"{name} is defined twice, at lines {first} and {second}; expected one case to an id. "
                "Python keeps only the last: rename one"
            )
            self.session.note_problem(collector.path, second, message)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(
        self, collector: pytest.Collector, name: str, obj: object
    ) -> Generator[None, pytest.Item | pytest.Collector | list[pytest.Item | pytest.Collector] | None, Any]:
        """Report a name that is not a case, and keep the other cases of its file."""
        if not isinstance(collector, CaseModule) or not collector.funcnamefilter(name):
            return (yield)
        message = f"{name}: not a function but {type(obj).__name__}; expected a case. Rename it, or make it a function"
        try:
            collected = yield
        except (pytest.fail.Exception, pytest.Collector.CollectError) as error:
            why = " ".join(str(error).split()).rstrip(".")
            collected, message = None, f"{name} cannot be collected: {why}. Correct it"
        if not collected:
            self.session.note_problem(collector.path, _line_of(collector.path, name, obj), message)
        return collected

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Report the hook that ended this worker."""
        frames = [entry for entry in excinfo.traceback if "site-packages" not in str(entry.path)]
        place = frames[-1] if frames else excinfo.traceback[-1]
        what = error_in_words(excinfo.value)
        message = f"a pytest hook failed, and cases were lost: {what}. Correct it, or the plugin it belongs to"
        self.session.note_problem(Path(place.path), place.lineno + 1, message)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        """Keep each case once. After -k, -m and the hooks of others, keep those that are still to be recorded."""
        self._keep_one_to_an_id(items)
        yield
        cases = {item: case_id(item.nodeid) for item in items}
        in_shard = self.session.in_shard(cases.values())
        mine = [item for item in items if cases[item] in in_shard]
        note = {
            "all": list(cases.values()),
            "selected": [cases[item] for item in mine],
            "sources": sources(session, config.pluginmanager, self.session.directory),
        }
        self.session.files.note_alike(cases.values())
        self.files.note_collected(note)
        kept = frozenset(self.session.kept)
        items[:] = [item for item in mine if cases[item] not in kept]
        if self.session.request.first:
            items.sort(key=lambda item: not self.session.comes_first(cases[item]))

    def _keep_one_to_an_id(self, items: list[pytest.Item]) -> None:
        first: dict[str, pytest.Item] = {}
        unique = []
        for item in items:
            namesake = first.setdefault(case_id(item.nodeid), item)
            if namesake is item:
                unique.append(item)
                continue
            where = f"{self.session.case_file(namesake.path)}:{(namesake.reportinfo()[1] or 0) + 1}"
            message = (
                f"its case id {case_id(item.nodeid)} is taken by {where}; expected one case to an id "
                "(<file stem>/<function>). Rename the file or the function"
            )
            self.session.note_problem(item.path, (item.reportinfo()[1] or 0) + 1, message)
        items[:] = [item for item in unique if self.session.wants(case_id(item.nodeid))]


def _line_of(path: Path, name: str, obj: object) -> int:
    code = getattr(obj, "__code__", None)
    if code is not None:
        return int(code.co_firstlineno)
    return next((case.line for case in case_functions(path) if case.id.endswith(f"/{name.removeprefix(PREFIX)}")), 1)


def _where_and_why(path: Path, report: pytest.CollectReport) -> tuple[Path, int, str]:
    """File, line and reason why something could not be collected."""
    excinfo = getattr(getattr(report, "call", None), "excinfo", None)
    if excinfo is None:
        return path, 1, f"cannot be collected: {report.longreprtext.strip().splitlines()[-1]}"
    error: BaseException = excinfo.value
    if isinstance(error, pytest.skip.Exception):
        return path, 1, f"is skipped: {error}. A file that is skipped is not compared"
    while isinstance(error, pytest.Collector.CollectError) and (error.__cause__ or error.__context__):
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    if isinstance(error, ConftestImportFailure):
        path, error = error.path, error.cause
    if isinstance(error, SyntaxError):
        file = Path(error.filename) if error.filename else path
        return file, error.lineno or 1, f"does not import: {type(error).__name__}: {error.msg}. Correct it"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    what = error_in_words(error).partition("\n")[0].rstrip(".")
    return path, (lines or [1])[-1] or 1, f"does not import: {what}. Correct it, or install what it needs"
