"""A request reaches the child process and its workers whole, whichever fields it has."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from backendcheck.case_files import builtin_cases
from backendcheck.errors import UnreadableInput
from backendcheck.recordings.files import ENVIRONMENT_FILE
from backendcheck.sessions.events import Collected, Finished, Message, Started, read_event, report
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.session_state import SessionState
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.leg_names import parse_leg
from backendcheck.vocabulary.shards import Shard

# A value of each field that is not its default. A new field needs one: see the first test.
VALUES: dict[str, Any] = {
    "backend": parse_leg("torch"),
    "out": Path("some where"),
    "paths": ("cases/a.py", "cases/b.py::case_x[\udc80]"),
    "workers": 3,
    "timeout_s": 12.5,
    "worker_memory": 2 << 30,
    "keyword": "a and not b",
    "marks": "slow",
    "device": "gpu",
    "oracles": (Oracle.AGREEMENT, Oracle.ORDER),
    "plugins": ("some.plugin",),
    "overwrite": True,
    "report_events": True,
    "injections": {"loss-scaled": ("a/b", "c/d;e[1]"), "unplanted": ("*",)},
    "noise": "jitter-1",
    "noise_of": "0123abcd",
    "first": ("labels/apart", "losses"),
    "only": "a/b",
    "layers": True,
    "source_leg": Path("runs/torch"),
    "shard": Shard(number=2, of=8),
    "seconds_before": {"a/b": 1.5},
    "resume": True,
    "retry": True,
    "selected_items": Path("chosen.json"),
    "pickled": Path("pickled/objects"),
    "is_subset": True,
    "store": Path("kept"),
    "fresh": True,
}
LEAST = {"backend": parse_leg("jax"), "out": Path("out")}


def default_of(field: Any) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


@pytest.mark.parametrize("field", fields(RecordingRequest), ids=lambda field: field.name)
def test_every_field_survives_the_file(field: Any, tmp_path: Path) -> None:
    value = VALUES[field.name]
    assert value != default_of(field)
    request = RecordingRequest(**LEAST | {field.name: value})
    assert RecordingRequest.from_json(request.to_json()) == request
    request.save(tmp_path / "request.json")
    assert RecordingRequest.load(tmp_path / "request.json") == request


def test_all_fields_at_once_reach_a_worker(tmp_path: Path) -> None:
    request = RecordingRequest(**VALUES)
    state = SessionState(
        request=request, run="0123", work=tmp_path, directory=tmp_path / "here", kept=("a/b", "c/d"), resumes=True
    )
    assert SessionState.load(state.save()) == state
    assert SessionState.load(state.save()).request == request


def test_the_selection_is_what_environment_files_have_always_had() -> None:
    assert ENVIRONMENT_FILE.encode(RecordingRequest(**LEAST).selection) == {
        "paths": ["built-in cases"], "keyword": "", "marks": "", "device": "cpu",
        "oracles": ["agreement", "paths", "order", "reference"],
    }  # fmt: skip
    assert ENVIRONMENT_FILE.encode(RecordingRequest(**VALUES).selection) == {
        "paths": list(VALUES["paths"]), "keyword": "a and not b", "marks": "slow", "device": "gpu",
        "oracles": ["agreement", "order"], "plugins": ["some.plugin"], "shard": "2/8", "noise": "jitter-1",
        "noise_of": "0123abcd", "plants": ["loss-scaled", "unplanted"], "chosen_by": "pytest", "narrowed": True,
    }  # fmt: skip


@pytest.mark.parametrize("content", ["", "no json", "[]", "{}", '{"backend": "mxnet", "out": ""}', '{"backend": "jax", "x": 1}'])
def test_a_file_that_is_something_else_is_refused_by_name(content: str, tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UnreadableInput, match=r"request\.json: not a recording request"):
        RecordingRequest.load(path)


def test_each_event_is_one_line_that_is_read_as_it_was_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [Collected(3), Started("a/b[\n]"), Finished("a/b[\n]", 1), Message("two\nlines of backendcheck: text")]
    stream = io.StringIO()
    monkeypatch.setattr(sys, "__stdout__", stream)
    for event in events:
        report(event)
    lines = stream.getvalue().splitlines()
    assert [read_event(line) for line in lines] == events
    assert [json.loads(line)["event"] for line in lines] == ["collected", "started", "finished", "message"]


@pytest.mark.parametrize("line", ["", "hello", "3", "[]", "{}", '{"event": "tea"}', '{"event": "started"}', '{"event": []}'])
def test_what_else_is_on_standard_output_is_not_an_event(line: str) -> None:
    assert read_event(line) is None


@pytest.mark.parametrize("inside", [True, False])
def test_a_built_in_case_has_the_same_name_wherever_its_session_started(tmp_path: Path, inside: bool) -> None:
    """A worker of a farm has the built-in cases elsewhere, and its report is that of one machine."""
    directory = builtin_cases().parent if inside else tmp_path
    session = SessionState(request=RecordingRequest(**LEAST), run="0", work=tmp_path, directory=directory)
    assert session.case_file(builtin_cases() / "outputs/fine_tuning.py") == "cases/outputs/fine_tuning.py"
    assert session.case_file(tmp_path / "own.py") == ("own.py" if not inside else f"{tmp_path.name}/own.py")
