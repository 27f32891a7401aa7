"""Notes, for each case, what its recording depends on. See `docs/ci.md` for what a kept recording is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backendcheck.record.tracking.code_of import is_local
from backendcheck.record.tracking.events import Events, Reads
from backendcheck.record.tracking.local_code import LocalCode
from backendcheck.record.tracking.module_state import Opaque, state_of
from backendcheck.record.tracking.native_readers import NativeReaders
from backendcheck.recordings.dependencies import (
    FILE,
    LISTING,
    VARIABLE,
    file_value,
    identity,
    installed_identity,
    listing_value,
    variable_value,
)
from backendcheck.sessions.session_state import SessionState
from backendcheck.sessions.worker_files import FilesOfWorker
from backendcheck.vocabulary.case_ids import case_id

# Changes that `_shared` finds file by file, and what the recorder sets for each case.
_SEEN_BY_FILE = frozenset({"sys.path", "environment variables", "warning filters"})
_CONFIGURES = ("conftest.py", "__init__.py")  # files beside a case file, or above it, that pytest reads


class Tracker:
    """Tracks the cases of one worker. It listens from before the first conftest.py is imported.

    `events` are there already in a spare worker, which listens from before its backend is imported, as every worker does.
    """

    # What the worker knows: what the last case has left changed, and the state of the process that imports have changed.
    left: Callable[[], Sequence[str]] = staticmethod(lambda: ())
    changed_by_imports: Callable[[], Sequence[str]] = staticmethod(lambda: ())

    def __init__(self, session: SessionState, files: FilesOfWorker, events: Events | None = None) -> None:
        self.session = session
        self.files = files
        own = (session.work, session.request.out, *([session.request.store] if session.request.store else []))
        self.events = events or Events()
        self.events.set_session(tuple(str(path.absolute()) for path in own), str(session.files.temporary.absolute()))
        self.code = LocalCode()
        self.began_ns = session.files.session.stat().st_mtime_ns  # it was written when the session began
        self.fixtures: dict[str, Reads] = {}
        self.states: dict[str, Any] = {}
        self.caches: dict[tuple[str, int], Reads] = {}  # what has filled each functools.cache, by file and number
        self.noted_installed: set[str] = set()
        self.rows: dict[tuple[str, str, str], int] = {}
        self.coupled: list[str] = []
        self.code.refresh()  # sitecustomize, and what a .pth file imports: they were there first, and may have changed anything
        self.everyone = dict.fromkeys(self.code.files)  # files of which the import may have changed what all cases share
        self.native = NativeReaders(self.events)
        self.native.watch()  # before the worker takes the functions of libraries as they are
        if events is None:
            self.events.start()

    # --- the collection --------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        before = _shared()
        try:
            return (yield)
        finally:
            if isinstance(collector, pytest.Module) and _shared() != before:
                self.everyone[str(collector.path)] = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Where imports have changed the state of the process, all cases depend on all of them."""
        self.coupled = sorted({*self.changed_by_imports()} - _SEEN_BY_FILE)
        if self.coupled:
            self.everyone |= dict.fromkeys(str(item.path) for item in items)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what the list of the cases depends on."""
        self.native.watch()
        self.code.refresh()
        files = [*self.code.files, *(str(item.path) for item in session.items)]
        reads = Reads()
        reads.add(self.events.session)
        for file in files:
            self._add_file(reads, file)
        self._write("", "", reads, files)

    # --- cases -------------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.native.watch()
        self.code.refresh()
        reads = Reads()
        files = self._files_of(item)
        before = {file: self._state(file, self.states) for file in files} | self._fixture_states(item)
        with self._noting(reads):
            result = yield
        self.code.refresh()
        reads.add(self.events.session)
        for name in self._fixtures_of(item):
            if name in self.fixtures:
                reads.add(self.fixtures[name])
        files = list(dict.fromkeys([*self._files_of(item), *self.code.reached(self.code.files_of(reads.modules))]))
        self._note_changes(item, files, before, reads)
        for file in files:
            self._add_file(reads, file)
        reads.untracked |= dict.fromkeys(self.left())
        self._write(case_id(item.nodeid), str(item.path), reads, files)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """What a fixture reads that is kept for several cases is a dependency of all that use it."""
        if fixturedef.scope == "function":
            return (yield)
        with self._noting(self.fixtures.setdefault(_key(fixturedef), Reads())):
            return (yield)

    @contextmanager
    def _noting(self, reads: Reads) -> Iterator[None]:
        self.events.active.append(reads)
        try:
            yield
        finally:
            self.events.active.remove(reads)

    def _files_of(self, item: pytest.Item) -> list[str]:
        """The files of local modules that a case reaches: its own, those of its fixtures and plugins, and what they import."""
        plugins = [getattr(plugin, "__file__", None) or "" for plugin in item.config.pluginmanager.get_plugins()]
        of_plugins = [file for file in plugins if file.endswith(".py") and is_local(file) and _applies(file, item.path)]
        of_fixtures = [_file_of(definition) for definition in self._definitions(item)]
        of_fixtures = [file for file in of_fixtures if file and is_local(file)]
        return self.code.reached([str(item.path), *of_plugins, *of_fixtures, *self.everyone, *_registered()])

    def _definitions(self, item: pytest.Item) -> list[pytest.FixtureDef[Any]]:
        by_name = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
        return [definition for definitions in by_name.values() for definition in definitions]

    def _fixtures_of(self, item: pytest.Item) -> list[str]:
        return [_key(definition) for definition in self._definitions(item)]

    # --- state that cases share --------------------------------------------------------------------------------------

    def _state(self, file: str, known: dict[str, Any] | None = None) -> Any:
        """The state of the modules of a file; that of the end of the case before, where there was one."""
        if known is None or file not in known:
            try:
                state: Any = [state_of(vars(module), self._is_local_module) for module in self.code.modules(file)]
            except Opaque as error:
                state = f"{file} holds {error}"
            except Exception as error:  # noqa: BLE001 - of objects that do not like to be looked at
                state = f"{file} holds something that cannot be looked into ({type(error).__name__})"
            self.states[file] = state
        return self.states[file]

    def _is_local_module(self, name: str) -> bool:
        return name in self.code.names

    def _fixture_states(self, item: pytest.Item) -> dict[str, Any]:
        """The state of the values of fixtures that other cases have used before."""
        states: dict[str, Any] = {}
        for definition in self._definitions(item):
            if definition.func.__module__.startswith("_pytest."):  # such as the numbers of temporary folders
                continue
            if definition.scope != "function" and (cached := getattr(definition, "cached_result", None)) is not None:
                try:
                    states[_key(definition)] = [state_of({"value": cached[0]}, self._is_local_module)]
                except Exception as error:  # noqa: BLE001
                    what = error if isinstance(error, Opaque) else type(error).__name__
                    states[_key(definition)] = f"the fixture {definition.argname} is shared and holds {what}"
        return states

    def _note_changes(self, item: pytest.Item, files: Iterable[str], before: dict[str, Any], reads: Reads) -> None:
        after = {file: self._state(file) for file in files} | self._fixture_states(item)
        for place, state in after.items():
            if isinstance(state, str):
                reads.untracked[state] = None
                continue
            if place not in before:  # imported by this case, or set up for it
                continue
            if isinstance(before[place], str) or [digest for digest, _ in before[place]] != [digest for digest, _ in state]:
                reads.untracked[f"it changes the state of {place}, which other cases see"] = None
                # What the next cases see is no longer what the import has made.
                self.events.modules.setdefault(place, Reads()).untracked[f"a case has changed the state of {place}"] = None
            else:
                self._note_caches(place, before[place], state, reads)

    def _note_caches(self, place: str, before: Any, after: Any, reads: Reads) -> None:
        """What has filled a ``functools.cache`` is a dependency of all cases that take values from it later."""
        pairs = ([pair for _, caches in states for pair in caches] for states in (before, after))
        for number, ((hits, misses), (hits_now, misses_now)) in enumerate(zip(*pairs, strict=True)):
            cached = self.caches.setdefault((place, number), Reads())
            if (hits, misses) != (hits_now, misses_now):
                reads.add(cached)
            if misses != misses_now:
                cached.add(reads)

    # --- notes ---------------------------------------------------------------------------------------------------------

    def _add_file(self, reads: Reads, file: str) -> None:
        reads.keys.setdefault(f"{FILE}{file}", "")
        if file in self.events.modules:
            reads.add(self.events.modules[file])
        for folder in Path(file).parents:
            for name in _CONFIGURES:
                reads.keys.setdefault(f"{FILE}{folder / name}", "")

    def _write(self, case: str, file: str, reads: Reads, files: Iterable[str]) -> None:
        for key in self.code.searched(files):
            reads.keys.setdefault(key, "")
        untracked = [*reads.untracked, *self.code.untracked(files)]
        untracked += [f"{name} is native code that may read files unseen" for name in self.code.untracked_packages]
        rows: list[int] = []
        new: list[tuple[str, str, str]] = []
        for key, noted in reads.keys.items():
            value, of_file = self._value(key), ""
            if noted and value != noted:
                untracked.append(f"{key} has changed meanwhile")
            if key.startswith(FILE):
                of_file = identity(path := key.removeprefix(FILE))
                if of_file and max(int(part) for part in of_file.split("-")[1:3]) >= self.began_ns:
                    untracked.append(f"{path} was changed while the session ran")
            row = (key, value, of_file)
            if row not in self.rows:
                self.rows[row] = len(self.rows)
                new.append(row)
            rows.append(self.rows[row])
        installed = {path: installed_identity(path) for path in self.code.installed if path not in self.noted_installed}
        self.noted_installed |= installed.keys()
        note = {"case": case, "file": file, "new": new, "rows": rows, "installed": installed, "coupled": self.coupled}
        self.files.note_dependencies(note | {"untracked": list(dict.fromkeys(untracked))})

    def _value(self, key: str) -> str:
        if key.startswith(VARIABLE):
            return variable_value(key.removeprefix(VARIABLE), self.events.variables)
        if key.startswith(LISTING):
            return listing_value(key.removeprefix(LISTING))
        path = key.removeprefix(FILE)
        of_file = identity(path)
        if of_file and self._values.get(path, ("", ""))[0] == of_file:
            return self._values[path][1]
        value = file_value(path)
        if of_file:
            self._values[path] = of_file, value
        return value

    _values: dict[str, tuple[str, str]] = {}  # noqa: RUF012 - of the only tracker of a process


def _key(definition: pytest.FixtureDef[Any]) -> str:
    return f"fixture {definition.argname} of {definition.baseid or _file_of(definition)}"


def _file_of(definition: pytest.FixtureDef[Any]) -> str:
    code = getattr(getattr(definition.func, "__wrapped__", definition.func), "__code__", None)
    return str(getattr(code, "co_filename", ""))


def _applies(plugin: str, path: Path) -> bool:
    """Whether a plugin is in force for a file: a conftest.py is where it lies, and below."""
    file = Path(plugin)
    return file.name != "conftest.py" or path.is_relative_to(file.parent)


def _registered() -> list[str]:
    """The files of local classes and functions that are registered with Keras, by whose names any case can have them."""
    registered: dict[str, Any] = getattr(getattr(sys.modules.get("keras"), "saving", None), "get_custom_objects", dict)()
    modules = [sys.modules.get(getattr(value, "__module__", "") or "") for value in registered.values()]
    files = [getattr(module, "__file__", None) or "" for module in modules]
    return [file for file in files if file and is_local(file)]


def _shared() -> Any:
    """What the import of a case file may change for the cases of all files."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return [*sys.path], variables
