"""junit.xml: one test case per case, for whatever reads JUnit XML."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import TypeVar

from junitparser import Attr, Error, Failure, JUnitXml, Properties, Property, Skipped, TestCase, TestSuite

from backendcheck.report import text
from backendcheck.report.escape import block
from backendcheck.report.view import FAILING, reasons
from backendcheck.report.view_environment import versions_line
from backendcheck.report.view_findings import excess_words
from backendcheck.results import CaseResult, Results
from backendcheck.verdict import Verdict

_Outcome = TypeVar("_Outcome", Error, Failure, Skipped)
_MOST_FINDINGS = 50  # with properties of their own, by case
# XML 1.0 has no way to write these, not even as references; `block` has written out all of them but this is the proof.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Case(TestCase):  # type: ignore[misc]  # its base class is built by an untyped metaclass
    """With the place of the case, as pytest's xunit1 family has it."""

    file = Attr()
    line = Attr()


def render(results: Results) -> str:
    """The text of junit.xml."""
    suite = TestSuite("backendcheck")
    suite.timestamp = _xml(results.created)
    for leg, version in versions_line(results):
        suite.add_property(_xml(leg), _xml(version))
    problems = [_problem(number, problem) for number, problem in enumerate(results.problems, 1)]
    suite.add_testcases([*problems, *(_case(result, results) for result in results.cases)])
    document = JUnitXml("backendcheck")
    document.add_testsuite(suite)
    document.update_statistics()
    content = io.BytesIO()
    document.write(content)
    return content.getvalue().decode() + "\n"


def _xml(given: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", block(given))


def _problem(number: int, problem: str) -> TestCase:
    """A problem of the whole run: nothing else would make a CI job fail that reads this file."""
    case = TestCase(name=f"problem {number}", classname="backendcheck.run", time=0.0)
    case.result = _outcome(Error, problem, "incomplete")
    return case


def _outcome(kind: type[_Outcome], message: str, type_: str, lines: Iterable[str] = ()) -> _Outcome:
    outcome = kind(_xml(message), type_)
    outcome.text = _xml("\n".join(lines))
    return outcome


def _case(result: CaseResult, results: Results) -> TestCase:
    stem, _, rest = result.case.partition("/")
    seconds = sum(sum(recording.timings_s.values()) for recording in result.recordings.values())
    case = _Case(name=_xml(rest or stem), classname=_xml(stem), time=round(seconds, 6))
    if result.file:
        case.file, case.line = _xml(result.file), str(result.line)
    if properties := [Property(_xml(name), _xml(value)) for name, value in _properties(result)]:
        listed = Properties()
        for one in properties:
            listed.add_property(one)
        case.append(listed)
    if result.verdict is Verdict.XFAILED:
        case.result = _outcome(Skipped, f"known divergence: {reasons(result.known)}", "XFAILED")
        case.system_out = _xml(result.headline)
    elif result.verdict in FAILING:
        kind = Error if result.verdict is Verdict.ERROR else Failure
        case.result = _outcome(kind, result.headline, _type(result), text.case(result, results, width=None))
        case.system_out = _xml("\n".join(text.failing(result, width=None)))
    return case


def _type(result: CaseResult) -> str:
    """What kind of failure: that of the first finding, or the verdict."""
    return result.findings[0].kind or "" if result.verdict is Verdict.FAILED and result.findings else result.verdict.value


def _properties(result: CaseResult) -> Iterator[tuple[str, str]]:
    if result.verdict is not Verdict.PASSED:
        yield "verdict", result.verdict.value
    if result.odd_one_out:
        yield "odd_one_out", result.odd_one_out
    for diagnosis in result.diagnoses:
        yield "diagnosis", f"{diagnosis.code}: {diagnosis.message}"
    for finding in result.findings[:_MOST_FINDINGS]:
        excess = f", excess {excess_words(finding.excess)}" if finding.excess is not None else ""
        yield f"finding {finding.oracle} {finding.observation}", f"{finding.kind}: {finding.left} and {finding.right}{excess}"
