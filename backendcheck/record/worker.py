"""The half of the recording plugin that runs in a worker: one backend, imported once, case after case."""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import json
import os
import platform
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _pytest.config import ConftestImportFailure
from _pytest.runner import runtestprotocol

from backendcheck.backends import Backend, installed_version, parse_backend
from backendcheck.case_files import PREFIX, case_functions, defined_twice, file_digest, holds_cases
from backendcheck.expected import expected_values
from backendcheck.node_id import case_id
from backendcheck.record.fixtures import seed_of
from backendcheck.record.isolation import Streams, clear_session, end_with_parent, left_as_found, seed_everything
from backendcheck.record.plugin import CaseModule
from backendcheck.record.session_file import SessionFile
from backendcheck.recording import (
    PLANTED_NOTES,
    Recording,
    read_recording,
    recording_path,
    write_atomically,
    write_recording,
)

# Variables of the environment that can move a number or its repeatability.
_NUMERIC_VARIABLES = (
    "CUDA_VISIBLE_DEVICES", "JAX_DEFAULT_MATMUL_PRECISION", "JAX_ENABLE_X64", "JAX_PLATFORMS", "KERAS_TORCH_DEVICE",
    "MKL_NUM_THREADS", "OMP_NUM_THREADS", "PYTHONHASHSEED", "TF_DETERMINISTIC_OPS", "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_XLA_FLAGS", "XLA_FLAGS",
)  # fmt: skip


