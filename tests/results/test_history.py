"""The verdicts of earlier runs: which files are read, and what is new, gone, changed or flaky."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import make
import pytest

from backendcheck.results.history import EarlierRun, History, read_history

PASSED, FAILED = "PASSED", "FAILED"
NOW = EarlierRun(created="2026-02-01T00:00:00+00:00", commit="", versions=(), runs=frozenset({"now"}), verdicts={"a/b": PASSED})


def report(day: int, run: str = "", *, commit: str = "", **more: Any) -> dict[str, Any]:
    checkout = {"checkout": {"commit": commit}} if commit else {}
    environment = {"run": run or f"run {day}", "versions": {"keras": "3.15.0"}, **checkout}
    verdicts: Mapping[str, str] = more.pop("verdicts", {"a/b": PASSED})
    return {
        "schema": 1, "created": f"2026-01-{day:02}T12:00:00+00:00", "environments": {"jax": environment},
        "results": [{"case": case, "verdict": verdict} for case, verdict in verdicts.items()], **more,
    }  # fmt: skip


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def days(history: History) -> list[str]:
    return [run.created[8:10] for run in history.runs]


def test_reports_are_found_in_the_folder_and_below_it_in_the_order_of_their_time(tmp_path: Path) -> None:
    write(tmp_path / "z" / "deeper" / "report.json", report(2))
    write(tmp_path / "nightly-3.json", report(3))
    write(tmp_path / "report.json", report(1))
    write(tmp_path / "z" / "other.json", "no report, and not asked about")
    write(tmp_path / "z" / "jax" / "recordings" / "report.json", "{")
    history = read_history(tmp_path, NOW)
    assert (days(history), history.ignored) == (["01", "02", "03"], "")


def test_the_last_thirty_are_kept_and_each_run_once(tmp_path: Path) -> None:
    for day in range(1, 32):
        write(tmp_path / f"{day}" / "report.json", report(day))
    write(tmp_path / "again" / "report.json", report(5))
    write(tmp_path / "this" / "report.json", report(31, "now"))
    history = read_history(tmp_path, NOW)
    assert days(history) == [f"{day:02}" for day in range(2, 32)]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "is not a report"),
        ("", "is not a report"),
        ('{"name": "package", "version": "1"}', "is not a report"),
        (json.dumps(report(1))[:-20], "unreadable, or invalid JSON"),
        (json.dumps(report(1, schema=2)), "has schema 2"),
        (json.dumps(report(1, verdicts={"a/b": "<script>"})), "has unknown cases or verdicts"),
        (json.dumps(report(1) | {"results": 3}), "lacks what a report has"),
        (json.dumps(report(1) | {"environments": []}), "lacks what a report has"),
        (json.dumps(report(1) | {"created": "2026-13-01T12:00"}), "has an invalid date"),
        ('{"created": "2026-01-01T12:00", "a": ' + "[" * 100_000, "unreadable, or invalid JSON"),
        ("\x00\xff" * 50, "is not a report"),
    ],
)
def test_what_is_no_report_is_named_in_one_line_and_the_others_are_read(tmp_path: Path, content: str, why: str) -> None:
    write(tmp_path / "good" / "report.json", report(4))
    write(tmp_path / "bad.json", content)
    history = read_history(tmp_path, NOW)
    assert days(history) == ["04"]
    assert history.ignored == f"{tmp_path}: ignored bad.json ({why})"


def test_many_bad_files_are_one_line(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / f"{number:02}.json", "{}")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    ignored = read_history(tmp_path, NOW).ignored
    assert ("\n" in ignored, ignored.endswith("05.json (is not a report) and 15 more")) == (False, True)


def run(verdicts: Mapping[str, str], commit: str = "", versions: str = "3.15.0") -> EarlierRun:
    return EarlierRun(created="2026-01-01T00:00:00+00:00", commit=commit, versions=(("keras", versions),), runs=frozenset(),
                      verdicts=verdicts)  # fmt: skip


def test_new_gone_and_changed_are_those_since_the_last_run() -> None:
    history = History(
        runs=(run({"a/gone_before": PASSED}), run({"a/same": PASSED, "a/worse": PASSED, "a/gone": FAILED})),
        now=run({"a/same": PASSED, "a/worse": FAILED, "a/new": FAILED}),
    )
    assert (history.new, history.gone, history.changed) == (("a/new",), ("a/gone",), {"a/worse": PASSED})


@pytest.mark.parametrize(
    ("verdicts", "flaky"),
    [
        ("PPPP", ""), ("PPFF", ""), ("PFFP", ""),  # broken and mended
        ("PFPF", "3 changes of verdict in 4 runs"), ("P-F-P-F", "3 changes of verdict in 4 runs"), ("-FF", ""),
    ],
)  # fmt: skip
def test_flaky_is_what_goes_back_and_forth(verdicts: str, flaky: str) -> None:
    names = {"P": {"a/b": PASSED}, "F": {"a/b": FAILED}, "-": {}}
    *before, now = (run(names[letter], commit=f"{number}") for number, letter in enumerate(verdicts))
    assert History(runs=tuple(before), now=now).flaky_cases.get("a/b", "") == flaky


def test_flaky_is_what_differs_at_one_commit_with_the_same_versions() -> None:
    def flaky(commit: str, versions: str) -> str:
        history = History(runs=(run({"a/b": PASSED}, "c" * 40),), now=run({"a/b": FAILED}, commit, versions))
        return history.flaky_cases.get("a/b", "")

    assert flaky("c" * 40, "3.15.0") == "PASSED and FAILED at commit cccccccccc, with the same versions"
    assert (flaky("c" * 40, "3.16.0"), flaky("d" * 40, "3.15.0"), flaky("", "3.15.0")) == ("", "", "")


def test_the_reports_of_backendcheck_are_read(tmp_path: Path) -> None:
    from backendcheck.report.formats import json as json_report

    results = make.everything()
    write(tmp_path / "report.json", json_report.render(results))
    history = results.with_history(tmp_path).history
    assert history is not None
    assert (history.runs, history.ignored) == ((), "")  # that of this run itself
    write(tmp_path / "report.json", json_report.render(results).replace("run of jax", "another run"))
    history = results.with_history(tmp_path).history
    assert history is not None
    assert (len(history.runs), history.new, history.gone, history.changed, history.ignored) == (1, (), (), {}, "")
