"""junit.xml: one test case per case, for every tool that reads JUnit XML.

The file follows the schema of Jenkins (`tests/report/schemas/junit-10.xsd`) and the limits of GitLab. In that schema, a test case
has neither properties nor a file and a line. So the cases of a file are a suite with the file as its attribute. The findings of
a case are properties of its suite, each after the name of the case. The line is in the text of a failure.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar
from xml.sax.saxutils import escape

from junitparser import Attr, Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from backendcheck.report.formats import text
from backendcheck.report.formats.moment import in_junit
from backendcheck.report.views.case import FAILING, reasons
from backendcheck.report.views.environment import versions_line
from backendcheck.report.views.findings import excess_words
from backendcheck.report.views.moment import CREATED, Moment, filled
from backendcheck.report.views.run import exit_sentence
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.escape import block
from backendcheck.text.words import counted
from backendcheck.verdicts.verdict import Verdict

_Outcome = TypeVar("_Outcome", Error, Failure, Skipped)
_MOST_FINDINGS = 50  # of a case that have a property
_LONGEST = 20_000  # characters of one text; a traceback can have any length
_LONGEST_MESSAGE = 2_000
_ROOM = 16 * 1024 * 1024  # bytes of all texts and properties; GitLab takes no file above 30 MB
# XML 1.0 cannot contain these, not even as references. `block` has escaped all of them; this makes sure.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Suite(TestSuite):  # type: ignore[misc]  # a base class with an untyped metaclass
    """A suite with the file of its cases."""

    file = Attr()


class _Room:
    """The bytes left for texts. With ten thousand long failures, the later ones are cut to a line each."""

    def __init__(self, n_bytes: int) -> None:
        self.left = n_bytes

    def cut(self, lines: Iterable[str], longest: int = _LONGEST) -> str:
        """`lines` as one text, cut to the room that is left, with a note on what was cut."""
        if self.left <= 0:
            return "left out to limit the size of this file; see report.json"
        whole = "\n".join(lines)
        shown = whole[:longest]
        self.left -= len(escape(shown, {'"': "&quot;"}).encode("utf-8", "backslashreplace"))
        if len(shown) < len(whole):
            shown += f" … {len(whole) - len(shown)} more characters; see report.json"
        return shown


def render(results: Results) -> str:
    """The text of junit.xml."""
    return filled(frame(results), in_junit(Moment.of(results)))


def frame(results: Results) -> str:
    """junit.xml with marks for when it was made."""
    document = JUnitXml("backendcheck")
    run = _Suite("backendcheck")
    run.timestamp = CREATED
    for leg, version in versions_line(results):
        run.add_property(_xml(leg), _xml(version))
    run.add_property("exit code", exit_sentence(results))
    run.add_testcases([_problem(number, str(problem)) for number, problem in enumerate(results.problems, 1)])
    document.add_testsuite(run)
    room = _Room(_ROOM)
    by_topic: dict[str, list[CaseResult]] = {}
    for result in results.cases:
        by_topic.setdefault(result.case.partition("/")[0], []).append(result)
    for topic, cases in by_topic.items():
        document.add_testsuite(_suite(topic, cases, results, room))
    document.update_statistics()
    for suite in (document, *document):
        _adapt_to_schema(suite)
    content = io.BytesIO()
    document.write(content)
    return content.getvalue().decode() + "\n"


def _adapt_to_schema(suite: Any) -> None:
    """Write seconds with three digits, and remove the count of skipped cases from the document."""
    attributes = suite._elem.attrib  # noqa: SLF001 - junitparser cannot leave an attribute out
    attributes["time"] = f"{float(attributes.get('time') or 0):.3f}"
    if isinstance(suite, JUnitXml):
        attributes.pop("skipped", None)


def _suite(topic: str, cases: Sequence[CaseResult], results: Results, room: _Room) -> TestSuite:
    suite = _Suite(_xml(topic))
    suite.timestamp = CREATED
    if cases[0].file:
        suite.file = _xml(cases[0].file)
    n_left_out = 0
    for result in cases:
        n_left_out += room.left <= 0
        for name, value in _properties(result) if room.left > 0 else ():
            suite.add_property(_xml(room.cut([f"{_name(result)}: {name}"])), _xml(room.cut([value])))
    if n_left_out:
        suite.add_property("left out", f"the findings of {counted(n_left_out, 'case')}, to limit the file size; see report.json")
    suite.add_testcases([_case(result, results, room) for result in cases])
    return suite


def _name(result: CaseResult) -> str:
    stem, _, rest = result.case.partition("/")
    return rest or stem


def _xml(text_: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", block(text_))


def _problem(number: int, problem: str) -> TestCase:
    """A problem of the whole run as an error, so that a CI job that reads this file fails."""
    case = TestCase(name=f"problem {number}", classname="backendcheck.run", time=0.0)
    case.result = _outcome(Error, problem, "incomplete", problem)
    return case


def _outcome(outcome_class: type[_Outcome], message: str, type_: str, shown: str) -> _Outcome:
    outcome = outcome_class(_xml(message), type_)
    outcome.text = _xml(shown)  # GitLab shows this, Jenkins the message too
    return outcome


def _case(result: CaseResult, results: Results, room: _Room) -> TestCase:
    seconds = sum(sum(recording.timings_s.values()) for recording in result.recordings.values())
    case = TestCase(name=_xml(_name(result)), classname=_xml(result.case.partition("/")[0]), time=round(seconds, 3))
    if result.verdict is Verdict.XFAILED:
        why = f"known divergence: {reasons(result.known)}"
        case.result = _outcome(Skipped, room.cut([why], _LONGEST_MESSAGE), "XFAILED", room.cut([why]))
        case.system_out = _xml(room.cut([result.headline]))
    elif result.verdict is Verdict.PASSED and result.headline:
        case.system_out = _xml(room.cut([result.headline]))
    elif result.verdict in FAILING:
        outcome_class = Error if result.verdict is Verdict.ERROR else Failure
        message = room.cut([result.headline], _LONGEST_MESSAGE)
        case.result = _outcome(outcome_class, message, _type(result), room.cut(text.case(result, results, width=None)))
        case.system_out = _xml(room.cut(text.failing(result, width=None)))
    return case


def _type(result: CaseResult) -> str:
    """The type of a failure: the kind of the first finding, or the verdict."""
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
