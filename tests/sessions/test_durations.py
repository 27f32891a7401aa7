"""Durations of an earlier run, which divide cases into shards."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import make
import pytest
from forked import backendcheck
from front_door import project
from pieces import write_leg

from backendcheck.errors import UsageError
from backendcheck.recordings.files import read_environment, write_environment
from backendcheck.recordings.store import CACHE, Index, Plan
from backendcheck.report.formats import json as json_report
from backendcheck.sessions.conditions import selection_key
from backendcheck.sessions.durations import read_durations, with_durations
from backendcheck.sessions.kept import store_of
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.session_state import SessionState
from backendcheck.vocabulary.leg_names import parse_leg
from backendcheck.vocabulary.shards import Shard

SECONDS = {"a/b": 9.0, "a/c": 3.0, "a/d": 4.0}


def request(folder: Path, number: int = 1, **fields: object) -> RecordingRequest:
    usual = {"backend": parse_leg("jax"), "out": folder / "out", "paths": ("a.py",), "store": folder / CACHE}
    return RecordingRequest(**usual | {"shard": Shard(number=number, of=2)} | fields)  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project(tmp_path, {"a.py": "def case_b(): ...\ndef case_c(): ...\ndef case_d(): ...\n"}))
    return tmp_path


def keep(asked: RecordingRequest, seconds: dict[str, float]) -> None:
    """Keep what an earlier run of a selection has collected."""
    store = store_of(asked)
    assert store is not None
    plan = Plan(files=(), cases=tuple(seconds), all_cases=(), sources={}, rows=0, seconds=seconds)
    with store.locked():
        store.write(Index(plans={**store.read().plans, selection_key(asked): plan}))


def test_durations_come_from_reports_environments_and_plain_files(tmp_path: Path) -> None:
    path = tmp_path / "durations.json"
    path.write_text(json.dumps(SECONDS), encoding="utf-8")
    assert read_durations(path) == SECONDS
    cases = {"a/b": {"jax": {"loss": 1.0, "timings_s": {"loss": 1.25, "agreement": 0.5}}, "torch": {"loss": 1.0}}}
    path.write_text(json_report.render(make.results(cases)), encoding="utf-8")
    (entry,) = json.loads(path.read_text(encoding="utf-8"))["results"]
    assert read_durations(path) == {"a/b": sum(entry["seconds"].values())}
    assert entry["seconds"]["jax"] == 1.75
    leg = write_leg(tmp_path / "jax", "jax", seconds=SECONDS)
    assert read_durations(leg / "environment.json") == SECONDS


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "3", '{"a/b": "x"}', '{"a/b": -1}', '{"a/b": NaN}', '{"a/b": 0}', '{"a/b": {"jax": 1}}', '{"results": [1]}',
     '{"results": []}', '{"a/b": true}', '{"a/b": 1e999}'],
)  # fmt: skip
def test_what_holds_no_durations_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "durations.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=r"durations\.json: .*expected a report\.json, an environment\.json, or a JSON object"):
        read_durations(path)


def test_an_earlier_run_of_all_cases_divides_them(place: Path) -> None:
    keep(request(place, shard=None), SECONDS)
    keep(request(place, shard=None, backend=parse_leg("torch")), {"a/b": 1.0, "a/c": 8.0, "a/d": 1.0})
    first, second = with_durations(request(place, 1)), with_durations(request(place, 2, backend=parse_leg("tensorflow")))
    assert first.seconds_before == second.seconds_before == {"a/b": 10.0, "a/c": 11.0, "a/d": 5.0}
    shards = [SessionState(request=shard, run="", work=place, directory=place).in_shard([*SECONDS]) for shard in (first, second)]
    assert shards == [{"a/c"}, {"a/b", "a/d"}]
    assert with_durations(request(place, seconds_before={"a/b": 2.0})).seconds_before == {"a/b": 2.0}


def test_what_a_shard_has_recorded_divides_nothing(place: Path) -> None:
    keep(with_durations(request(place, 1)), {"a/b": 9.0})
    assert with_durations(request(place, 2)).seconds_before == {}
    assert with_durations(request(place, shard=None)).seconds_before == {}


def test_a_resumed_session_has_the_durations_that_it_began_with(place: Path) -> None:
    leg = write_leg(place / "out/jax", "jax")
    write_environment(leg, replace(read_environment(leg), durations=SECONDS))
    keep(request(place, shard=None), {"a/b": 1.0})
    assert with_durations(request(place, resume=True)).seconds_before == SECONDS


def test_durations_need_a_shard(place: Path) -> None:
    (place / "d.json").write_text(json.dumps(SECONDS), encoding="utf-8")
    ended = backendcheck("run", "a.py", "--durations", "d.json", cwd=place)
    assert ended.exit_code == 2
    assert "expected --shard K/N or --farm ADDRESS with it" in " ".join(ended.err.split())
