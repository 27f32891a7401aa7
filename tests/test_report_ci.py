"""What CI systems read: SARIF and annotations."""

from __future__ import annotations

import json

import make
from make import HOSTILE

from backendcheck.report import sarif
from backendcheck.report.annotations import commands

DIFFERS = {"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.7}, "torch": {"loss": 0.5}}


def test_sarif_has_a_result_for_each_failing_case_and_a_rule_for_each() -> None:
    results = make.everything()
    run = json.loads(sarif.render(results))["runs"][0]
    n_failing = sum(results.counts[verdict] for verdict in ("FAILED", "ERROR", "XPASSED"))
    assert len(run["results"]) == n_failing
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert all(rules[one["ruleIndex"]] == one["ruleId"] for one in run["results"])
    assert {"output-order", "silent-acceptance", "incomplete", "known-divergence-gone"} <= {*rules}


def test_sarif_points_at_the_line_of_the_case() -> None:
    run = json.loads(sarif.render(make.results({"a/b": DIFFERS})))["runs"][0]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "cases/a.py"}, "region": {"startLine": 7}}


def test_sarif_points_nowhere_outside_the_repository() -> None:
    by_leg = {leg: one | {"file": "/etc/passwd"} for leg, one in DIFFERS.items()}
    assert "locations" not in json.loads(sarif.render(make.results({"a/b": by_leg})))["runs"][0]["results"][0]


def test_there_are_ten_annotations_at_most_and_the_last_counts_the_rest() -> None:
    lines = list(commands(make.results({f"a/{n:02}": DIFFERS for n in range(14)})))
    assert len(lines) == 10
    assert lines[0].startswith("::error file=cases/a.py,line=7,title=backendcheck FAILED%3A a/00::VALUE")
    assert "5 more cases fail" in lines[-1]


def test_a_run_of_passes_has_none() -> None:
    assert not [*commands(make.results({"a/b": make.everywhere(loss=1.0)}))]


def test_hostile_text_starts_no_command_of_its_own() -> None:
    by_leg = {leg: one | {"file": f"{HOSTILE}\n::set-output name=x::y"} for leg, one in DIFFERS.items()}
    for line in commands(make.results({f"a/{HOSTILE}\n::error::b": by_leg})):
        assert "\n" not in line
        assert line.startswith("::error ")
        assert line.count("::") == 2 or line.partition("title=")[2].partition("::")[2]
