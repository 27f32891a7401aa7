"""The outcome of a case on a leg, and the table of `backendcheck certify`, from reports made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from backendcheck.report.formats.capabilities import document, markdown_lines, text_lines
from backendcheck.results.capabilities import Outcome, by_rule, by_topic, outcome_of

LEGS = ("tensorflow", "jax", "torch", "mlx")


def finding(oracle: str, left: str, right: str = "", kind: str = "value") -> dict[str, str]:
    return {"oracle": oracle, "left": left, "right": right or left, "kind": kind}


def result(
    *findings: dict[str, str], case: str = "file/case", folder: str = "outputs", lacking: dict[str, Any] | None = None,
    **statuses: str,
) -> dict[str, Any]:  # fmt: skip
    return {
        "case": case, "file": f"cases/{folder}/{case.partition('/')[0]}.py", "findings": list(findings),
        "statuses": {leg: {"status": statuses.get(leg, "recorded")} for leg in LEGS if statuses.get(leg) != "missing"},
        "not_supported": lacking or {},
    }  # fmt: skip


def report(*results: dict[str, Any]) -> dict[str, Any]:
    environments = {leg: {"versions": {"keras": "3.15.1", leg: "1.0"}} for leg in LEGS}
    return {
        "backends": list(LEGS), "results": list(results), "environments": environments,
        "legs": {leg: {"backend": leg} for leg in LEGS},
    }  # fmt: skip


A, D, R, W = Outcome.ACCEPTS, Outcome.DIFFERS, Outcome.REJECTS, Outcome.WRONG


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        (result(), [A, A, A, A]),
        (result(torch="raised"), [A, A, R, A]),
        (result(mlx="crashed"), [A, A, A, Outcome.NOT_RECORDED]),
        (result(mlx="missing"), [A, A, A, Outcome.NOT_RECORDED]),
        (result(mlx="not supported", lacking={"mlx": {"case": "raises NotImplementedError"}}), [A, A, A, Outcome.NOT_SUPPORTED]),
        (result(lacking={"mlx": {"gradient": "takes no gradients"}}), [A, A, A, A]),  # only a part of it
        (result(finding("reference", "jax")), [A, W, A, A]),
        (result(finding("expectation", "jax", kind="raised"), torch="raised"), [A, W, R, A]),
        (result(finding("reference", "jax", kind="dtype")), [A, D, A, A]),  # the number is right
        (result(finding("paths", "torch", "torch:evaluate")), [A, A, D, A]),
        (result(*(finding("agreement", leg, "mlx") for leg in LEGS[:3])), [A, A, A, D]),
        # Two and two: no one is the odd one.
        (result(*(finding("agreement", left, right) for left in LEGS[:2] for right in LEGS[2:])), [D, D, D, D]),
        # The other leg of the disagreement is the wrong one.
        (result(finding("reference", "jax"), *(finding("agreement", "jax", leg) for leg in LEGS if leg != "jax")), [A, W, A, A]),
        # A leg that raises an exception deviates from no other, and no other from it.
        (result(*(finding("agreement", "torch", leg, "raised") for leg in ("jax", "mlx")), torch="raised"), [A, A, R, A]),
    ],
)
def test_what_a_case_came_to_on_each_leg(recorded: dict[str, Any], expected: list[Outcome]) -> None:
    assert [outcome_of(recorded, leg) for leg in LEGS] == expected


def test_topics_are_folders_or_else_files() -> None:
    whole = report(result(case="a/one"), result(case="a/two", folder="edges"), result(case="b/one", mlx="raised"))
    topics = {topic.name: (topic.n_cases, topic.legs["mlx"]) for topic in by_topic(whole)}
    assert topics == {"edges": (1, {A: 1}), "outputs": (2, {A: 1, R: 1})}
    assert [topic.name for topic in by_topic(report(result(case="a/one"), result(case="b/one")))] == ["a", "b"]


def test_rules_have_the_cases_that_were_recorded() -> None:
    whole = report(result(finding("reference", "jax"), case="a/one"), result(case="a/two"))
    rules = by_rule(whole, {"L101": ["a/one", "a/gone", "a/one"], "L102": ["a/gone"]})
    assert [(rule.name, rule.n_cases, rule.legs["jax"]) for rule in rules] == [("L101", 1, {W: 1})]
    content = document(whole, {"L101": ["a/one"]})
    assert content["rules"] == [{"name": "L101", "n_cases": 1, "legs": {
        "tensorflow": {"accepts": 1}, "jax": {"silently wrong": 1}, "torch": {"accepts": 1}, "mlx": {"accepts": 1}}}]  # fmt: skip
    assert list(markdown_lines(rules, ["jax", "mlx"], "rule", "{}.md"))[2:] == [
        "| [L101](L101.md) | 1 | silently wrong 1 | accepts 1 |",
    ]


def test_the_table_of_one_leg_leaves_out_what_never_happens() -> None:
    whole = report(result(case="a/one", mlx="raised"), result(case="a/two", folder="edges"))
    assert list(text_lines(whole, ["mlx"])) == [
        "mlx 1.0, Keras 3.15.1",
        "  topic    cases  accepts  rejects",
        "  edges        1        1",
        "  outputs      1                 1",
        "  all          2        1        1",
        "",
    ]
