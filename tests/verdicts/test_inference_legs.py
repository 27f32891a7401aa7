"""Legs whose backends do not train: what they declare that they lack is not missing, and what they can do and did not is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import make
import pytest
from make import raised, recording

from backendcheck.recordings.recording import Recording
from backendcheck.report.formats.json import render
from backendcheck.report.views.case import cells, counts_line, notes
from backendcheck.results.case_result import CaseResult, case_result
from backendcheck.results.results import analyze
from backendcheck.verdicts.verdict import Judgement, Verdict, judge
from backendcheck.vocabulary.findings import FindingKind

LACKS = {"gradient": "numpy takes no gradients", "train": "numpy does not train"}
TRAINED = {"loss": 1.0, "gradient/y_pred": [1.0, 2.0], "train/loss": [1.0]}
INFERRED = {"loss": 1.0}


def recordings(of: Mapping[str, Mapping[str, Any]]) -> dict[str, Recording]:
    lacking = {"numpy": {"not_supported": LACKS}}
    return {leg: recording("a/b", leg, **lacking.get(leg, {}), **fields) for leg, fields in of.items()}


def judged(**of: Mapping[str, Any]) -> Judgement:
    return judge(recordings(of), list(of))


def result(**of: Mapping[str, Any]) -> CaseResult:
    return case_result("a/b", recordings(of), list(of), (), ())


def test_what_a_backend_declares_that_it_lacks_is_not_missing() -> None:
    assert (judged(jax=TRAINED, numpy=INFERRED).verdict, judged(numpy=INFERRED, jax=TRAINED).verdict) == (Verdict.PASSED,) * 2


def test_what_it_can_do_and_did_not_is_missing() -> None:
    judgement = judged(jax=TRAINED | {"predictions": [0.5]}, numpy=INFERRED)
    assert judgement.verdict is Verdict.FAILED
    assert [(finding.kind, finding.observation) for finding in judgement.findings] == [(FindingKind.MISSING, "predictions")]


def test_a_difference_is_one_whatever_else_the_backend_lacks() -> None:
    assert judged(jax=TRAINED, numpy={"loss": 2.0}).verdict is Verdict.FAILED


def test_an_exception_where_the_other_backend_cannot_go_is_not_compared_with_it() -> None:
    in_training = {"loss": 1.0, "raised": raised("ValueError: no", stage="train")}
    assert [finding.sides for finding in judged(tensorflow=in_training, jax=TRAINED, numpy=INFERRED).findings] == [
        ("tensorflow", "jax")
    ]
    everywhere = judged(tensorflow=in_training, jax=in_training, numpy=INFERRED)
    assert {str(finding.left) for finding in everywhere.findings} == {"tensorflow", "jax"}
    assert everywhere.verdict is Verdict.FAILED  # unasked, by every backend that trains


@pytest.mark.parametrize(("stage", "verdict"), [("train", Verdict.PASSED), ("loss", Verdict.FAILED)])
def test_an_expected_exception_is_expected_of_those_that_can_raise_it(stage: str, verdict: Verdict) -> None:
    refuses: dict[str, Any] = {"expect": {}, "raised": raised("ValueError: no", stage=stage)}
    accepts: dict[str, Any] = {"expect": {}, "loss": 1.0}
    assert judged(tensorflow=refuses, jax=refuses, numpy=accepts).verdict is verdict


def test_an_expectation_that_no_leg_could_check_is_not_met() -> None:
    assert judged(numpy={"expect": {}, "loss": 1.0}).verdict is Verdict.FAILED


def test_the_odd_one_out_is_one_of_those_that_have_the_observation() -> None:
    of = result(tensorflow=TRAINED | {"train/loss": [2.0]}, jax=TRAINED, torch=TRAINED, numpy=INFERRED)
    assert of.odd_one_out == "tensorflow"
    assert of.headline == "VALUE: train/loss is 2 on tensorflow; 1 on jax and torch"


def test_the_report_says_what_is_not_supported() -> None:
    legs = [
        make.leg(leg, recording("a/b", leg, **fields))
        for leg, fields in (("jax", TRAINED), ("numpy", INFERRED | {"not_supported": LACKS}))
    ]
    results = analyze(legs, expected=["jax", "numpy"])
    assert results.not_supported == {"numpy": {"gradient": 1, "train": 1}}
    assert counts_line(results) == (
        "2 backends, 1 case: 1 passed; not supported on numpy: gradient of 1 case, train of 1 case"
    )  # fmt: skip
    assert [cell.text for cell in cells(results.cases[0], results.backends)] == ["ok", "ok in part"]
    assert "train is not supported: numpy does not train (numpy)" in notes(results.cases[0], results.backends)
    report = json.loads(render(results))
    assert report["not_supported"] == {"numpy": {"gradient": 1, "train": 1}}
    assert report["results"][0]["not_supported"] == {"numpy": LACKS}


def test_a_case_that_the_backend_cannot_do_at_all_is_not_an_error() -> None:
    refused = {"status": "not supported", "problem": "numpy does not support lstm", "not_supported": {"case": "it"}}
    legs = {"jax": recording("a/b", "jax", loss=1.0), "numpy": recording("a/b", "numpy", **refused)}
    of = case_result("a/b", legs, list(legs), (), ())
    assert (of.verdict, of.headline) == (Verdict.PASSED, "NOT SUPPORTED: numpy does not support lstm")
    assert judge({"numpy": recording("a/b", "numpy", **refused)}, ["numpy"]).verdict is Verdict.ERROR


def test_a_reference_of_what_a_backend_lacks_is_not_missing() -> None:
    reference = {"reference": {"loss": 1.0, "gradient/y_pred": [1.0, 2.0]}}
    assert judged(jax=TRAINED | reference, numpy=INFERRED | reference).verdict is Verdict.PASSED
    assert judged(jax=TRAINED | reference, torch=INFERRED | reference).verdict is Verdict.FAILED


def test_the_headline_of_what_every_backend_that_trains_refuses() -> None:
    in_training = {"loss": 1.0, "raised": raised("ValueError: no", stage="train")}
    assert result(jax=in_training, numpy=INFERRED).headline == "RAISED: every backend refuses this: ValueError: no"
