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
from backendcheck.results.changes import Baseline, changes, read_baseline

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
    found = changes(baseline, {"a/fails": ("FAILED", "RAISED: jax raises ValueError; tensorflow returns loss 0.5")})
    assert (found[0].case, found[0].what) == ("a/fails", "changed")


def test_figures_that_moved_are_no_change(baseline: Baseline) -> None:
    headline = baseline.headlines["a/fails"].replace("0.7", "0.70001")
    assert not [one for one in changes(baseline, {"a/fails": ("FAILED", headline)}) if one.case == "a/fails"]


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
