"""junit.xml: what CI systems read of a run."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import make
import pytest
from junitparser import JUnitXml
from make import HOSTILE

from backendcheck.report.formats import junit


@pytest.fixture(scope="module")
def root():
    return ET.fromstring(junit.render(make.everything()).encode())


def case(root, name):
    return next(one for one in root.iter("testcase") if f"{one.get('classname')}/{one.get('name')}" == name)


def test_every_case_is_a_test_case(root):
    assert len(list(root.iter("testcase"))) == len(make.everything().cases)
    one = case(root, "classes/wrong_class")
    assert (one.get("classname"), one.get("name")) == ("classes", "wrong_class")
    assert suite(root, "classes").get("file") == "cases/classes.py"
    assert "  file        cases/classes.py:7\n" in one.find("failure").text


def suite(root, name):
    return next(one for one in root.iter("testsuite") if one.get("name") == name)


FAILS = {"jax": {"raised": f"ValueError: {'|<b>&' * 9000}"}, "torch": {"loss": 2.0}}


@cache
def schema():
    import xmlschema

    return xmlschema.XMLSchema(Path(__file__).parent / "schemas" / "junit-10.xsd")


@pytest.mark.parametrize(
    "some_results",
    [
        make.everything,
        lambda: make.results({}),
        lambda: make.results({"a/b": {"jax": {"loss": 1.0}, "torch": {"loss": 1.0}}}, expected=make.BACKENDS),
        lambda: make.many(60, 30),
        lambda: make.results({f"a/{HOSTILE}{n}": FAILS for n in range(5)}),
        lambda: make.results({"a/b": make.everywhere(loss=0.5, timings_s={"case": 1e-7, "loss": 12345.67891})}),
    ],
    ids=["everything", "nothing", "a leg missing", "many", "monstrous", "times"],
)
def test_jenkins_takes_it_by_its_own_schema(some_results):
    schema().validate(junit.render(some_results()))


def test_it_is_within_what_gitlab_reads(root):
    # https://docs.gitlab.com/ci/testing/unit_test_reports/: what it shows is the content of a failure, not its message; of
    # two test cases of one name it takes the first.
    names = [(one.get("classname"), one.get("name")) for one in root.iter("testcase")]
    assert len(names) == len({*names})
    for one in root.iter("testcase"):
        assert float(one.get("time")) >= 0
        for outcome in (*one.iter("failure"), *one.iter("error"), *one.iter("skipped")):
            assert outcome.text.strip()


def test_ten_thousand_monstrous_failures_stay_below_what_gitlab_takes_and_say_what_is_left_out():
    results = make.results({f"many_{n % 7}/case_{n}_{'x' * (n % 300)}": FAILS for n in range(300)})
    text = junit.render(replace(results, cases=results.cases * 34))
    assert len(text.encode()) < 30e6
    assert "more characters; see report.json" in text
    assert "left out to limit the size of this file; see report.json" in text
    assert 'name="left out" value="the findings of ' in text
    assert text.count("<testcase ") == 34 * 300
    assert text.count("<failure ") == 34 * 300


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("classes/wrong_class", "failure"),
        ("known/gone", "failure"),
        ("losses/crashes", "error"),
        ("losses/left_out", "error"),
        ("known/there", "skipped"),
        ("healthy/loss", None),
    ],
)
def test_verdicts_become_outcomes(root, name, outcome):
    found = [child.tag for child in case(root, name) if child.tag in ("failure", "error", "skipped")]
    assert found == ([outcome] if outcome else [])


def test_the_counts_of_the_suites_are_those_of_the_run(root):
    counts = make.everything().counts

    def counted(name):
        return sum(int(one.get(name)) for one in root.iter("testsuite"))

    assert counted("tests") == int(root.get("tests")) == sum(counts.values())
    assert counted("failures") == int(root.get("failures")) == counts["FAILED"] + counts["XPASSED"]
    assert counted("errors") == int(root.get("errors")) == counts["ERROR"]
    assert counted("skipped") == counts["XFAILED"]


def test_a_failure_says_what_differs_and_where_to_look(root):
    one = case(root, "classes/wrong_class")
    assert one.find("failure").get("message").startswith("VALUE: predictions: 2 of 6 differ")
    assert "rtol 1e-05 atol 1e-06, default float32 predictions" in one.find("failure").text
    assert "backendcheck show classes/wrong_class" in one.find("system-out").text


def test_a_known_divergence_is_skipped_with_its_reason(root):
    assert "jax folds the mask into the sum" in case(root, "known/there").find("skipped").get("message")


def test_findings_are_properties(root):
    properties = {one.get("name"): one.get("value") for one in suite(root, "classes").find("properties")}
    assert properties["wrong_class: odd_one_out"] == "jax"
    assert properties["wrong_class: finding agreement predictions"].startswith("value: ")
    run = {one.get("name"): one.get("value") for one in suite(root, "backendcheck").find("properties")}
    assert run["jax"] == "0.10.2"
    assert run["exit code"].startswith("exit code 3: incomplete")


def test_problems_of_the_run_fail_it():
    results = make.results({"a/b": {"jax": {"loss": 1.0}, "torch": {"loss": 1.0}}}, expected=make.BACKENDS)
    root = ET.fromstring(junit.render(results).encode())
    problem = next(one for one in root.iter("testcase") if one.get("classname") == "backendcheck.run")
    assert "tensorflow: its leg is missing" in problem.find("error").get("message")


def test_nothing_that_xml_forbids_gets_through():
    text = junit.render(make.everything())
    assert not re.search("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    assert "<script" not in text
    assert "\\x1b[31m" in text
    JUnitXml.fromstring(text.encode())


def test_a_run_without_cases_is_still_a_document():
    assert ET.fromstring(junit.render(make.results({})).encode()).tag == "testsuites"
