"""``case_*`` functions as items of a pytest session: collected and named by pytest, judged instead of called."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.compat import get_real_func
from _pytest.pathlib import fnmatch_ex

from backendcheck.case_files import PREFIX, case_names, holds_cases

# These marks apply in the recording sessions, where a case may be skipped on one backend and has its own time limit. A case that
# is known to fail has an entry in known_divergences.toml, which says what exactly fails, and where.
_IGNORED_MARKS = frozenset({"skip", "skipif", "xfail", "timeout"})


class Case(pytest.Function):
    """A case. The recording session of each backend sets up its fixtures and calls it; this session does not."""

    def setup(self) -> None:
        pass

    def runtest(self) -> None:
        from backendcheck.in_pytest.outcomes import judge_case

        judge_case(self)

    def iter_markers_with_node(self, name: str | None = None) -> Iterator[tuple[Any, Any]]:
        return ((node, mark) for node, mark in super().iter_markers_with_node(name) if mark.name not in _IGNORED_MARKS)


class InvalidCase(pytest.Item):
    """An object that is named like a case but is not one. It must fail visibly."""

    reason = ""

    def runtest(self) -> None:
        pytest.fail(self.reason, pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.name


class CaseFile(pytest.Module):
    """A file with cases that is not a test file. Only its cases are collected."""

    def funcnamefilter(self, name: str) -> bool:  # noqa: ARG002
        return False

    def classnamefilter(self, name: str) -> bool:  # noqa: ARG002
        return False

    def istestclass(self, obj: object, name: str) -> bool:  # noqa: ARG002
        return False

    def istestfunction(self, obj: object, name: str) -> bool:  # noqa: ARG002
        return False


class CaseCollection:
    """Collects cases in test files, and in other files under the arguments of pytest.

    If the project configures paths of its cases, only those are searched.
    """

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.paths = tuple(Path(path).resolve() for path in paths)
        self._names: dict[Path, frozenset[str]] = {}

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        # pytest's own hook collects test files and files given as arguments; their names come to the hook below.
        if file_path.suffix != ".py" or parent.session.isinitpath(file_path) or _is_test_file(file_path, parent.config):
            return None
        if not self._may_hold_cases(file_path) or not holds_cases(file_path):
            return None
        _import_from_folder_of(file_path)
        module: pytest.Collector = CaseFile.from_parent(parent, path=file_path)
        return module

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path) -> None:
        if holds_cases(module_path):
            _import_from_folder_of(module_path)

    def pytest_pycollect_makeitem(self, collector: pytest.Collector, name: str, obj: object) -> list[pytest.Item] | None:
        if not name.startswith(PREFIX) or not isinstance(collector, pytest.Module):
            return None
        path = collector.path
        if path not in self._names:
            has_cases = self._may_hold_cases(path) or collector.session.isinitpath(path)
            # From the source, because a case imported from another file belongs to that file only.
            self._names[path] = case_names(path) if has_cases else frozenset()
        if name not in self._names[path]:
            return None
        try:
            return _cases(collector, name, obj)
        except (pytest.fail.Exception, pytest.Collector.CollectError) as error:
            why = " ".join(str(error).split()).rstrip(".")
            return [_invalid_case(collector, name, f"{name} cannot be collected: {why}. Correct it.")]

    def _may_hold_cases(self, path: Path) -> bool:
        return not self.paths or any(path.resolve().is_relative_to(folder) for folder in self.paths)


def _import_from_folder_of(path: Path) -> None:
    """Make modules next to a case file importable, as in a recording session. The folder comes last, so it hides no library."""
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))


def _cases(module: pytest.Module, name: str, obj: object) -> list[pytest.Item]:
    function = get_real_func(obj)  # type: ignore[no-untyped-call]  # a functools.partial or a decorated function is a case too
    if not inspect.isfunction(function):
        reason = f"{name}: not a function but {type(obj).__name__}; expected a case. Rename it, or make it a function."
        return [_invalid_case(module, name, reason)]
    if inspect.isgeneratorfunction(function):
        return [_invalid_case(module, name, f"{name} yields; expected a function that returns a case. Fixtures may yield.")]
    cases: list[pytest.Item] = []
    for item in module._genfunctions(name, obj):  # noqa: SLF001 - pytest's handling of parametrize, fixtures and hooks
        callspec = getattr(item, "callspec", None)
        more = {} if callspec is None else {"callspec": callspec, "keywords": {callspec.id: True}}
        cases.append(
            Case.from_parent(module, name=item.name, fixtureinfo=item._fixtureinfo, originalname=item.originalname, **more)  # noqa: SLF001
        )
    return cases


def _invalid_case(module: pytest.Module, name: str, reason: str) -> pytest.Item:
    item: InvalidCase = InvalidCase.from_parent(module, name=name)
    item.reason = f"{module.nodeid}: {reason}"
    return item


def _is_test_file(path: Path, config: pytest.Config) -> bool:
    return any(fnmatch_ex(pattern, path) for pattern in config.getini("python_files"))
