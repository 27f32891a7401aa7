"""Which cases come first: those that failed last time, and those whose file has changed."""

from __future__ import annotations

from pathlib import Path

import make
import pytest

from backendcheck.case_files import file_digest
from backendcheck.recordings.files import write_environment
from backendcheck.report.formats import json as json_report
from backendcheck.sessions.case_order import first_cases
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.session_state import SessionState
from backendcheck.vocabulary.backends import DEFAULT_NAMES
from backendcheck.vocabulary.leg_names import parse_leg, parse_legs


def earlier_run(folder: Path) -> Path:
    """A run in which `labels/apart` and `labels/odd "name"` failed, and two case files were recorded."""
    run = folder / "out"
    for name in ("labels", "losses"):
        (folder / f"{name}.py").write_text("def case_a(): return {'v': 1.0}\n", encoding="utf-8")
    sources = {f"{name}.py": file_digest(folder / f"{name}.py") for name in ("labels", "losses")}
    write_environment(run / "jax", make.environment("jax", sources=sources))
    apart = {"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.7}}
    results = make.results({
        "labels/agree": make.everywhere(loss=0.5), "labels/apart": apart, 'labels/odd "name"': apart,
    })  # fmt: skip
    (run / "report.json").write_text(json_report.render(results), encoding="utf-8")
    return run


def test_failed_cases_and_changed_files_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = earlier_run(tmp_path)
    assert set(first_cases([run], [parse_leg("jax")])) == {"labels/apart", 'labels/odd "name"'}
    (tmp_path / "losses.py").write_text("def case_a(): return {'v': 2.0}\n", encoding="utf-8")
    first = first_cases([tmp_path / "none", run], parse_legs(DEFAULT_NAMES))
    assert set(first) == {"labels/apart", 'labels/odd "name"', "losses"}
    request = RecordingRequest(backend=parse_leg("jax"), out=tmp_path, first=first)
    session = SessionState(request=RecordingRequest.from_json(request.to_json()), run="", work=tmp_path, directory=tmp_path)
    ordered = sorted(["labels/agree", "labels/apart", "losses/a"], key=lambda case: not session.comes_first(case))
    assert ordered == ["labels/apart", "losses/a", "labels/agree"]


@pytest.mark.parametrize("content", [None, "", "[]", "{"])
def test_without_a_report_the_order_stays(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content, encoding="utf-8")
    assert first_cases([tmp_path], parse_legs(DEFAULT_NAMES)) == ()
