"""The pieces of a leg: taken once and whole, refused if they do not fit, joined to the leg of one machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pieces as on_disk
import pytest

from backendcheck.errors import UnreadableInput
from backendcheck.farm import task
from backendcheck.farm.bundle import Bundle, files_in, packed
from backendcheck.farm.chunks import Chunk, chunks_of, plan_of
from backendcheck.farm.pieces import Pieces
from backendcheck.recordings.files import read_environment
from backendcheck.sessions.request import RecordingRequest
from backendcheck.vocabulary.leg_names import parse_leg
from backendcheck.vocabulary.shards import Shard
from backendcheck.vocabulary.states import ExitState

FILES = Bundle(b"", "", {"cases/labels.py": "f" * 64})


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordingRequest:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "cases" / "labels.py"
    file.parent.mkdir()
    file.write_text("".join(f"def case_case_{n}(): return {{}}\n" for n in range(8)), encoding="utf-8")
    return RecordingRequest(backend=parse_leg("jax"), out=tmp_path / "out", paths=["cases"])


def chunks(request: RecordingRequest) -> list[Chunk]:
    return chunks_of(request, (3, {}), FILES)


def piece(tmp_path: Path, number: int, **more: Any) -> dict[str, Any]:
    leg = on_disk.write_shard(tmp_path / f"recorded-{number}", "jax", number, 3, **more)
    files = packed(files_in(leg))
    return {"content": files.content, "sha256": files.sha256, "host": f"host{number}"}


def test_all_pieces_make_the_leg_with_its_hosts_and_leave_nothing_beside_it(tmp_path: Path, request_: RecordingRequest) -> None:
    pieces = Pieces(request_.out, FILES)
    for number, chunk in enumerate(chunks(request_), 1):
        assert pieces.add("jax", chunk, piece(tmp_path, number)) == []
    assert pieces.n_cases("jax") == (8, 8)
    environment = pieces.join(request_)
    assert environment is not None
    assert environment.exit_state is ExitState.COMPLETE
    assert environment.cases == on_disk.CASES
    assert [part.path for part in environment.parts] == ["host1", "host2", "host3"]
    assert read_environment(request_.leg).selection == request_.selection
    assert not (request_.out / ".farm").exists()


def test_a_missing_piece_leaves_the_leg_incomplete_and_is_asked_for_again(tmp_path: Path, request_: RecordingRequest) -> None:
    first, second, third = chunks(request_)
    pieces = Pieces(request_.out, FILES)
    pieces.add("jax", first, piece(tmp_path, 1))
    pieces.add("jax", third, piece(tmp_path, 3))
    environment = pieces.join(request_)
    assert environment is not None
    assert environment.exit_state is ExitState.INTERRUPTED
    assert [part.shard for part in environment.parts if part.exit_state is ExitState.MISSING] == ["2/3"]
    again = Pieces(request_.out, FILES)
    assert again.plan("jax") == (3, {})
    assert again.take_earlier(replace(request_, resume=True), chunks(request_)) == [second]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"versions": {"keras": "3.14.0"}}, "keras 3.14.0 there"),
        ({"sources": {"cases/labels.py": "e" * 64}}, "other source files there: cases/labels.py"),
    ],
)
def test_a_piece_of_other_versions_or_files_is_refused_by_name(
    tmp_path: Path, request_: RecordingRequest, more: dict[str, Any], words: str
) -> None:
    first, second, _ = chunks(request_)
    pieces = Pieces(request_.out, FILES)
    assert pieces.add("jax", first, piece(tmp_path, 1)) == []
    different = pieces.add("jax", second, piece(tmp_path, 2, **more))
    assert any(words in line for line in different), different
    assert pieces.n_cases("jax")[1] == len(read_environment(tmp_path / "recorded-1").cases)
    assert Pieces(request_.out, FILES).take_earlier(replace(request_, resume=True), chunks(request_)) == [*chunks(request_)[1:]]


def test_a_damaged_piece_is_refused(tmp_path: Path, request_: RecordingRequest) -> None:
    damaged = piece(tmp_path, 1) | {"sha256": "0" * 64}
    with pytest.raises(UnreadableInput, match="damaged on the way"):
        Pieces(request_.out, FILES).add("jax", chunks(request_)[0], damaged)


def test_other_options_or_files_make_other_chunks(request_: RecordingRequest) -> None:
    keys = [chunk.key for chunk in chunks(request_)]
    assert keys == [chunk.key for chunk in chunks(replace(request_, out=Path("elsewhere"), resume=True))]
    assert not {*keys} & {chunk.key for chunk in chunks(replace(request_, keyword="x"))}
    assert not {*keys} & {chunk.key for chunk in chunks_of(request_, (3, {}), replace(FILES, sha256="1"))}
    assert [chunk.shard for chunk in chunks(request_)] == [Shard(number=number, of=3) for number in (1, 2, 3)]


def test_the_number_of_chunks_comes_from_durations_of_the_same_selection(tmp_path: Path, request_: RecordingRequest) -> None:
    assert plan_of(request_, [], 1.2) == (2, {})  # eight cases that have not been timed
    earlier = on_disk.write_leg(tmp_path / "earlier" / "jax", "jax", seconds=dict.fromkeys(on_disk.CASES, 5.0)).parent
    of, seconds = plan_of(request_, [tmp_path, earlier], 10.0)
    assert (of, sum(seconds.values())) == (4, 40.0)
    assert plan_of(replace(request_, keyword="x"), [earlier], 10.0)[1] == {}


class Asked:
    """A task of Dask, as far as a recording watches it."""

    wanted = True

    def is_wanted(self) -> bool:
        return self.wanted

    def tell(self, case: str, n_done: int) -> None:
        self.told = case, n_done


@pytest.mark.parametrize("what", ["hangs", "taken back", "goes on"])
def test_a_recording_is_ended_where_it_hangs_or_nobody_waits(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(task, "_LOOK_EVERY_S", 0.01)
    asked = Asked()
    signs = task._Signs(asked)  # type: ignore[arg-type]
    with task._watched(asked, signs, 0.3 if what == "hangs" else 60.0) as stop:  # type: ignore[arg-type]
        asked.wanted = what != "taken back"
        signs.started("jax", "x/a")
        signs.finished("jax", 1)
        assert stop.wait(2.0 if what != "goes on" else 0.5) == (what != "goes on")
    assert asked.told == ("x/a", 1)
