"""``case_*`` functions as items of a pytest session: found and named as pytest does it, judged instead of called."""

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

# Whether a case is skipped is for its recordings to say, each on its backend; its fixtures and its time limit are theirs as well.
# And what is known to fail is an entry in known_divergences.toml, which says what exactly fails, and where.
_NOT_HERE = frozenset({"skip", "skipif", "xfail", "timeout"})


class Case(pytest.Function):
    """A case. Its fixtures are not set up here, nor is it called: that is done in one recording session per backend."""

    def setup(self) -> None:
        pass

    def runtest(self) -> None:
        from backendcheck.in_pytest.outcomes import judge_case

        judge_case(self)

    def iter_markers_with_node(self, name: str | None = None) -> Iterator[tuple[Any, Any]]:
        return ((node, mark) for node, mark in super().iter_markers_with_node(name) if mark.name not in _NOT_HERE)


class NoCase(pytest.Item):
    """What is called like a case and is none: it must not go unnoticed."""

    reason = ""

    def runtest(self) -> None:
        pytest.fail(self.reason, pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.name


class CaseFile(pytest.Module):
    """A file that is none of the user's test files and holds cases: nothing else of it is collected."""

    def funcnamefilter(self, name: str) -> bool:  # noqa: ARG002
        return False

    def classnamefilter(self, name: str) -> bool:  # noqa: ARG002
        return False

    def istestclass(self, obj: object, name: str) -> bool:  # noqa: ARG002
        return False

    def istestfunction(self, obj: object, name: str) -> bool:  # noqa: ARG002
        return False


class CaseCollection:
    """Collects cases beside the tests of a session: in every test file, and in other files below what pytest was given.

    Where the project says in which paths its cases are, they are looked for there alone.
    """

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.paths = tuple(Path(path).resolve() for path in paths)
        self._names: dict[Path, frozenset[str]] = {}

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        # Of test files, and of files named outright, pytest's own hook makes a module; its names come to the hook below.
        if file_path.suffix != ".py" or parent.session.isinitpath(file_path) or _is_test_file(file_path, parent.config):
            return None
        if not self._may_hold_cases(file_path) or not holds_cases(file_path):
            return None
        _find_helpers_beside(file_path)
        module: pytest.Collector = CaseFile.from_parent(parent, path=file_path)
        return module

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path) -> None:
        if holds_cases(module_path):
            _find_helpers_beside(module_path)

    def pytest_pycollect_makeitem(self, collector: pytest.Collector, name: str, obj: object) -> list[pytest.Item] | None:
        if not name.startswith(PREFIX) or not isinstance(collector, pytest.Module):
            return None
        path = collector.path
        if path not in self._names:
            wanted = self._may_hold_cases(path) or collector.session.isinitpath(path)
            # By the source: a case that is imported from another file, to build upon, is a case of that file only.
            self._names[path] = case_names(path) if wanted else frozenset()
        if name not in self._names[path]:
            return None
        try:
            return _cases(collector, name, obj)
        except (pytest.fail.Exception, pytest.Collector.CollectError) as error:
            why = " ".join(str(error).split()).rstrip(".")
            return [_no_case(collector, name, f"{name} cannot be collected: {why}. Correct it.")]

    def _may_hold_cases(self, path: Path) -> bool:
        return not self.paths or any(path.resolve().is_relative_to(folder) for folder in self.paths)


def _find_helpers_beside(path: Path) -> None:
    """Have what lies beside a case file found as it is where the file is recorded: last, so that none of it hides a library."""
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))


def _cases(module: pytest.Module, name: str, obj: object) -> list[pytest.Item]:
    function = get_real_func(obj)  # type: ignore[no-untyped-call]  # a functools.partial, or what has been decorated, is a case as well
    if not inspect.isfunction(function):
        reason = f"{name} is no function but {type(obj).__name__}; expected a case. Rename it, or make it one."
        return [_no_case(module, name, reason)]
    if inspect.isgeneratorfunction(function):
        return [_no_case(module, name, f"{name} yields; expected a function that returns a case. Fixtures may yield.")]
    found: list[pytest.Item] = []
    for made in module._genfunctions(name, obj):  # noqa: SLF001 - parametrize, fixtures with parameters and hooks, as pytest has it
        callspec = getattr(made, "callspec", None)
        more = {} if callspec is None else {"callspec": callspec, "keywords": {callspec.id: True}}
        found.append(
            Case.from_parent(module, name=made.name, fixtureinfo=made._fixtureinfo, originalname=made.originalname, **more)  # noqa: SLF001
        )
    return found


def _no_case(module: pytest.Module, name: str, reason: str) -> pytest.Item:
    item: NoCase = NoCase.from_parent(module, name=name)
    item.reason = f"{module.nodeid}: {reason}"
    return item


def _is_test_file(path: Path, config: pytest.Config) -> bool:
    return any(fnmatch_ex(pattern, path) for pattern in config.getini("python_files"))