class Worker:
    """Collects case files, runs cases, writes their recordings."""

    def __init__(self, session: SessionFile, worker: str) -> None:
        self.session = session
        self.leg = Path(session.leg)
        self.work = Path(session.work)
        self.worker = worker
        self.digests: dict[Path, str] = {}
        self.plant: Any = contextlib.nullcontext()  # the fault in force, if any
        end_with_parent(signal.SIGKILL)
        # Ctrl-C is for the controller: here it would look like something the case has thrown.
        signal.signal(signal.SIGINT, lambda *_: None)
        self.streams = Streams(self.work / f"{worker}.stderr")
        faulthandler.enable(file=self.streams.file)
        self.stacks = (self.work / f"{worker}.timeout").open("ab", buffering=0)

    # --- start ------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        try:
            self._note_environment()
        except BaseException as error:
            last = traceback.format_exception_only(error)[-1].strip()
            write_atomically(self.work / "fatal", f"{self.session.backend} cannot be used here: {last}".encode())
            traceback.print_exc()
            raise
        for folder in (self.session.directory, os.getcwd()):  # noqa: PTH109
            if folder not in sys.path:
                sys.path.append(folder)

    def _note_environment(self) -> None:
        import keras
        import numpy as np

        from backendcheck.record.observe import numerics
        from backendcheck.record.perturbation import Perturbation

        if keras.backend.backend() != self.session.backend:
            message = f"keras runs on {keras.backend.backend()} although KERAS_BACKEND={self.session.backend} was set"
            raise RuntimeError(message)
        Perturbation(name=self.session.noise).prepare_session()
        backend = parse_backend(self.session.backend)
        module = sys.modules[backend.value]
        determinism = numerics().settle(self.session.device)
        note = {
            "versions": {
                "backendcheck": installed_version("backendcheck") or "",
                "python": platform.python_version(),
                "keras": keras.__version__,
                # The others too, if they are there: some layers of Keras need TensorFlow on every backend.
                **{other.value: version for other in Backend if (version := other.version())},
                backend.value: str(getattr(module, "__version__", backend.version() or "")),
                "numpy": np.__version__,
                **{name: version for name in ("scikit-learn", "jaxlib") if (version := installed_version(name))},
            },
            "platform": {
                "system": platform.system(),
                "release": platform.release(),
                "machine": platform.machine(),
                "cores": str(os.cpu_count()),
            },
            "device": numerics().device_name(),
            "settings": settings(),
            "determinism": determinism | {name: os.environ[name] for name in _NUMERIC_VARIABLES if name in os.environ},
        }
        write_atomically(self.work / f"{self.worker}.environment", json.dumps(note).encode())

    # --- collection -------------------------------------------------------------------------------------------

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        # A file named outright is collected by pytest's own hook, which comes to pytest_pycollect_makemodule as well.
        if self.session.only and file_path.stem != self.session.only.partition("/")[0]:
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
                self._note_problem(*_where_and_why(collector.path, report))
            return report
        poisoned = self.work / "poisoned"
        if poisoned.exists() and str(collector.path) in poisoned.read_text(encoding="utf-8").splitlines():
            collector.collect = list  # type: ignore[method-assign]  # it killed a worker before; that is noted already
            return (yield)
        marker = self.work / f"{self.worker}.importing"
        marker.write_text(str(collector.path), encoding="utf-8")
        faulthandler.dump_traceback_later(self.session.timeout_s, exit=True, file=self.stacks)
        try:
            report = yield
        except (KeyboardInterrupt, SystemExit) as error:  # these end a pytest session; here they only spoil their file
            cause = pytest.ExceptionInfo.from_exception(error)
            info: pytest.CallInfo[Any] = pytest.CallInfo(None, cause, 0.0, 0.0, 0.0, "collect", _ispytest=True)
            report = pytest.CollectReport(collector.nodeid, "failed", str(error), [])
            report.call = info  # type: ignore[attr-defined]
        finally:
            faulthandler.cancel_dump_traceback_later()
            marker.unlink()
        if report.outcome != "passed":
            self._note_problem(*_where_and_why(collector.path, report))
        for name, first, second in defined_twice(collector.path):
            message = (
                f"{name} is defined twice, at lines {first} and {second}; expected one case to an id. "
                "Python keeps only the last: rename one"
            )
            self._note_problem(collector.path, second, message)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(
        self, collector: pytest.Collector, name: str, obj: object
    ) -> Generator[None, pytest.Item | pytest.Collector | list[pytest.Item | pytest.Collector] | None, Any]:
        """One name that is no case must neither go unnoticed nor take the other cases of its file with it."""
        if not isinstance(collector, CaseModule) or not collector.funcnamefilter(name):
            return (yield)
        message = f"{name} is no function but {type(obj).__name__}; expected a case. Rename it, or make it one"
        try:
            made = yield
        except (pytest.fail.Exception, pytest.Collector.CollectError) as error:
            why = " ".join(str(error).split()).rstrip(".")
            made, message = None, f"{name} cannot be collected: {why}. Correct it"
        if not made:
            self._note_problem(collector.path, _line_of(collector.path, name, obj), message)
        return made

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Say whose hook it was that ended this worker."""
        frames = [entry for entry in excinfo.traceback if "site-packages" not in str(entry.path)]
        place = frames[-1] if frames else excinfo.traceback[-1]
        what = _in_one_line(excinfo.value)
        message = f"a pytest hook failed, and cases were lost: {what}. Correct it, or the plugin it belongs to"
        self._note_problem(Path(place.path), place.lineno + 1, message)

    def _note_problem(self, path: Path, line: int, message: str) -> None:
        note = {"file": self.session.case_file(path), "line": line, "message": message}
        text = json.dumps(note)
        name = f"problem-{hashlib.sha256(text.encode()).hexdigest()[:16]}"  # one note, whichever workers write it
        write_atomically(self.work / name, text.encode())

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        first: dict[str, pytest.Item] = {}
        unique = []
        for item in items:
            other = first.setdefault(case_id(item.nodeid), item)
            if other is item:
                unique.append(item)
                continue
            where = f"{self.session.case_file(other.path)}:{(other.reportinfo()[1] or 0) + 1}"
            message = (
                f"its case id {case_id(item.nodeid)} is taken by {where}; expected one case to an id "
                "(<file stem>/<function>). Rename the file or the function"
            )
            self._note_problem(item.path, (item.reportinfo()[1] or 0) + 1, message)
        items[:] = [item for item in unique if self.session.wants(case_id(item.nodeid))]

    # --- running a case ---------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.streams.put_up()
        marker = self.work / f"{self.worker}.running"
        begun = {"nodeid": item.nodeid, "stderr_from": self.streams.size(), "began": time.time()}
        marker.write_text(json.dumps(begun), encoding="utf-8")
        try:
            for fault in self.session.planted_on(case_id(item.nodeid)):
                self._run_planted(item, fault)
            return (yield)
        except Exception as error:  # noqa: BLE001 - a hook of somebody's; it would end the session, and with it all the other cases
            problem = f"a pytest hook failed around it: {_in_one_line(error)}"
            try:
                write_recording(self.leg, self._recording(item, status="error", problem=problem))
            except BaseException:  # noqa: BLE001 - only this process may end: the controller then says so, and the others go on
                traceback.print_exc()
                os._exit(os.EX_SOFTWARE)
            with contextlib.suppress(Exception):
                item.session._setupstate.teardown_exact(None)  # noqa: SLF001 - the next case needs a clean start
            return True
        finally:
            marker.unlink()

    def _run_planted(self, item: pytest.Item, fault: str) -> None:
        """Run `item` once more, from its fixtures on, with a fault planted; the recording goes to the leg of the fault."""
        from backendcheck.record.plants import planted

        clean, self.leg = self.leg, Path(self.session.plants[fault][1])
        self.plant = planted(fault)
        faulthandler.dump_traceback_later(self.session.timeout_s, exit=True, file=self.stacks)
        try:
            # What follows, to the tear-down, is another item of the same module: fixtures of the module stay.
            runtestprotocol(item, log=False, nextitem=item.parent)  # type: ignore[arg-type]
        finally:
            faulthandler.cancel_dump_traceback_later()
            note = {name: getattr(self.plant, name) for name in ("n_altered", "n_same", "n_traced", "n_unsettled")}
            line = json.dumps({"case": case_id(item.nodeid), **note}) + "\n"
            self.leg.mkdir(parents=True, exist_ok=True)
            with (self.leg / f"{PLANTED_NOTES}-{self.worker}.jsonl").open("a", encoding="utf-8") as file:
                file.write(line)
            self.leg, self.plant = clean, contextlib.nullcontext()

    def pytest_timeout_set_timer(self, settings: Any) -> bool:
        # From a C thread that needs no lock of Python's: it ends even a case that hangs inside a backend.
        faulthandler.dump_traceback_later(settings.timeout, exit=True, file=self.stacks)
        return True

    def pytest_timeout_cancel_timer(self) -> bool:
        faulthandler.cancel_dump_traceback_later()
        return True

    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        if not isinstance(pyfuncitem.parent, CaseModule):
            return None
        # Filters that a conftest or a fixture has put up must not decide what a backend is seen to do.
        with warnings.catch_warnings():
            warnings.resetwarnings()
            warnings.simplefilter("ignore")
            with left_as_found():
                recording = self._record(pyfuncitem)
            if "reference" in recording.oracles and not self.session.layers:
                recording = replace(recording, expected={**recording.expected, **expected_values(recording)})
            write_recording(self.leg, recording)
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        return (yield from self._ending_nothing())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        return (yield from self._ending_nothing())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        return (yield from self._ending_nothing())

    def _ending_nothing(self) -> Generator[None, object, object]:
        try:
            return (yield)
        except (KeyboardInterrupt, pytest.exit.Exception) as error:
            message = f"it raised {_in_one_line(error)}"
            raise EndedSession(message) from error
        finally:
            self.streams.put_up()

    def _record(self, item: pytest.Function) -> Recording:
        from backendcheck.record import observe
        from backendcheck.record.arrays import NotRecordable
        from backendcheck.record.layers import observe_layers
        from backendcheck.record.perturbation import Perturbation
        from backendcheck.record.trace import InvalidCase, OutOfMemory, Trace

        seed, noise = seed_of(item), Perturbation(name=self.session.noise)
        clear_session()
        seed_everything(seed)
        trace = Trace()
        problem, status = "", ""
        case: Any = None
        fields: dict[str, Any] = {}
        try:
            arguments = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}  # noqa: SLF001 - pytest's own call does this
            with self.plant:
                with trace.stage("case"):
                    case = item.obj(**arguments)
                if not trace.raised:
                    fields = {
                        "class_names": _plain_class_names(getattr(case, "class_names", None)),
                        "tolerance": observe.tolerances_of(case),
                        "expect": _expectation(getattr(case, "expect", None)),
                    }
                    if self.session.layers:
                        observe_layers(case, trace, seed=seed, teacher=self._teacher(case_id(item.nodeid)))
                    else:
                        observe.observe(case, trace, seed=seed, oracles=frozenset(self.session.oracles), noise=noise)
            if fields and not self.session.layers:
                fields["reference"] = observe.reference_of(case)
        except (InvalidCase, NotRecordable) as error:
            problem, status = str(error), "error"
        except OutOfMemory as error:
            problem, status = str(error), "crashed"
        return self._recording(
            item,
            status=status or ("raised" if trace.raised else "recorded"),
            problem=problem,
            observations=trace.observations if self.session.layers else observe.in_flow_order(trace),
            layers=trace.layers,
            raised=tuple(trace.raised),
            digests=trace.digests,
            state=trace.state,
            labels=trace.labels,
            losses=trace.losses,
            expected=trace.expected,
            variants=tuple(trace.variants),
            oracles=tuple(self.session.oracles),
            settings=settings() | noise.settings,
            not_compared=trace.not_compared,
            notes=tuple(trace.notes),
            timings_s=trace.timings_s,
            optimizer=trace.optimizer,
            **fields,
        )

    def _teacher(self, case: str) -> Recording | None:
        return read_recording(recording_path(Path(self.session.teacher), case)) if self.session.teacher else None

    def _recording(self, item: pytest.Item, **fields: Any) -> Recording:
        if item.path not in self.digests:
            self.digests[item.path] = file_digest(item.path)
        function = getattr(item, "obj", None)
        return Recording(
            case=case_id(item.nodeid),
            backend=self.session.backend,
            run=self.session.run,
            claim=_claim(function),
            file=self.session.case_file(item.path),
            line=(item.reportinfo()[1] or 0) + 1,
            file_digest=self.digests[item.path],
            **fields,
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if isinstance(item.parent, CaseModule) and call.excinfo is not None:
            error = call.excinfo.value
            if isinstance(error, pytest.skip.Exception):
                status, problem = "skipped", f"skipped: {error}"
            elif isinstance(error, pytest.xfail.Exception):
                status, problem = "skipped", f"skipped: expected to fail: {error}"
            elif isinstance(error, EndedSession):
                status, problem = "error", f"{call.when} failed: {error}"
            else:
                status, problem = "error", f"{call.when} failed: {_in_one_line(error)}"
            write_recording(self.leg, self._recording(item, status=status, problem=problem))
        return report


class EndedSession(Exception):
    """A case or a fixture threw what would end a pytest session, and with it all the other cases."""


def settings() -> dict[str, str]:
    """The Keras settings that decide what a number means; legs that differ in one are not comparable."""
    import keras

    policy = keras.config.dtype_policy()
    return {
        "floatx": keras.config.floatx(),
        "epsilon": repr(keras.config.epsilon()),
        "image_data_format": keras.config.image_data_format(),
        "dtype_policy": getattr(policy, "name", str(policy)),
    }


def _expectation(expect: Any) -> dict[str, Any] | None:
    from backendcheck.case import Raises
    from backendcheck.record.trace import InvalidCase

    if expect is None:
        return None
    if isinstance(expect, type) and issubclass(expect, Raises):
        expect = Raises()
    if not isinstance(expect, Raises):
        message = f"expect is {expect!r}; expected Raises(), with a type or a match if need be."
        raise InvalidCase(message)
    return {"type_names": list(expect.type_names) if expect.type_names else None, "match": expect.match}


def _plain_class_names(names: Any) -> Any:
    if names is None:
        return None
    if hasattr(names, "items"):
        return {str(output): [str(name) for name in one] for output, one in names.items()}
    return [str(name) for name in names]


def _in_one_line(error: BaseException) -> str:
    if isinstance(error, pytest.FixtureLookupError):
        return f"fixture {error.argname!r} not found"
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _claim(function: object) -> str:
    """The docstring of a case; that of a class, as a partial has, is not the case's own."""
    import inspect

    text = getattr(function, "__doc__", None)
    return inspect.cleandoc(text) if isinstance(text, str) and text is not type(function).__doc__ else ""


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
    what = _in_one_line(error).partition("\n")[0].rstrip(".")
    return path, (lines or [1])[-1] or 1, f"does not import: {what}. Correct it, or install what it needs"
