"""Detectors name a cause where it is one, and are silent where it is not."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import make
import numpy as np
import pytest
from diagnosing import diagnosed, outputs
from diagnosis_examples import EXAMPLES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from make import BACKENDS, everywhere, recording

from backendcheck import diagnose
from backendcheck.diagnose import CODES
from backendcheck.diagnose.detectors import shared, unexplained
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.reference.of_recording import built_in_reference_values
from backendcheck.verdicts.verdict import judge

RAISED = "IndexError: Target 3 is out of bounds."


# --- silence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "by_leg",
    [
        everywhere(loss=1.0, predictions=[[0.1, 0.9]], output_order=["a", "b"]),
        everywhere(raised=RAISED, expect={}),
        {leg: {"loss": 1.0 + n * 1e-7} for n, leg in enumerate(BACKENDS)},
    ],
    ids=["equal", "rejected as asked", "rounding"],
)
def test_a_case_without_findings_has_no_diagnosis(by_leg: dict[str, dict[str, object]]) -> None:
    assert diagnosed(by_leg) == {}


@pytest.mark.parametrize(
    "jax",
    [{"loss": 2.0}, {"loss": [1.0]}, {"loss": np.float32(np.nan)}, {"loss": 1.0, "predictions": [1.0]}],
    ids=["value", "shape", "NaN", "missing"],
)
def test_a_finding_that_no_detector_explains_is_described(jax: dict[str, object]) -> None:
    found = diagnosed(everywhere(loss=1.0) | {"jax": jax})
    assert len(found) == 1
    assert {*found} <= {"unexplained", "nan"}


# --- all of them -----------------------------------------------------------------------------------------------


def test_evidence_is_ready_for_json() -> None:
    by_leg = everywhere(raised=RAISED) | {"jax": outputs(["age", "Stage", "tumor"]), "torch": outputs(["Stage", "age", "tumor"])}
    for one in diagnosed(by_leg).values():
        assert json.loads(json.dumps(one.evidence, allow_nan=False)) == one.evidence
        assert one.message
        assert set(one.backends) <= set(BACKENDS)


def test_each_code_is_declared_by_a_detector_and_each_declared_code_has_its_place() -> None:
    declared = {code for detector in (*diagnose.DETECTORS, shared, unexplained) for code in detector.CODES}
    assert declared | {"undiagnosed"} == set(CODES)
    assert len(CODES) == len(set(CODES))


@pytest.mark.parametrize("code", [code for code in CODES if code != "undiagnosed"])
def test_a_detector_gives_only_the_codes_that_it_declares(code: str) -> None:
    case_id, legs = EXAMPLES[code]
    case = make.results({case_id: legs}).cases[0]
    situation = Situation(findings=case.findings, recordings=case.recordings)
    for detector in (*diagnose.DETECTORS, shared, unexplained):
        assert {diagnosis.code for diagnosis in detector.detect(situation)} <= set(detector.CODES)


def failing_detector() -> ModuleType:
    def fail(_: object) -> list[object]:
        raise ZeroDivisionError("of nothing")

    detector = ModuleType("failing")
    detector.detect = fail  # type: ignore[attr-defined]
    return detector


def test_a_detector_that_fails_is_reported_and_costs_no_other_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = {leg: recording("a/b", leg, loss=2.0 if leg == "jax" else 1.0) for leg in BACKENDS}
    findings = judge(recordings, BACKENDS).findings
    monkeypatch.setattr(diagnose, "DETECTORS", (failing_detector(), *diagnose.DETECTORS))
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError: of nothing"):
        found = diagnose.diagnose(findings, recordings)
    assert [one.code for one in found] == ["unexplained", "undiagnosed"]
    assert "The verdict does not depend on it" in found[1].message


def test_a_failing_detector_fails_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose, "DETECTORS", (failing_detector(),))
    with pytest.raises(RuntimeWarning, match="ZeroDivisionError"):
        diagnosed(everywhere(loss=1.0) | {"jax": {"loss": 2.0}})


# --- whatever is recorded --------------------------------------------------------------------------------------

_TYPES = st.sampled_from(["f4", "f8", "f2", "i8", "i4", "u1", "u8", "?"])
_SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
_ARRAYS = _TYPES.flatmap(lambda kind: arrays.arrays(kind, _SHAPES))
_TEXTS = st.lists(st.text(max_size=3), max_size=4).map(lambda texts: np.array(texts, dtype=object).reshape(-1))
_NAMES = ["predictions", "predicted_class", "per_example_loss", "loss", "gradient/y_pred", "value/x", "metric/accuracy",
          "predictions/a", "per_example_loss/a", "gradient/dense/kernel", "train/weight/dense/kernel", "train/loss"]  # fmt: skip
_LOSSES = st.sampled_from(
    ["sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy", "huber", "hinge", "?"]
)


@st.composite
def _leg(draw: st.DrawFn) -> dict[str, Any]:
    given_ = st.one_of(_ARRAYS, _TEXTS)
    options = [{}, {"from_logits": True}, {"ignore_class": -1}, {"axis": 0}, {"label_smoothing": 0.1}]
    loss = {
        "name": draw(_LOSSES), "from_keras": draw(st.booleans()), "alone": draw(st.booleans()),
        "reduction": "sum_over_batch_size", "options": draw(st.sampled_from(options)),
    }  # fmt: skip
    return {
        "observations": draw(st.dictionaries(st.sampled_from(_NAMES), given_, max_size=5)),
        "labels": draw(
            st.dictionaries(st.sampled_from(["y_true", "y_pred", "sample_weight", "mask", "y_true/a"]), given_, max_size=4)
        ),
        "losses": {draw(st.sampled_from(["", "a"])): loss},
        "class_names": draw(st.sampled_from([None, [], ["<b>"], {"a": [None]}, "text", 7])),
        "settings": draw(st.sampled_from([{}, {"floatx": "float32", "epsilon": "1e-07"}])),
        "raised": draw(st.sampled_from([None, None, "ValueError: label out of range"])),
    }


def _read(leg: str, fields: dict[str, Any]) -> Any:
    made = recording("a/b", leg, **fields)
    found = recording("a/b", leg, reference_values=built_in_reference_values(made), **fields)
    assert found.case == "a/b"
    return found


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), st.integers(2, 3))
def test_no_detector_fails_whatever_was_recorded(data: st.DataObject, n_legs: int) -> None:
    """A detector that raised would warn, and a warning fails a test."""
    common = data.draw(_leg())
    recordings = {}
    with np.errstate(all="ignore"):
        for leg in BACKENDS[:n_legs]:
            fields = data.draw(_leg()) if data.draw(st.booleans()) else dict(common)
            if data.draw(st.booleans()):  # the same shapes with other numbers
                fields["observations"] = {
                    name: value[::-1] if value.ndim and data.draw(st.booleans()) else value
                    for name, value in fields["observations"].items()
                }
            recordings[leg] = _read(leg, fields)
        findings = judge(recordings, list(recordings)).findings
        for one in diagnose.diagnose(findings, recordings):
            assert one.code in CODES
            assert one.message
            json.dumps(one.evidence)
