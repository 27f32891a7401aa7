"""report.json: strict, complete, as its schema says."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources

import make
import numpy as np
import pytest

from backendcheck.case import Tolerance
from backendcheck.compare.findings import Finding
from backendcheck.report.formats import json as json_report
from backendcheck.report.formats.strict_json import plain
from backendcheck.report.views.findings import required_tolerance
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.sides import Side


def strict(text: str) -> dict:
    """JSON as other languages read it: no NaN, no name twice."""

    def refuse(literal: str) -> None:
        pytest.fail(f"{literal} is not JSON")

    def unique(pairs: list) -> dict:
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names))
        return dict(pairs)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=unique)


def report(results=None) -> dict:
    return strict(json_report.render(results or make.everything()))


def entry(read: dict, case: str) -> dict:
    return next(one for one in read["results"] if one["case"] == case)


def test_it_is_as_the_schema_says():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(resources.files("backendcheck.report.formats").joinpath("report.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    small = make.results({"a/b": make.everywhere(loss=1.0)})
    for results in (make.everything(), make.since_a_baseline(), make.results({}), small):
        jsonschema.validate(report(results), schema)


def test_what_took_part_what_to_do_and_the_script_are_there():
    read = report(make.since_a_baseline())
    assert read["compared"]["recordings"] == {"n": 45, "expected": 48}
    assert entry(read, "losses/nan")["script"] == {
        "source": make.SCRIPT.source, "outputs": dict(make.SCRIPT.outputs), "shows": True, "data": None,
    }  # fmt: skip
    assert [one["case"] for one in read["results"] if "script" in one] == ["losses/nan"]
    assert entry(read, "losses/nan")["what_to_do"] == entry(read, "losses/nan")["diagnoses"][0]["remedy"]
    assert entry(read, "healthy/loss")["what_to_do"] == ""


def test_the_fields_of_the_design_are_there_by_name():
    read = report()
    assert (read["schema"], read["backends"]) == (1, ["tensorflow", "jax", "torch"])
    assert read["counts"] == make.everything().counts
    one = entry(read, "classes/wrong_class")
    assert (one["verdict"], one["odd_one_out"]) == ("FAILED", "jax")
    finding = one["findings"][0]
    assert {name: finding[name] for name in ("oracle", "observation", "left", "right", "kind")} == {
        "oracle": "agreement", "observation": "predictions", "left": "tensorflow", "right": "jax", "kind": "value",
    }  # fmt: skip
    assert finding["tolerance"] == {"rtol": 1e-5, "atol": 1e-6, "origin": "default float32 predictions"}
    assert finding["excess"] > 1e4
    diagnosis = entry(read, "multi_output/dict_labels")["diagnoses"][0]
    assert set(diagnosis) >= {"code", "backends", "message", "evidence"}


def test_results_come_worst_first_and_none_is_left_out():
    results = make.everything()
    read = report(results)
    assert [one["verdict"] for one in read["results"]] == [result.verdict.value for result in results.cases]
    assert read["results"][0]["verdict"] == "ERROR"
    assert len(read["results"]) == len(results.cases)


def test_it_is_ascii_without_control_characters():
    text = json_report.render(make.everything())
    assert text.isascii()
    assert not any(ord(character) < 32 and character != "\n" for character in text)
    assert "\\ud800" in text  # written out, as two characters and four digits ...
    strict(text)["results"]
    text.encode().decode("ascii")
    assert not any(0xD800 <= ord(character) < 0xE000 for one in strict(text)["results"] for character in one["case"])


def test_an_infinite_excess_is_null_and_says_so():
    finding = entry(report(), "losses/exact")["findings"][0]
    assert finding["excess"] is None
    assert finding["excess_infinite"] is True
    assert finding["tolerance"] == {"rtol": 0, "atol": 0, "origin": "case"}
    assert finding["required_tolerance"] == {"rtol": 0, "atol": 0.25}


def test_values_that_are_not_finite_are_text():
    findings = entry(report(), "losses/nan")["findings"]
    assert {findings[0]["worst_right"], findings[1]["worst_left"]} == {"NaN"}
    assert entry(report(), "known/changed")["findings"][0]["worst_right"] == "Infinity"


def test_exact_and_structural_comparisons_have_a_tolerance_of_nothing():
    read = report()
    exact = [one for one in entry(read, "classes/wrong_class")["findings"] if one["observation"] == "predicted_class"]
    assert exact[0]["tolerance"] == {"rtol": 0, "atol": 0, "origin": "exact"}
    assert entry(read, "label_range/past_the_end")["findings"][0]["tolerance"]["origin"] in ("expect", "structure")


def test_passes_keep_their_head_room():
    read = entry(report(), "healthy/rounding")
    assert read["findings"] == []
    assert len(read["comparisons"]) == 3
    assert 0 < read["max_excess"] < 1


def test_statuses_name_the_leg_that_is_missing():
    read = report()
    assert entry(read, "losses/left_out")["statuses"]["torch"] == {"status": "missing", "shown": "missing"}
    assert entry(read, "losses/crashes")["statuses"]["jax"]["status"] == "crashed"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (np.float32(0.5), 0.5),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.array([float("inf")]), ["Infinity"]),
        ({1: {"b", "a"}}, {"1": ["a", "b"]}),
        ("\ud800", "\\ud800"),
        (np.bool_(True), True),
        (b"x", "b'x'"),
        (2**70, 2**70),
    ],
)
def test_whatever_evidence_holds_becomes_plain(value, expected):
    assert plain(value) == expected


@pytest.mark.parametrize("excess", [1.0000001, 1.05, 38.4, 6.51e4, 9.99e9])
@pytest.mark.parametrize("tolerance", [Tolerance(1e-5, 1e-6), Tolerance(0.0, 3e-4), Tolerance(2e-3, 0.0)])
def test_the_required_tolerance_would_pass(excess, tolerance):
    left = 2.0
    right = left + excess * (tolerance.atol + tolerance.rtol * left)
    finding = Finding(
        oracle=Oracle.AGREEMENT, observation="loss", left=Side("jax"), right=Side("torch"), kind=FindingKind.VALUE,
        excess=excess, tolerance=tolerance, max_abs=abs(left - right),
    )  # fmt: skip
    required = required_tolerance(finding)
    assert abs(left - right) <= required.atol + required.rtol * left
    assert required.rtol <= 1.1 * excess * tolerance.rtol
    assert required.atol <= 1.1 * excess * tolerance.atol


def test_no_tolerance_is_proposed_for_what_no_tolerance_cures():
    finding = Finding(oracle=Oracle.AGREEMENT, observation="a", left="jax", right="torch", kind=FindingKind.SHAPE)
    assert required_tolerance(finding) is None
    assert required_tolerance(replace(finding, kind="value")) is None


def test_each_result_is_on_a_line_of_its_own():
    lines = json_report.render(make.everything()).splitlines()
    assert sum(line.startswith('  {"case": ') for line in lines) == len(make.everything().cases)
