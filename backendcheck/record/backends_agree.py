"""The recording half of the fixture `backends_agree`: an ordinary test is run as it is, and each call of the fixture recorded."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Generator
from typing import Any

import pytest

from backendcheck.case import FunctionCase
from backendcheck.record.case_module import is_case
from backendcheck.record.case_recording import exception_in_words, status_and_problem
from backendcheck.record.fixtures import seed_of
from backendcheck.record.isolation import clear_session, preserved_process_state, seed_everything
from backendcheck.record.observe.weights import numpy_initializers
from backendcheck.record.worker import Worker
from backendcheck.recordings.recording import returned
from backendcheck.vocabulary.case_ids import call_id
from backendcheck.vocabulary.states import Status


class NoFurther(BaseException):
    """Ends a test whose function has raised: the rest of the test needs what the call would have returned."""


class AgreementTests:
    """Runs the tests of a worker's session that are not cases, and records what their calls of `backends_agree` return."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.test: pytest.Function | None = None  # that is being run
        self.n_calls = 0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Function) -> Generator[None, object, object]:
        if is_case(item):
            return (yield)
        self.test, self.n_calls = item, 0
        clear_session()
        try:
            with numpy_initializers():
                return (yield)
        finally:
            self.test = None

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Seed each fixture by its name, because on another backend another test may be the first to use it."""
        if self.test is not None:
            key = f"{fixturedef.baseid}\0{fixturedef.argname}\0{getattr(request, 'param_index', 0)}"
            seed_everything(int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:4], "little"))
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        if pyfuncitem is not self.test:
            return (yield)
        with warnings.catch_warnings():
            warnings.resetwarnings()
            warnings.simplefilter("ignore")
            with preserved_process_state():
                seed_everything(seed_of(pyfuncitem))
                try:
                    return (yield)
                except NoFurther:
                    return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Function, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if item is self.test:
            status: Status | None = None
            problem = ""
            if call.excinfo is not None:
                status, problem = status_and_problem(call)
                if status == Status.ERROR and call.when == "call":
                    problem = f"the test ended {_where(self.n_calls)}: {exception_in_words(call)}"
            elif call.when == "call" and self.n_calls == 0:
                status, problem = Status.ERROR, "the test has not called backends_agree"
            if status:
                # As the call that was not made: it is compared with legs on which it was.
                case = call_id(item.nodeid, self.n_calls + 1)
                self.worker.keep(self.worker.recorder.not_observed(item, case, status=status, problem=problem, call=call))
        return report

    @pytest.fixture
    def backends_agree(self) -> Callable[..., Any]:
        """Records what a function returns on this backend, and its gradients. The session that selected the test judges."""
        return self._record

    def _record(self, function: Callable[..., Any], *arrays: Any, **options: Any) -> Any:
        """Record one call; returns what `function` returned here, as NumPy."""
        test = self.test
        assert test is not None  # noqa: S101 - the fixture is there in tests only
        case, seed = call_id(test.nodeid, self.n_calls + 1), seed_of(test)
        self.worker.files.note_running(case=case)  # what kills this process from here on is the end of this call

        def afresh(*tensors: Any) -> Any:
            # It is called several times, for values, gradients and compiled, and is to build the same layers each time.
            seed_everything(seed)
            return function(*tensors)

        afresh.__wrapped__ = function  # type: ignore[attr-defined]  # its parameters name the inputs
        recording = self.worker.recorder.record(test, lambda: FunctionCase(afresh, list(arrays), **options), case)
        self.worker.keep(recording)
        self.n_calls += 1
        if recording.status != Status.RECORDED and recording.expect is None:
            raise NoFurther
        return returned(recording)


def _where(n_calls: int) -> str:
    return f"after call {n_calls} of backends_agree" if n_calls else "before it called backends_agree"
