"""Going on with what was interrupted: what is kept, what is recorded again, and when nothing is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import make
import pytest
from forked import backendcheck
from front_door import project
from pieces import SELECTION, write_leg

from backendcheck.cli.process import resume_command
from backendcheck.errors import BackendcheckError
from backendcheck.files import file_sha256
from backendcheck.recordings.environment import EarlierSession
from backendcheck.recordings.files import read_environment, write_environment, write_recording
from backendcheck.recordings.paths import recording_path
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.resume import Earlier, earlier, seconds_before
from backendcheck.vocabulary.backends import installed_version
from backendcheck.vocabulary.leg_names import parse_leg
from backendcheck.vocabulary.states import ExitState

CASES = ("labels/a", "labels/b", "labels/c")
FILES = {"cases/labels.py": "def case_a(): ...\ndef case_b(): ...\ndef case_c(): ...\n"}

# --- what an earlier session has left, by hand -------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session that was interrupted after two of three cases, in the versions that are installed here."""
    monkeypatch.chdir(project(tmp_path, FILES))
    left(tmp_path)
    return tmp_path


def left(folder: Path, cases: tuple[str, ...] = CASES[:2], **fields: object) -> Path:
    versions = {"python": "3.11.7", "keras": installed_version("keras") or "", "jax": parse_leg("jax").backend_version() or ""}
    usual = {
        "exit_state": "interrupted", "versions": versions, "run": "the run",
        "sources": {"cases/labels.py": file_sha256(folder / "cases" / "labels.py")},
        "seconds": {"labels/a": 1.0, "labels/b": 2.0, "labels/c": 40.0},
    }  # fmt: skip
    leg = write_leg(folder / "out" / "jax", "jax", cases, **(usual | fields))
    write_environment(leg, replace(read_environment(leg), cases=CASES))
    return leg


def request(**fields: object) -> RecordingRequest:
    return RecordingRequest(**({"backend": parse_leg("jax"), "out": Path("out"), "paths": ["cases"], "resume": True} | fields))


def found(**fields: object) -> Earlier:
    there = earlier(request(**fields))
    assert there is not None
    return there


def test_whole_recordings_are_kept(place: Path) -> None:
    there = found()
    assert (there.kept, there.is_whole) == (CASES[:2], False)
    assert there.in_words == "2 of 3 cases are recorded already and kept"
    environment = there.resumed("2026-03-02T12:00:00+00:00")
    assert (environment.run, environment.exit_state, environment.started) == ("the run", "running", "2026-03-01T12:00:00+00:00")
    assert environment.sessions[0] == EarlierSession(
        started="2026-03-01T12:00:00+00:00", exit_state=ExitState.INTERRUPTED, n_recordings=2, resumed="2026-03-02T12:00:00+00:00"
    )


def test_nothing_there_is_nothing_to_resume(place: Path) -> None:
    assert earlier(request(out=place / "elsewhere")) is None
    (place / "empty" / "jax" / ".work").mkdir(parents=True)  # a session that was killed before it had begun
    assert earlier(request(out=place / "empty")) is None


def test_a_complete_leg_is_whole_unless_there_are_new_case_files(place: Path) -> None:
    left(place, CASES, exit_state="complete")
    assert found().is_whole
    project(place, {"cases/more.py": "def case_d(): ...\n"})
    assert not found().is_whole


def test_damaged_recordings_are_made_again(place: Path) -> None:
    file = recording_path(place / "out" / "jax", "labels/a")
    file.write_bytes(file.read_bytes()[:-3])
    there = found()
    assert (there.kept, list(there.damaged)) == (("labels/b",), [Path.cwd() / file.relative_to(place)])
    assert there.in_words.endswith("1 are damaged and recorded again")
    # One that is whole by itself and is not the one that was listed.
    write_recording(place / "out" / "jax", make.recording("labels/b", "jax", loss=0.25, run="the run"))
    assert found().kept == ()


def test_what_crashed_is_a_result_unless_it_is_to_be_tried_again(place: Path) -> None:
    left(place, values={"labels/a": {"status": "crashed"}, "labels/b": {"status": "skipped"}})
    assert found().kept == CASES[:2]
    there = found(retry=True)
    assert (there.kept, there.tried_again) == (("labels/b",), ("labels/a",))
    left(place, CASES, exit_state="complete", values={"labels/c": {"status": "timed out"}, "labels/b": {"status": "error"}})
    assert found().is_whole
    assert (found(retry=True).is_whole, found(retry=True).tried_again) == (False, ("labels/b", "labels/c"))


def test_the_time_that_cases_took_before_is_known_for_those_that_are_left(place: Path) -> None:
    assert seconds_before(request()) == {"labels/c": 40.0}
    assert seconds_before(request(resume=False)) == {"labels/a": 1.0, "labels/b": 2.0, "labels/c": 40.0}
    assert seconds_before(request(out=place / "nowhere")) == {}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"paths": ["cases/labels.py"]}, "PATH was cases and is cases/labels.py"),
        ({"keyword": "a or b"}, "-k was none and is a or b"),
        ({"marks": "slow"}, "-m was none and is slow"),
        ({"device": "gpu"}, "--device was cpu and is gpu"),
        ({"oracles": ("agreement", "paths")}, "--oracles was agreement,paths,order,reference and is agreement,paths"),
        ({"plugins": ("mine",)}, "-p was none and is mine"),
    ],
)  # fmt: skip
def test_other_options_are_refused_by_name(place: Path, fields: dict[str, object], words: str) -> None:
    with pytest.raises(BackendcheckError, match="cannot be resumed, not all is as it was") as caught:
        earlier(request(**fields))
    assert words in str(caught.value)
    assert str(caught.value).endswith(" or record all of it anew with --fresh --overwrite in place of --resume.")


