"""What has changed since an earlier run."""

from __future__ import annotations

import json
from pathlib import Path

import make
import pytest
from make import everywhere

from backendcheck.errors import UnreadableInput
from backendcheck.report.formats import github, text
from backendcheck.report.formats import json as json_report
from backendcheck.report.html import page as html_report
from backendcheck.results.changes import Baseline, read_baseline

DIFFERS = {"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.7}, "torch": {"loss": 0.5}}
EARLIER = make.results({"a/fails": DIFFERS, "a/mended": DIFFERS, "a/gone": everywhere(loss=1.0), "a/same": everywhere(loss=1.0)})
NOW = {
    "a/fails": DIFFERS, "a/mended": everywhere(loss=0.5), "a/new": DIFFERS, "a/same": everywhere(loss=1.0),
}  # fmt: skip


@pytest.fixture
def baseline(tmp_path: Path) -> Baseline:
    (tmp_path / "report.json").write_text(json_report.render(EARLIER))
    return read_baseline(tmp_path / "report.json")


def test_new_changed_and_gone_cases_are_listed_and_the_rest_is_not(baseline: Baseline) -> None:
    found = make.results(NOW).compared_with(baseline).changes
    assert [(one.case, one.what, one.before, one.now) for one in found] == [
        ("a/new", "new", "", "FAILED"), ("a/gone", "gone", "PASSED", ""), ("a/mended", "changed", "FAILED", "PASSED"),
    ]  # fmt: skip


def test_another_finding_under_the_same_verdict_is_a_change(baseline: Baseline) -> None:
    for what, legs in (
        ("another kind", DIFFERS | {"jax": {"raised": "ValueError: no"}}),
        ("another leg", {"tensorflow": {"loss": 0.7}, "jax": {"loss": 0.5}, "torch": {"loss": 0.5}}),
        ("another observation", {leg: {"predictions": values["loss"]} for leg, values in DIFFERS.items()}),
    ):
        found = make.results({"a/fails": legs}).compared_with(baseline).changes
        (change,) = (change for change in found if change.case == "a/fails")
        assert (change.what, change.before) == ("changed", f"FAILED, {baseline.outcomes['a/fails'].headline}"), what


def test_figures_that_moved_and_other_words_are_no_change(tmp_path: Path) -> None:
    raises = {leg: {"raised": f"ValueError: {leg}"} if leg == "jax" else values for leg, values in DIFFERS.items()}
    report = json.loads(json_report.render(make.results({"a/fails": DIFFERS, "a/raises": raises})))
    for result in report["results"]:
        result["headline"] = "in other words: " + result["headline"]
    (tmp_path / "report.json").write_text(json.dumps(report))
    now = {"a/fails": DIFFERS | {"jax": {"loss": 0.70001}}, "a/raises": raises}
    assert make.results(now).compared_with(read_baseline(tmp_path / "report.json")).changes == ()


def test_another_exception_is_a_change(tmp_path: Path) -> None:
    raises = {"jax": {"raised": "ValueError: a"}, "torch": {"loss": 0.5}}
    (tmp_path / "report.json").write_text(json_report.render(make.results({"a/raises": raises})))
    for error, changed in (("ValueError: b", ()), ("TypeError: a", ("a/raises",))):
        now = make.results({"a/raises": raises | {"jax": {"raised": error}}})
        assert tuple(change.case for change in now.compared_with(read_baseline(tmp_path / "report.json")).changes) == changed


def test_a_case_that_cannot_be_compared_for_another_reason_is_a_change(tmp_path: Path) -> None:
    crashed = {"jax": {"status": "crashed", "problem": "signal 11"}, "torch": {"loss": 0.5}}
    (tmp_path / "report.json").write_text(json_report.render(make.results({"a/ends": crashed})))
    baseline = read_baseline(tmp_path / "report.json")
    signal = crashed | {"jax": {"status": "crashed", "problem": "signal 6"}}
    assert make.results({"a/ends": signal}).compared_with(baseline).changes == ()
    late = crashed | {"jax": {"status": "timed out", "problem": "took longer"}}
    assert [change.what for change in make.results({"a/ends": late}).compared_with(baseline).changes] == ["changed"]


def test_a_report_that_lacks_what_later_versions_write_is_compared_in_what_it_has(tmp_path: Path) -> None:
    report = json.loads(json_report.render(make.results({"a/fails": DIFFERS})))
    for result in report["results"]:
        del result["findings"], result["raised"], result["statuses"]
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert make.results({"a/fails": DIFFERS}).compared_with(read_baseline(tmp_path / "report.json")).changes == ()


def test_every_report_says_what_has_changed(baseline: Baseline) -> None:
    results = make.results(NOW).compared_with(baseline)
    for said in (html_report.render(results), github.render(results), "\n".join(text.summary(results, width=None))):
        assert "1 new, 1 changed, 1 gone" in said
        assert "a/mended" in said
    assert json.loads(json_report.render(results))["baseline"]["changes"][0]["case"] == "a/new"
    assert json.loads(json_report.render(make.results(NOW)))["baseline"] is None


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "invalid JSON"), ("[]", "is not a report"), ('{"schema": 2, "results": []}', "expected 1"),
     ('{"schema": 1, "results": [{}]}', "lacks 'case'"), ('{"schema": 1, "results": [3]}', "lacks")],
)  # fmt: skip
def test_what_is_no_report_is_refused_by_name(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(UnreadableInput, match=r"report\.json") as caught:
        read_baseline(path)
    assert words in str(caught.value)
