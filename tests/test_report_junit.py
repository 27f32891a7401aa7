"""junit.xml: what CI systems read of a run."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import make
import pytest
from junitparser import JUnitXml

from backendcheck.report import junit


@pytest.fixture(scope="module")
def root():
    return ET.fromstring(junit.render(make.everything()).encode())


def case(root, name):
    return next(one for one in root.iter("testcase") if f"{one.get('classname')}/{one.get('name')}" == name)


def test_every_case_is_a_test_case(root):
    assert len(list(root.iter("testcase"))) == len(make.everything().cases)
    one = case(root, "classes/wrong_class")
    assert (one.get("classname"), one.get("name"), one.get("file")) == ("classes", "wrong_class", "cases/classes.py")


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


def test_the_counts_of_the_suite_are_those_of_the_run(root):
    suite = root.find("testsuite")
    counts = make.everything().counts
    assert int(suite.get("failures")) == counts["FAILED"] + counts["XPASSED"]
    assert int(suite.get("errors")) == counts["ERROR"]
    assert int(suite.get("skipped")) == counts["XFAILED"]


def test_a_failure_says_what_differs_and_where_to_look(root):
    one = case(root, "classes/wrong_class")
    assert one.find("failure").get("message").startswith("VALUE: predictions: 2 of 6 differ")
    assert "rtol 1e-05 atol 1e-06, default float32 predictions" in one.find("failure").text
    assert "backendcheck show classes/wrong_class" in one.find("system-out").text


def test_a_known_divergence_is_skipped_with_its_reason(root):
    assert "jax folds the mask into the sum" in case(root, "known/there").find("skipped").get("message")


def test_findings_are_properties(root):
    properties = {one.get("name"): one.get("value") for one in case(root, "classes/wrong_class").iter("property")}
    assert properties["odd_one_out"] == "jax"
    assert properties["finding agreement predictions"].startswith("value: ")


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