def test_timeouts_and_workers_may_be_others(place: Path) -> None:
    assert found(timeout_s=3.0, workers=7).kept == CASES[:2]


def test_other_files_and_versions_are_refused_by_name(place: Path) -> None:
    project(place, {"cases/labels.py": "def case_a(): return 1\n"})
    with pytest.raises(BackendcheckError, match=r"cases/labels\.py has changed.* record all of it anew with --fresh in place of"):
        earlier(request())
    (place / "cases" / "labels.py").unlink()
    project(place, {"cases/else.py": "def case_a(): return 1\n"})
    with pytest.raises(BackendcheckError, match=r"cases/labels\.py has changed"):
        earlier(request())
    project(place, FILES)
    left(place, versions={"keras": "3.4.0", "jax": "0.4.28"})
    with pytest.raises(BackendcheckError, match=r"keras was 3\.4\.0 and is .*; jax was 0\.4\.28 and is"):
        earlier(request())


def test_without_a_note_of_sources_the_recordings_tell(place: Path) -> None:
    left(place, sources={})
    with pytest.raises(BackendcheckError, match=r"cases/labels\.py has changed"):  # the recordings say another digest
        earlier(request())


def test_a_recording_of_another_run_is_refused(place: Path) -> None:
    write_recording(place / "out" / "jax", make.recording("labels/c", "jax", loss=1.0, run="yesterday"))
    with pytest.raises(BackendcheckError, match=r"c\.safetensors: is from another run, so the leg cannot be resumed"):
        earlier(request())


def test_what_was_merged_is_not_resumed(place: Path) -> None:
    left(place, parts=({"path": "x", "run": "the run", "shard": "", "exit_state": "complete", "n_cases": 2, "n_recordings": 2},))
    with pytest.raises(BackendcheckError, match="it was merged"):
        earlier(request())


@pytest.mark.parametrize("content", [None, "", "{", "null", '{"format": 1}', '{"format": 99}'])
def test_a_damaged_environment_is_refused(place: Path, content: str | None) -> None:
    path = place / "out" / "jax" / "environment.json"
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(BackendcheckError, match=r"environment\.json"):
        earlier(request())
    ended = backendcheck("run", "cases", "--backends", "jax", "--out", "out", "--resume", cwd=place)
    assert ended.exit_code == 2
    assert len([*(place / "out").rglob("*.safetensors")]) == 2  # nothing is lost by it


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--resume", "--overwrite"], "--resume keeps the recordings and --overwrite replaces them"),
        (["--retry-errors"], "expected --resume with it"),
        (["--resume", "-k", "a"], "out/jax: cannot be resumed, not all is as it was: -k was none and is a"),
        (["--resume", "--shard", "1/2"], "--shard was none and is 1/2"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("which", [("run", "--backends", "jax"), ("record", "--backend", "jax")], ids=lambda which: which[0])
def test_what_cannot_be_resumed_is_refused_and_left_as_it_is(
    place: Path, which: tuple[str, ...], arguments: list[str], words: str
) -> None:
    before = {path: path.read_bytes() for path in (place / "out").rglob("*") if path.is_file()}
    ended = backendcheck(*which, "cases", "--out", "out", *arguments, cwd=place)
    assert ended.exit_code == 2, ended.words
    assert words in " ".join(ended.err.split())
    assert {path: path.read_bytes() for path in (place / "out").rglob("*") if path.is_file()} == before


def test_the_command_that_resumes_has_no_option_that_contradicts_it() -> None:
    words = ["run", "cases", "--fresh", "--overwrite", "--watch", "--resume", "-k", "a b"]
    assert resume_command(words) == "backendcheck run --resume cases -k 'a b'"


def test_a_complete_run_is_resumed_without_starting_anything(place: Path) -> None:
    for backend in ("jax", "torch"):
        name = parse_leg(backend)
        versions = {"keras": installed_version("keras") or "", backend: (name.backend_version() or "").partition("+")[0]}
        leg = write_leg(
            place / "out" / backend, backend, CASES, versions=versions, selection=SELECTION,
            sources={"cases/labels.py": file_sha256(place / "cases" / "labels.py")},
        )  # fmt: skip
        assert read_environment(leg).exit_state == "complete"
    (place / "out" / "jax" / ".work" / "tmp").mkdir(parents=True)  # of a session that was killed while it removed this
    ended = backendcheck("run", "cases", "--backends", "jax,torch", "--out", "out", "--resume", cwd=place)
    assert ended.exit_code == 0, ended.words
    assert read_environment(place / "out" / "jax").sessions == ()
    assert not (place / "out" / "jax" / ".work").exists()
    assert ended.err.splitlines() == [f"{backend}: 3 of 3 cases are recorded already and kept" for backend in ("jax", "torch")]


# --- for real ----------------------------------------------------------------------------------------------------
