"""junit.xml: one test case per case, for whatever reads JUnit XML.

It is valid by the schema of Jenkins (`tests/report/schemas/junit-10.xsd`), and within what GitLab reads. That schema knows
neither properties nor a place of a test case. So the cases of a file are a suite with the file as its attribute. The findings of
a case are properties of its suite, with the case's name before them, and the line is in the text of a failure.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar
from xml.sax.saxutils import escape

from junitparser import Attr, Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from backendcheck.report.formats import text
from backendcheck.report.views.case import FAILING, reasons
from backendcheck.report.views.environment import versions_line
from backendcheck.report.views.exit_code import exit_sentence
from backendcheck.report.views.findings import excess_words
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.escape import block
from backendcheck.text.words import counted
from backendcheck.verdicts.verdict import Verdict

_Outcome = TypeVar("_Outcome", Error, Failure, Skipped)
_MOST_FINDINGS = 50  # with properties of their own, by case
_LONGEST = 20_000  # characters of one text; a traceback may be of any length
_LONGEST_MESSAGE = 2_000
_ROOM = 16 * 1024 * 1024  # bytes of all texts and properties; GitLab takes no file above 30 MB
# XML 1.0 has no way to write these, not even as references; `block` has written out all of them but this is the proof.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Suite(TestSuite):  # type: ignore[misc]  # its base class is built by an untyped metaclass
    """With the file that its cases are in."""

    file = Attr()


class _Room:
    """What may still be written of texts: with ten thousand long failures the last are told in a line each."""

    def __init__(self, n_bytes: int) -> None:
        self.left = n_bytes

    def cut(self, lines: Iterable[str], longest: int = _LONGEST) -> str:
        """`lines` as one text, as far as there is room, with what was left out."""
        if self.left <= 0:
            return "left out here, for want of room; report.json has it"
        whole = "\n".join(lines)
        shown = whole[:longest]
        self.left -= len(escape(shown, {'"': "&quot;"}).encode("utf-8", "backslashreplace"))
        if len(shown) < len(whole):
            shown += f" … {len(whole) - len(shown)} more characters, left out here; report.json has them"
        return shown


def render(results: Results) -> str:
    """The text of junit.xml."""
    document = JUnitXml("backendcheck")
    run = _Suite("backendcheck")
    run.timestamp = _xml(results.created)
    for leg, version in versions_line(results):
        run.add_property(_xml(leg), _xml(version))
    run.add_property("exit code", exit_sentence(results))
    run.add_testcases([_problem(number, problem) for number, problem in enumerate(results.problems, 1)])
    document.add_testsuite(run)
    room = _Room(_ROOM)
    by_topic: dict[str, list[CaseResult]] = {}
    for result in results.cases:
        by_topic.setdefault(result.case.partition("/")[0], []).append(result)
    for topic, cases in by_topic.items():
        document.add_testsuite(_suite(topic, cases, results, room))
    document.update_statistics()
    for suite in (document, *document):
        _as_the_schema_has_it(suite)
    content = io.BytesIO()
    document.write(content)
    return content.getvalue().decode() + "\n"


def _as_the_schema_has_it(suite: Any) -> None:
    """Seconds with three digits, and no count of what was skipped for the whole document."""
    attributes = suite._elem.attrib  # noqa: SLF001 - junitparser has no way to leave one out
    attributes["time"] = f"{float(attributes.get('time') or 0):.3f}"
    if isinstance(suite, JUnitXml):
        attributes.pop("skipped", None)


def _suite(topic: str, cases: Sequence[CaseResult], results: Results, room: _Room) -> TestSuite:
    suite = _Suite(_xml(topic))
    suite.timestamp = _xml(results.created)
    if cases[0].file:
        suite.file = _xml(cases[0].file)
    n_left_out = 0
    for result in cases:
        n_left_out += room.left <= 0
        for name, value in _properties(result) if room.left > 0 else ():
            suite.add_property(_xml(room.cut([f"{_name(result)}: {name}"])), _xml(room.cut([value])))
    if n_left_out:
        suite.add_property("left out", f"the findings of {counted(n_left_out, 'case')}, for want of room; report.json has them")
    suite.add_testcases([_case(result, results, room) for result in cases])
    return suite


def _name(result: CaseResult) -> str:
    stem, _, rest = result.case.partition("/")
    return rest or stem


def _xml(given: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", block(given))


def _problem(number: int, problem: str) -> TestCase:
    """A problem of the whole run: nothing else would make a CI job fail that reads this file."""
    case = TestCase(name=f"problem {number}", classname="backendcheck.run", time=0.0)
    case.result = _outcome(Error, problem, "incomplete", problem)
    return case


def _outcome(kind: type[_Outcome], message: str, type_: str, shown: str) -> _Outcome:
    outcome = kind(_xml(message), type_)
    outcome.text = _xml(shown)  # GitLab shows this, Jenkins the message too
    return outcome


def _case(result: CaseResult, results: Results, room: _Room) -> TestCase:
    seconds = sum(sum(recording.timings_s.values()) for recording in result.recordings.values())
    case = TestCase(name=_xml(_name(result)), classname=_xml(result.case.partition("/")[0]), time=round(seconds, 3))
    if result.verdict is Verdict.XFAILED:
        why = f"known divergence: {reasons(result.known)}"
        case.result = _outcome(Skipped, room.cut([why], _LONGEST_MESSAGE), "XFAILED", room.cut([why]))
        case.system_out = _xml(room.cut([result.headline]))
    elif result.verdict in FAILING:
        kind = Error if result.verdict is Verdict.ERROR else Failure
        message = room.cut([result.headline], _LONGEST_MESSAGE)
        case.result = _outcome(kind, message, _type(result), room.cut(text.case(result, results, width=None)))
        case.system_out = _xml(room.cut(text.failing(result, width=None)))
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
