"""One case becomes a recording, and an item that was not observed becomes one that says why."""

from __future__ import annotations

import contextlib
import inspect
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from backendcheck.case import FunctionCase, Raises, ValueCase
from backendcheck.case_files import file_digest
from backendcheck.record.case_module import error_in_words
from backendcheck.record.environment import settings
from backendcheck.record.fixtures import seed_of
from backendcheck.record.isolation import clear_session
from backendcheck.record.observe.raised import as_raised
from backendcheck.recordings.files import find_recording, read_recording
from backendcheck.recordings.paths import recording_path
from backendcheck.recordings.recording import Recording
from backendcheck.sessions.session_state import SessionState
from backendcheck.vocabulary.case_ids import case_id
from backendcheck.vocabulary.stages import RecordingStage
from backendcheck.vocabulary.states import Status

_LONGEST_SOURCE = 4000  # characters


class EndedSession(Exception):
    """A case or a fixture threw what would end a pytest session, and with it all the other cases."""


class CaseRecorder:
    """Makes the recordings of one session. `injection` is the fault in force, if there is one."""

    def __init__(self, session: SessionState) -> None:
        self.session = session
        self.request = session.request
        self.injection: Any = contextlib.nullcontext()
        self._digests: dict[Path, str] = {}

    def record(self, item: pytest.Function, make: Callable[[], Any], case: str = "") -> Recording:
        """The recording of what `make` returns, as the case with the id `case`, or as the one that `item` stands for."""
        from backendcheck.record import flow
        from backendcheck.record.compile_mode import case_compiles
        from backendcheck.record.layers.replay import observe_layers
        from backendcheck.record.observe.declarations import (
            check_libraries,
            materialized,
            missing_library,
            reference_of,
            tolerances_of,
        )
        from backendcheck.record.observe.draws import watched
        from backendcheck.record.observe.errors import InvalidCase
        from backendcheck.record.observe.function import note_draws_of_values
        from backendcheck.record.observe.generators import rewound
        from backendcheck.record.observe.operations import operations_noted
        from backendcheck.record.observe.perturbation import Perturbation
        from backendcheck.record.observe.precision import layers_noted
        from backendcheck.record.observe.trace import Trace

        seed, noise = seed_of(item), Perturbation(name=self.request.noise)
        trace = Trace()
        returned: Any = None
        fields: dict[str, Any] = {}
        with trace.ended_by_problems():
            with self.injection, rewound(item.funcargs) as rewind, contextlib.ExitStack() as watching:
                draws = watching.enter_context(watched(item.obj))
                with trace.stage(RecordingStage.CASE):
                    with case_compiles(), layers_noted() as dtypes, operations_noted(trace.operations):
                        returned = materialized(make())
                    if isinstance(returned, Mapping):
                        trace.lower_precision(*dtypes)
                is_value = isinstance(returned, ValueCase | Mapping)
                if not is_value and not isinstance(returned, FunctionCase):
                    trace.operations.clear()  # those of a model that was built
                if not is_value:
                    watching.close()  # the other cases are watched part by part
                if missing := missing_library(trace.raised):
                    raise InvalidCase(missing)
                if not trace.raised:
                    fields = {
                        "class_names": _plain_class_names(getattr(returned, "class_names", None)),
                        "tolerance": tolerances_of(returned),
                        "expect": _expectation(getattr(returned, "expect", None)),
                    }
                    if self.request.layers:
                        observe_layers(returned, trace, seed=seed, source=self._source_calls(case_id(item.nodeid)))
                    else:
                        flow.observe(returned, trace, seed=seed, oracles=frozenset(self.request.oracles), noise=noise)
                if getattr(returned, "expect", None) is None:
                    check_libraries(trace)
                watching.close()
                if is_value and not trace.raised and not self.request.layers:
                    note_draws_of_values(_afresh(rewind, make), draws, trace)
            if fields and not self.request.layers:
                fields["reference"], fields["reference_dtypes"] = reference_of(returned)
        return trace.recording(
            **self._identity(item, case), oracles=tuple(self.request.oracles), settings=settings() | noise.settings, **fields
        )

    def not_observed(
        self, item: pytest.Item, case: str = "", *, status: Status, problem: str, call: pytest.CallInfo[None] | None = None
    ) -> Recording:
        """A recording of `item`, or of the case with the id `case`, that says why it was not observed.

        `call` is the set-up, call or tear-down that has raised an exception.
        """
        failure = None
        if call is not None and call.excinfo is not None and status is Status.ERROR:
            failure = as_raised(call.when, call.excinfo.value)
        return Recording(**self._identity(item, case), status=status, problem=problem, failure=failure)

    def _source_calls(self, case: str) -> Recording | None:
        """The layer calls of the backend whose inputs are replayed here."""
        leg = self.request.source_leg
        return read_recording(find_recording(leg, case) or recording_path(leg, case)) if leg is not None else None

    def _identity(self, item: pytest.Item, case: str) -> dict[str, Any]:
        """The fields of a recording that are known however the case ends."""
        if item.path not in self._digests:
            self._digests[item.path] = file_digest(item.path)
        return {
            "case": case or case_id(item.nodeid),
            "backend": self.session.backend,
            "run": self.session.run,
            "claim": _claim(getattr(item, "obj", None)),
            "file": self.session.case_file(item.path),
            "line": (item.reportinfo()[1] or 0) + 1,
            "file_digest": self._digests[item.path],
            "source": _source(getattr(item, "obj", None)),
        }


