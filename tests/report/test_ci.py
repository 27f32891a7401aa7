"""What CI systems read: SARIF and annotations."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable

import make
import pytest
from make import HOSTILE

from backendcheck.report.formats import badge, sarif
from backendcheck.report.formats.github import annotation_commands
from backendcheck.results.results import Results

AGREES = {leg: {"loss": 0.5} for leg in make.BACKENDS}
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


def badge_of(results: Results) -> tuple[str, str, bool]:
    content = json.loads(badge.render(results))
    assert {*content} == {"schemaVersion", "label", "message", "color", "isError"}  # of an endpoint of shields.io
    assert (content["schemaVersion"], content["label"]) == (1, "backendcheck")
    return content["message"], content["color"], content["isError"]


def test_a_badge_says_what_fails_or_else_how_much_passed() -> None:
    entry = make.divergence("a/b", "jax")
    assert badge_of(make.results({"a/a": AGREES, "a/b": DIFFERS}, known=[entry])) == ("1 passed, 1 known", "brightgreen", False)
    assert badge_of(make.results({"a/a": AGREES, "a/b": DIFFERS})) == ("1 failed", "red", True)
    assert badge_of(make.results({"a/b": AGREES}, known=[entry])) == ("1 passed unexpectedly", "red", True)
    unmatched = dataclasses.replace(make.results({"a/a": AGREES}, known=[entry]), strict_known=True)
    assert badge_of(unmatched) == ("known divergences out of date", "red", True)


def test_a_badge_of_a_run_that_is_incomplete_is_never_green() -> None:
    assert badge_of(make.results({"a/a": AGREES}, expected=["tensorflow", "jax", "torch", "numpy"]))[1:] == ("orange", True)
    assert badge_of(make.results({}))[1:] == ("orange", True)
    assert badge_of(make.everything())[0].startswith("incomplete, ")


@pytest.mark.parametrize(
    "some_results", [make.everything, lambda: make.results({}), lambda: make.many(60, 30)], ids=["all", "none", "many"]
)
def test_sarif_has_what_the_standard_requires(some_results: Callable[[], Results]) -> None:
    results = some_results()
    # Sections 3.13 to 3.30 of SARIF 2.1.0. (The schema itself is in no package that could be installed here.)
    log = json.loads(sarif.render(results))
    assert {*log} == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["tool"]["driver"]["name"] == "backendcheck"
    ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(ids) == len({*ids})
    assert all(rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"])
    (invocation,) = run["invocations"]
    assert isinstance(invocation["executionSuccessful"], bool)
    assert invocation["exitCode"] == results.exit_code
    assert invocation["exitCodeDescription"].startswith(f"exit code {results.exit_code}: ")
    for note in invocation["toolExecutionNotifications"]:
        assert note["message"]["text"]
    for one in run["results"]:
        assert one["level"] in ("none", "note", "warning", "error")
        assert one["message"]["text"]
        assert all(isinstance(value, str) for value in one["partialFingerprints"].values())
        for location in one.get("locations", ()):
            assert location["physicalLocation"]["region"]["startLine"] >= 1
            assert re.fullmatch(r"[A-Za-z0-9._~%/()@:!$&'*+,;=-]+", location["physicalLocation"]["artifactLocation"]["uri"])


def test_sarif_says_what_of_the_run_is_wrong_and_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "_MOST_RESULTS", 3)
    results = make.results({f"a/{n}": DIFFERS for n in range(5)}, expected=[*DIFFERS, "openvino"])
    run = json.loads(sarif.render(results))["runs"][0]
    notes = [note["message"]["text"] for note in run["invocations"][0]["toolExecutionNotifications"]]
    assert len(run["results"]) == 3
    assert notes[0].startswith("openvino: its leg is missing")
    assert notes[-1] == "2 more cases fail; see report.json"


def test_there_are_ten_annotations_at_most_and_the_last_counts_the_rest() -> None:
    lines = list(annotation_commands(make.results({f"a/{n:02}": DIFFERS for n in range(14)})))
    assert len(lines) == 10
    assert lines[0].startswith("::error file=cases/a.py,line=7,title=backendcheck FAILED%3A a/00::VALUE")
    assert "5 more cases fail" in lines[-1]


def test_a_run_of_passes_has_none() -> None:
    assert not [*annotation_commands(make.results({"a/b": make.everywhere(loss=1.0)}))]


def test_hostile_text_starts_no_command_of_its_own() -> None:
    by_leg = {leg: one | {"file": f"{HOSTILE}\n::set-output name=x::y"} for leg, one in DIFFERS.items()}
    for line in annotation_commands(make.results({f"a/{HOSTILE}\n::error::b": by_leg})):
        assert "\n" not in line
        assert line.startswith("::error ")
        assert line.count("::") == 2 or line.partition("title=")[2].partition("::")[2]
