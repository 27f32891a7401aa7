"""Legs are read from disk whole, of one part, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import make
import numpy as np
import pytest

from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.recordings.files import read_environment, write_environment, write_recording
from backendcheck.recordings.legs import find_legs, known_cases, read_legs
from backendcheck.recordings.paths import recording_path
from backendcheck.recordings.recording import Recording
from backendcheck.results.results import analyze

CASES = ("a/1", "a/2[x]", "b/1")


def write_leg(path: Path, backend: str, cases: tuple[str, ...] = CASES, **fields: object) -> Path:
    recordings = [make.recording(case, backend, loss=1.0, run=f"run of {backend}") for case in cases]
    digests = {one.case: write_recording(path, one) for one in recordings}
    write_environment(path, make.environment(backend, cases, **({"digests": digests} | fields)))
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for backend in make.BACKENDS:
        write_leg(tmp_path / backend, backend)
    return tmp_path


# --- finding ---------------------------------------------------------------------------------------------------


def test_the_legs_below_a_directory_are_found(run: Path) -> None:
    assert find_legs([run]) == [run / backend for backend in make.BACKENDS]


def test_a_leg_may_be_named_itself(run: Path) -> None:
    assert find_legs([run / "torch", run / "jax"]) == [run / "torch", run / "jax"]


def test_a_leg_named_twice_is_there_once(run: Path) -> None:
    assert find_legs([run / "jax", run, run / "torch" / ".." / "jax"]) == [run / "jax", run / "tensorflow", run / "torch"]


def test_a_directory_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone: no such directory"):
        find_legs([tmp_path / "gone"])


def test_a_directory_without_recordings_is_refused_with_what_to_do(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"empty: holds no recordings; .* Record first"):
        find_legs([run, tmp_path / "empty"])


def test_other_directories_beside_the_legs_are_not_legs(run: Path) -> None:
    write_leg(run / "monday", "jax")
    assert run / "monday" not in find_legs([run])


# --- reading ---------------------------------------------------------------------------------------------------


def test_legs_are_read_whole_and_in_the_order_of_the_backends(run: Path) -> None:
    legs = read_legs([run / "torch", run / "tensorflow", run / "jax"])
    assert [leg.label for leg in legs] == list(make.BACKENDS)
    assert [sorted(leg.recordings) for leg in legs] == [sorted(CASES)] * 3
    assert analyze(legs).exit_code == 0


def test_equal_backends_are_numbered(run: Path, tmp_path: Path) -> None:
    monday = write_leg(tmp_path / "monday", "jax")
    assert [leg.label for leg in read_legs([run / "jax", run / "torch", monday])] == ["jax#1", "jax#2", "torch"]


def test_one_case_is_read_alone(run: Path) -> None:
    recording_path(run / "jax", "b/1").write_bytes(b"damaged, but not asked for")
    for leg in read_legs(find_legs([run]), only="a/2[x]"):
        assert list(leg.recordings) == ["a/2[x]"]
        assert leg.environment.cases == ("a/2[x]",)


def test_a_case_that_one_leg_never_collected_is_read_as_missing_there(run: Path) -> None:
    shutil.rmtree(run / "jax")
    write_leg(run / "jax", "jax", cases=("a/1",))
    result = analyze(read_legs(find_legs([run]), only="b/1")).result("b/1")
    assert tuple(map(str, result.problems)) == ("jax has no recording of it",)


def test_the_cases_of_all_legs_are_known_from_their_environments(run: Path) -> None:
    write_leg(run / "jax", "jax", cases=("a/1", "c/1"))
    assert known_cases(find_legs([run])) == ["a/1", "a/2[x]", "b/1", "c/1"]


def test_a_folder_named_like_a_recording_is_none(run: Path) -> None:
    case = "x.safetensors/1"
    shutil.rmtree(run / "jax")
    write_leg(run / "jax", "jax", cases=(*CASES, case))
    assert case in read_legs([run / "jax"])[0].recordings


def test_left_over_temporary_files_are_no_recordings(run: Path) -> None:
    (run / "jax" / "recordings" / "a" / ".x.tmp").write_bytes(b"half a file")
    assert len(read_legs([run / "jax"])[0].recordings) == len(CASES)


# --- of one part ----------------------------------------------------------------------------------------------


def rewritten(leg: Path, case: str, **changes: object) -> None:
    write_recording(leg, replace(make.recording(case, "jax", loss=1.0, run="run of jax"), **changes))


def other_run(leg: Path) -> None:
    rewritten(leg, "a/1", run="yesterday")


def other_backend(leg: Path) -> None:
    shutil.copy(recording_path(leg.parent / "torch", "a/1"), recording_path(leg, "a/1"))


def other_name(leg: Path) -> None:
    shutil.move(recording_path(leg, "a/1"), recording_path(leg, "a/3"))


def other_folder(leg: Path) -> None:
    recording_path(leg, "c/1").parent.mkdir()
    shutil.move(recording_path(leg, "a/1"), recording_path(leg, "c/1"))


def swapped(leg: Path) -> None:
    first, second = recording_path(leg, "a/1"), recording_path(leg, "a/2[x]")
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)


def replaced(leg: Path) -> None:
    rewritten(leg, "a/1", observations={"loss": make.observation(np.float32(2.0))})


def added(leg: Path) -> None:
    rewritten(leg, "a/9")


def truncated(leg: Path) -> None:
    path = recording_path(leg, "a/1")
    path.write_bytes(path.read_bytes()[:-1])


def emptied(leg: Path) -> None:
    recording_path(leg, "a/1").write_bytes(b"")


def without_environment(leg: Path) -> None:
    (leg / "environment.json").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (other_run, "is from another run"),
        (other_backend, "is from another run"),
        (other_name, "does not belong under this name"),
        (other_folder, "does not belong under this name"),
        (swapped, "does not belong under this name"),
        (replaced, "its digest is not the one in environment.json"),
        (added, "not on the list"),
        (truncated, "damaged or truncated"),
        (emptied, "damaged or truncated"),
        (without_environment, r"environment\.json: cannot be read"),
    ],
)
def test_a_leg_that_is_not_of_one_piece_is_refused(run: Path, damage: Callable[[Path], None], words: str) -> None:
    read_legs([run / "jax"])
    damage(run / "jax")
    with pytest.raises(UnreadableInput, match=words) as refused:
        read_legs(find_legs([run]))
    for line in str(refused.value).splitlines():
        assert line.startswith(str(run / "jax"))


def test_everything_that_is_wrong_is_named_at_once(run: Path) -> None:
    truncated(run / "jax")
    recording_path(run / "jax", "b/1").write_bytes(b"")
    recording_path(run / "torch", "a/1").write_bytes(b"")
    with pytest.raises(UnreadableInput) as refused:
        read_legs(find_legs([run]))
    assert len(str(refused.value).splitlines()) == 3


def test_a_recording_that_vanished_from_a_leg_is_an_error_of_its_case(run: Path) -> None:
    recording_path(run / "jax", "a/1").unlink()
    results = analyze(read_legs(find_legs([run])))
    assert tuple(map(str, results.result("a/1").problems)) == ("jax has no recording of it",)
    assert results.exit_code == 3


def test_a_leg_that_was_killed_is_read_as_far_as_it_got(run: Path) -> None:
    environment = read_environment(run / "jax")
    write_environment(run / "jax", replace(environment, exit_state="running", digests={}))
    recording_path(run / "jax", "b/1").unlink()
    results = analyze(read_legs(find_legs([run])))
    assert {one.case: str(one.verdict) for one in results.cases} == {"a/1": "PASSED", "a/2[x]": "PASSED", "b/1": "ERROR"}
    assert results.exit_code == 3


def test_a_leg_copied_elsewhere_is_read_as_before(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "jax", tmp_path / "elsewhere" / "downloaded artifact")
    (leg,) = read_legs(find_legs([tmp_path / "elsewhere" / "downloaded artifact"]))
    assert (leg.label, len(leg.recordings)) == ("jax", len(CASES))


def test_what_is_read_does_not_depend_on_the_working_directory(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)
    assert [leg.label for leg in read_legs(find_legs([Path()]))] == list(make.BACKENDS)
    assert isinstance(read_legs([Path("jax")])[0].recordings["a/1"], Recording)
