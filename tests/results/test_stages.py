"""Where a difference begins: the stages of a case, from recordings and findings alone."""

from __future__ import annotations

from dataclasses import replace

import make
import pytest
from make import BACKENDS

from backendcheck.report.formats import json as json_report
from backendcheck.report.formats import text
from backendcheck.report.html import page as html_report
from backendcheck.results.results import CaseResult
from backendcheck.results.stages import case_type, runs_in_words
from backendcheck.vocabulary.stages import FLOW_STAGES

FED = {"x": "1", "y": "2", "sample_weight": "3", "weights/dense/kernel": "4"}
HEALTHY = {
    "predictions": [[0.25, 0.75]],
    "loss": 0.5,
    "gradient/y_pred": [[1.0, 2.0]],
    "gradient/dense/kernel": [[3.0]],
    "train/weight/dense/kernel": [[4.0]],
    "metric/accuracy": 1.0,
}


def result(by_leg: dict, **common: object) -> CaseResult:
    legs = {backend: {**common, **by_leg.get(backend, {})} for backend in BACKENDS}
    return make.results({"a/b": legs}).cases[0]


def model(digests: dict | None = None, **changed: dict) -> CaseResult:
    """A model case on three backends: `changed` are observations by backend, or what it raised."""
    by_leg: dict = {}
    for backend in BACKENDS:
        change = dict(changed.get(backend, {}))
        more = {name: change.pop(name) for name in ("raised", "not_compared") if name in change}
        own = {name: value for name, value in {**HEALTHY, **change}.items() if value is not None}
        by_leg[backend] = {"observations": own, "digests": FED | (digests or {}).get(backend, {}), **more}
    return result(by_leg)


def states(found: CaseResult) -> dict[str, str]:
    return {one.name: one.state + ("!" if one.first else "") for one in found.stages}


def test_a_healthy_model_is_the_same_in_every_stage() -> None:
    found = model()
    assert tuple(stage.name for stage in found.stages) == FLOW_STAGES["model"]
    assert set(states(found).values()) == {"same"}
    assert not any(stage.backends for stage in found.stages)


@pytest.mark.parametrize(
    ("observation", "stage"),
    [
        ("predictions", "forward"), ("loss", "loss"), ("gradient/y_pred", "gradient by predictions"),
        ("gradient/dense/kernel", "weight gradients"), ("train/weight/dense/kernel", "update"), ("metric/accuracy", "metrics"),
    ],
)  # fmt: skip
def test_each_observation_belongs_to_its_stage_and_the_odd_one_out_is_named(observation: str, stage: str) -> None:
    other = make.observation(HEALTHY[observation]).value + 1
    found = model(jax={observation: other})
    assert [(one.name, one.state, one.backends) for one in found.stages if one.state != "same"] == [(stage, "differs", ("jax",))]
    assert [one.name for one in found.stages if one.first] == [stage]


def test_only_the_first_stage_that_differs_is_the_first() -> None:
    found = model(torch={"loss": 0.75, "gradient/dense/kernel": [[9.0]]})
    assert [(one.name, one.first) for one in found.stages if one.state == "differs"] == [
        ("loss", True), ("weight gradients", False),
    ]  # fmt: skip


def test_without_an_odd_one_out_all_that_are_involved_are_named() -> None:
    found = model(jax={"loss": 0.75}, torch={"loss": 0.25})
    assert next(one for one in found.stages if one.name == "loss").backends == BACKENDS


@pytest.mark.parametrize(
    ("digest", "stage"), [("y", "labels"), ("sample_weight", "labels"), ("x", "inputs"), ("weights/dense/kernel", "inputs")]
)
def test_other_inputs_are_the_first_difference_and_nothing_after_them_was_compared(digest: str, stage: str) -> None:
    found = model({"jax": {digest: "other"}})
    first = next(one for one in found.stages if one.first)
    assert (first.name, first.state, first.backends) == (stage, "differs", ("jax",))
    assert states(found)["loss"] == "not compared"


def test_raising_on_some_backends_is_where_a_difference_begins() -> None:
    gone = dict.fromkeys(("loss", "gradient/y_pred", "gradient/dense/kernel", "train/weight/dense/kernel", "metric/accuracy"))
    found = model(torch={**gone, "raised": make.raised("IndexError: Target 3", "loss")})
    loss = next(one for one in found.stages if one.name == "loss")
    assert (loss.state, loss.first, loss.backends) == ("raised", True, ("torch",))
    assert states(found)["forward"] == "same"