def _afresh(rewind: Callable[[], None], make: Callable[[], Any]) -> Callable[[], Any]:
    """Calls a case again as if for the first time, with the same numbers from its fixtures."""

    def again() -> Any:
        clear_session()
        rewind()
        return make()

    return again


def status_and_problem(call: pytest.CallInfo[None]) -> tuple[Status, str]:
    """The status and the problem of an item whose set-up, call or tear-down has raised an exception."""
    assert call.excinfo is not None  # noqa: S101 - for the type
    error = call.excinfo.value
    if isinstance(error, pytest.skip.Exception):
        return Status.SKIPPED, f"skipped: {error}"
    if isinstance(error, pytest.xfail.Exception):
        return Status.SKIPPED, f"skipped: expected to fail: {error}"
    return Status.ERROR, f"{call.when} failed: {exception_in_words(call)}"


def exception_in_words(call: pytest.CallInfo[None]) -> str:
    """The exception of an item that has raised one."""
    assert call.excinfo is not None  # noqa: S101 - for the type
    error = call.excinfo.value
    return str(error) if isinstance(error, EndedSession) else error_in_words(error)


def _expectation(expect: Any) -> dict[str, Any] | None:
    from backendcheck.record.observe.errors import InvalidCase

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
        return {str(output): [str(name) for name in of_output] for output, of_output in names.items()}
    return [str(name) for name in names]


def _claim(function: object) -> str:
    """The docstring of a case; that of a class, as a partial has, is not the case's own."""
    text = getattr(function, "__doc__", None)
    return inspect.cleandoc(text) if isinstance(text, str) and text is not type(function).__doc__ else ""


def _source(function: Any) -> str:
    """The source of a case; empty if it has none of its own, as a partial."""
    try:
        unwrapped = inspect.unwrap(function)
        if unwrapped.__code__.co_filename == "<string>":  # from Python 3.13 on, the source of `python -c` has this name too
            return ""
        text = textwrap.dedent(inspect.getsource(unwrapped)).rstrip()
    except (AttributeError, OSError, TypeError, ValueError, SyntaxError):
        return ""
    return text if len(text) <= _LONGEST_SOURCE else f"{text[:_LONGEST_SOURCE].rpartition(chr(10))[0]}\n    …"
