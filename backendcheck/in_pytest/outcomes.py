"""Turn a verdict into the outcome of a pytest item: passed, failed with the report's message, or an expected failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from backendcheck.case import FunctionCase, Raises, Tolerance
from backendcheck.errors import BackendcheckError
from backendcheck.in_pytest.judge import Judge
from backendcheck.in_pytest.names import FIXTURE, JUDGING, base_nodeid
from backendcheck.recordings.recording import returned
from backendcheck.results.results import CaseResult
from backendcheck.text.escape import one_line
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.case_ids import call_id, case_id

PROPERTY = "backendcheck_case"  # of an item, in JUnit XML and in the reports of pytest-xdist workers
VERDICT = "backendcheck_verdict"
HEADLINE = pytest.StashKey[str]()  # of a failed item, for pytest's summary
KNOWN = pytest.StashKey[list[str]]()  # reasons of known divergences in a test, which goes on after them
_TERMINAL_MARGIN = 4  # columns that pytest puts before the message of an exception


def judge_case(item: pytest.Item) -> None:
    """Return for PASSED; otherwise raise the exception with which pytest reports the verdict."""
    result = _result_of(item, case_id(base_nodeid(item)))
    if result.verdict is Verdict.XFAILED and not item.config.option.runxfail:
        item.stash[KNOWN] = [reasons(result)]
    elif result.verdict is not Verdict.PASSED:
        pytest.fail(_explain(item, result, 0), pytrace=False)


class Agreement:
    """The fixture `backends_agree` of a test. It judges the calls in order."""

    def __init__(self, test: pytest.Item) -> None:
        self.test = test
        self.n_calls = 0

    def __call__(
        self,
        function: Callable[..., Any],
        *arrays: Any,
        gradients: bool = True,
        reference: Mapping[str, Any] | Callable[..., Mapping[str, Any]] | None = None,
        expect: Raises | None = None,
        tolerance: Tolerance | Mapping[str, Tolerance] | None = None,
    ) -> Any:
        __tracebackhide__ = True
        FunctionCase(function, list(arrays), gradients=gradients, reference=reference, expect=expect, tolerance=tolerance)
        self.n_calls += 1
        return self._judge(call_id(base_nodeid(self.test), self.n_calls))

    def __repr__(self) -> str:
        return f"<{FIXTURE}>"  # pytest shows it as an argument of the test

    def _judge(self, case: str) -> Any:
        __tracebackhide__ = True
        result = _result_of(self.test, case)
        if result.verdict is Verdict.XFAILED and not self.test.config.option.runxfail:
            self.test.stash.setdefault(KNOWN, []).append(reasons(result))
        elif result.verdict is not Verdict.PASSED:
            pytest.fail(_explain(self.test, result, _TERMINAL_MARGIN))
        return next((returned(recording) for recording in result.recordings.values()), None)

    def check_end(self) -> None:
        """Fail if the test made more calls on a backend, or ended differently there, than here."""
        __tracebackhide__ = True
        case = call_id(base_nodeid(self.test), self.n_calls + 1)
        if not _judge_of(self.test).has_any(case):
            return
        result = _result_of(self.test, case)
        how_often = f"{self.n_calls} time{'' if self.n_calls == 1 else 's'}"
        here = f"{case}: the test called {FIXTURE} {how_often} here; expected as many calls as on the backends"
        if result.verdict is Verdict.PASSED:
            pytest.fail(f"{here}, which made more calls and agree.", pytrace=False)
        pytest.fail(f"{_explain(self.test, result, 0)}\n{here}.", pytrace=False)


AGREEMENT = pytest.StashKey[Agreement]()


def reasons(result: CaseResult) -> str:
    return "; ".join(one_line(entry.reason) for entry in result.known)


def _judge_of(item: pytest.Item) -> Judge:
    judging: Any = item.config.pluginmanager.getplugin(JUDGING)
    if judging.lost:
        pytest.fail(f"backendcheck: {judging.lost}.", pytrace=False)
    judge: Judge = judging.judge
    return judge


def _result_of(item: pytest.Item, case: str) -> CaseResult:
    try:
        result = _judge_of(item).result(case)
    except BackendcheckError as error:
        pytest.fail(f"backendcheck: {error}", pytrace=False)
    item.user_properties.append((VERDICT, f"{result.verdict.value} {case}"))
    return result


def _explain(item: pytest.Item, result: CaseResult, margin: int) -> str:
    item.stash[HEADLINE] = f"{result.verdict.value} {one_line(result.headline)}"
    return _judge_of(item).explain(result, item.path, _width(item.config, margin))


def _width(config: pytest.Config, margin: int) -> int | None:
    """The width of the terminal; None without a terminal, so that lines of a log stay whole."""
    writer = config.get_terminal_writer()
    return max(80, writer.fullwidth - margin) if getattr(writer, "hasmarkup", False) else None