def test_a_metric_that_raises_is_where_a_difference_begins_though_training_raises_as_well() -> None:
    """`evaluate` runs before `fit`, which raises for the same reason."""
    gone = dict.fromkeys(("train/weight/dense/kernel", "metric/accuracy"))
    raised = (make.raised("TypeError: no", "metrics"), make.raised("TypeError: no", "train"))
    by_leg = dict(model(jax=gone).recordings)
    by_leg["jax"] = replace(by_leg["jax"], raised=raised)
    found = make.results({"a/b": by_leg}).cases[0]
    assert [(one.name, one.state, one.first) for one in found.stages if one.state != "same"] == [
        ("metrics", "raised", True), ("update", "raised", False),
    ]  # fmt: skip


def test_raising_everywhere_is_no_difference() -> None:
    error = make.raised("ValueError: no", "loss")
    found = result({}, raised=error, digests=FED, observations={"predictions": [[0.5]]}, expect={})
    assert states(found) == {
        "labels": "same", "inputs": "same", "forward": "not compared", "loss": "raised",
        **dict.fromkeys(("gradient by predictions", "weight gradients", "metrics", "update"), "not recorded"),
    }  # fmt: skip


def test_a_stage_that_only_one_backend_reached_is_not_the_same() -> None:
    """One that agrees with the reference says nothing of one that never came so far."""
    fields = {"digests": {"y_true": "1", "y_pred": "2"}, "reference": {"gradient/y_pred": [[1.0]]}}
    there = {"observations": {"loss": 0.5, "gradient/y_pred": [[1.0]]}}
    found = result({"jax": {"raised": make.raised("ValueError: no", "loss")}, "tensorflow": there, "torch": there}, **fields)
    gradient = next(one for one in found.stages if one.name == "gradient by predictions")
    assert (gradient.state, gradient.backends) == ("not compared", ("jax",))


def test_what_differs_from_the_reference_everywhere_differs() -> None:
    found = result({}, digests={"y_true": "1"}, observations={"loss": 0.5}, reference={"loss": 0.75})
    loss = next(one for one in found.stages if one.name == "loss")
    assert (loss.state, loss.first, loss.backends) == ("differs", True, BACKENDS)


def test_what_cannot_be_compared_is_not_called_the_same() -> None:
    found = model(**{backend: {"not_compared": {"train/*": "draws random numbers"}} for backend in BACKENDS})
    assert states(found)["update"] == "not compared"


def test_values_have_one_stage_and_losses_four() -> None:
    assert states(result({"jax": {"observations": {"value/v": 2.0}}}, observations={"value/v": 1.0})) == {"value": "differs!"}
    loss = result({}, digests={"y_true": "1", "y_pred": "2"}, observations={"loss": 0.5, "gradient/y_pred": [1.0]})
    assert tuple(one.name for one in loss.stages) == FLOW_STAGES["loss"]
    assert set(states(loss).values()) == {"same"}


def test_a_case_that_raised_before_anything_was_seen() -> None:
    found = result({"jax": {"raised": make.raised("ValueError: no", "case")}}, digests={}, observations={})
    assert case_type({"jax": found.recordings["jax"]}) == ""
    assert [(one.name, one.state, one.first) for one in found.stages] == [("case", "raised", True)]


def test_in_words_and_within_the_width() -> None:
    found = model(jax={"loss": 0.75, "gradient/y_pred": [[2.0, 2.0]], "gradient/dense/kernel": [[9.0]]})
    assert runs_in_words(found.stages) == [
        ("same", "labels, inputs, forward"),
        ("first difference", "loss (jax)"),
        ("differs after it", "gradient by predictions, weight gradients (jax)"),
        ("same", "metrics, update"),
    ]
    results = make.results({"a/b": dict(found.recordings)})
    lines = list(text.case(results.cases[0], results, width=80))
    start = next(number for number, line in enumerate(lines) if line.startswith("  stages"))
    assert lines[start : start + 3] == [
        "  stages      same: labels, inputs, forward      first difference: loss (jax)",
        "              differs after it: gradient by predictions, weight gradients (jax)",
        "              same: metrics, update",
    ]
    page = html_report.render(results)
    assert '<li class="first"><b>loss</b> first difference <span class="who">on jax</span></li>' in page
    assert '"stage": "loss", "state": "differs", "first": true, "backends": ["jax"]' in json_report.render(results)
