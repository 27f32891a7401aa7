"""What cannot be done or read is refused in a line that says where, what and what to do; nothing is lost by it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import make
import numpy as np
import pytest
from fine_case import FINE, without
from forked import backendcheck
from front_door import Ended, project

from backendcheck.recordings import files as recording_files
from backendcheck.recordings.files import write_environment, write_recording
from backendcheck.recordings.paths import recording_path

CASES = ("a/1", "a/2[x]", "b/1")


def refused(ended: Ended, *words: str) -> None:
    """One of our own lines on standard error, exit code 2, and nothing that looks like a result."""
    assert ended.exit_code == 2, ended.words
    for word in words:
        assert word in ended.err, ended.err
    assert ended.err.startswith(("backendcheck: ", "Usage: "))


def first(words: list[str]) -> str:
    return words[0]


# --- what was asked for ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {
        "fine.py": FINE,
        "nothing.py": "x = 1\n",
        "broken.py": "import os\n\ndef case_lost(:\n",
        "text.txt": "case_",
        "empty/x.txt": "",
    }
    return project(tmp_path_factory.mktemp("place"), files)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere.py", "nowhere.py: no such file or directory"),
        ("nowhere.py::case_x", "nowhere.py: no such file or directory"),
        ("nothing.py", "nothing.py: has no cases; expected at least one function named case_*"),
        ("text.txt", "text.txt: not a Python file"),
        ("empty", "empty: no case found"),
        ("", "PATH: is empty"),
        ("x" * 5000 + ".py", "File name too long"),
        ("\udcff.py", "no such file or directory"),
    ],
)
@pytest.mark.parametrize("command", [["record", "--backend", "jax"], ["run"], ["list"]], ids=first)
def test_a_path_without_cases_is_refused(place: Path, command: list[str], path: str, words: str) -> None:
    refused(backendcheck(*command, path, cwd=place), words)
    assert not (place / "reports").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["record", "fine.py", "--backend", "pytorch"], "backend 'pytorch': not a backend; expected one of tensorflow, jax"),
        (["record", "fine.py"], "Missing option '--backend'"),
        (["record", "fine.py", "--backend", "jax", "-n", "0"], "Invalid value for '-n'"),
        (["record", "fine.py", "--backend", "jax", "--timeout", "nan"], "Invalid value for '--timeout'"),
        (["record", "fine.py", "--backend", "jax", "--timeout", "0"], "Invalid value for '--timeout'"),
        (["record", "fine.py", "--backend", "jax", "--timeout", "inf"], "Invalid value for '--timeout'"),
        (["run", "fine.py", "--backends", "jax,theano"], "backend 'theano': not a backend"),
        (["run", "fine.py", "--backends", "jax,jax"], "names one twice"),
        (["run", "fine.py", "--backends", ","], "names none"),
        (["run", "fine.py", "-k", "a b"], "-k 'a b': not an expression"),
        (["run", "fine.py", "--known", "nowhere.toml"], "nowhere.toml"),
        (["run", "fine.py", "--out", "text.txt"], "text.txt"),
        (["compare"], "Missing argument"),
        (["compare", "nowhere"], "nowhere: no such directory"),
        (["compare", "empty"], "empty: holds no recordings"),
        (["compare", "text.txt"], "text.txt: no such directory"),
        (["show", "a/b"], "reports/latest: no such directory"),
        (["show", "a/b", "--out", "empty"], "empty: holds no recordings"),
        (["list", "broken.py"], "broken.py:3: does not parse"),
        (["explain"], "No such command 'explain'"),
    ],
)
def test_wrong_usage_is_refused(place: Path, arguments: list[str], words: str) -> None:
    refused(backendcheck(*arguments, cwd=place), words)


@pytest.mark.parametrize("out", ["fine.py", "fine.py/below", "/proc/nowhere", "/dev/null", "x" * 300])
@pytest.mark.parametrize("command", [["record", "--backend", "jax"], ["run", "--backends", "jax"]], ids=first)
def test_an_output_directory_that_cannot_be_written_is_refused(place: Path, command: list[str], out: str) -> None:
    before = sorted(place.iterdir())
    refused(backendcheck(*command, "fine.py", "--out", out, cwd=place), out)
    assert sorted(place.iterdir()) == before


def test_a_backend_that_is_not_installed_is_named_with_what_to_install(tmp_path: Path) -> None:
    env = without("torch", project(tmp_path, {"fine.py": FINE}))
    ended = backendcheck("record", "fine.py", "--backend", "torch", cwd=tmp_path, env=env)
    refused(ended, "torch: torch is not installed here. Install with: pip install 'keras>=3.4' 'torch>=2.3'")
    assert not (tmp_path / "reports").exists()


# --- what lies in the output directory -------------------------------------------------------------------------


def write_leg(path: Path, backend: str, cases: tuple[str, ...] = CASES, **fields: object) -> Path:
    recordings = [make.recording(case, backend, loss=1.0, run=f"run of {backend}") for case in cases]
    digests = {one.case: write_recording(path, one) for one in recordings}
    write_environment(path, make.environment(backend, cases, **({"digests": digests} | fields)))
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run in which all backends agree."""
    project(tmp_path, {"fine.py": FINE})
    for backend in make.BACKENDS:
        write_leg(tmp_path / "run" / backend, backend)
    return tmp_path / "run"


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("command", [["record", "--backend", "jax"], ["run", "--backends", "jax"]], ids=first)
def test_another_run_is_neither_mixed_with_nor_overwritten(run: Path, command: list[str]) -> None:
    before = everything(run)
    ended = backendcheck(*command, "fine.py", "--out", "run", cwd=run.parent)
    refused(ended, "Choose another --out, or use --overwrite", "keras 3.15.0", "recorded 2026-03-01T12:00:00+00:00")
    assert "3 cases of " in ended.err
    assert everything(run) == before


def test_what_is_no_recording_is_not_overwritten(tmp_path: Path) -> None:
    project(tmp_path, {"fine.py": FINE, "out/jax/thesis.txt": "ten years of work"})
    ended = backendcheck("record", "fine.py", "--backend", "jax", "--out", "out", cwd=tmp_path)
    refused(ended, "contains other files (thesis.txt); expected an empty directory")
    assert (tmp_path / "out/jax/thesis.txt").read_text(encoding="utf-8") == "ten years of work"


def test_a_directory_that_another_session_records_into_is_refused(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    leg = project(tmp_path, {"fine.py": FINE}) / "out" / "jax"
    leg.mkdir(parents=True)
    handle = os.open(leg, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        ended = backendcheck("record", "fine.py", "--backend", "jax", "--out", "out", cwd=tmp_path)
    finally:
        os.close(handle)
    refused(ended, "is being recorded into by another process")


def test_a_report_is_not_put_beside_legs_that_it_is_not_about(run: Path) -> None:
    other = write_leg(run.parent / "other" / "jax", "jax")
    refused(backendcheck("compare", other, "--out", "run", cwd=run.parent), "holds a leg that is not compared here")
    assert not (run / "report.json").exists()


# --- recordings ------------------------------------------------------------------------------------------------


def truncated(leg: Path) -> Path:
    path = recording_path(leg, "a/1")
    path.write_bytes(path.read_bytes()[:-10])
    return path


def one_byte(leg: Path) -> Path:
    path = recording_path(leg, "a/1")
    content = bytearray(path.read_bytes())
    content[-2] ^= 0x20
    path.write_bytes(content)
    return path


def empty(leg: Path) -> Path:
    recording_path(leg, "a/1").write_bytes(b"")
    return recording_path(leg, "a/1")


def future(leg: Path) -> Path:
    one = make.recording("a/1", "jax", loss=1.0, run="run of jax")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording_files, "FORMAT", 99)
        write_recording(leg, one)
    return recording_path(leg, "a/1")


def other_run(leg: Path) -> Path:
    write_recording(leg, make.recording("a/1", "jax", loss=1.0, run="yesterday"))
    return recording_path(leg, "a/1")


def other_leg(leg: Path) -> Path:
    shutil.copy(recording_path(leg.parent / "torch", "a/1"), recording_path(leg, "a/1"))
    return recording_path(leg, "a/1")


def environment_byte(leg: Path) -> Path:
    path = leg / "environment.json"
    path.write_text(path.read_text(encoding="utf-8").replace("3.15.0", "3.16.0"), encoding="utf-8")
    return path


def no_environment(leg: Path) -> Path:
    (leg / "environment.json").unlink()
    return leg / "environment.json"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncated, "damaged or truncated"),
        (one_byte, "damaged"),
        (empty, "damaged or truncated"),
        (future, "has format 99, written by a later backendcheck; this one reads up to 1. Upgrade backendcheck"),
        (other_run, "is from another run"),
        (other_leg, "is from another run"),
        (environment_byte, "is damaged"),
        (no_environment, "cannot be read"),
    ],
)
def test_a_damaged_recording_is_refused_by_name(run: Path, damage: Callable[[Path], Path], words: str) -> None:
    file = damage(run / "jax")
    for arguments in (["compare", "run"], ["show", "a/1", "--out", "run"]):
        ended = backendcheck(*arguments, cwd=run.parent)
        refused(ended, str(file.relative_to(run.parent)), words)
    assert not (run / "report.json").exists()


@pytest.mark.parametrize("name", ["environment.json", "recordings/a/1.safetensors"])
def test_a_pipe_in_place_of_a_file_of_a_leg_is_refused_and_not_waited_for(run: Path, name: str) -> None:
    (run / "jax" / name).unlink()
    os.mkfifo(run / "jax" / name)
    refused(backendcheck("compare", "run", cwd=run.parent, timeout=30), f"run/jax/{name}", "not a regular file")


def test_a_pipe_or_a_device_in_place_of_other_files_is_refused_and_not_waited_for(run: Path) -> None:
    os.mkfifo(run.parent / "pipe.json")
    for path in ("pipe.json", "/dev/zero"):
        refused(backendcheck("compare", "run", "--baseline", path, cwd=run.parent, timeout=30), path, "not a regular file")
    np.save(run.parent / "y.npy", [0, 1])
    refused(backendcheck("labels", "--data", "y.npy", "--class-names", "pipe.json", cwd=run.parent, timeout=30), "pipe.json")
    refused(backendcheck("compare", "run", "--known", "/dev/zero", cwd=run.parent, timeout=30), "/dev/zero")


def test_a_whole_run_passes(run: Path) -> None:
    ended = backendcheck("compare", "run", "--expect-backends", "tensorflow,jax,torch", cwd=run.parent)
    assert ended.exit_code == 0, ended.out


def test_a_recording_that_is_missing_is_an_error(run: Path) -> None:
    recording_path(run / "jax", "a/1").unlink()
    ended = backendcheck("compare", "run", cwd=run.parent)
    assert ended.exit_code == 3
    assert "ERROR a/1" in ended.out
    assert "jax has no recording of it" in ended.out


def test_a_leg_that_is_missing_is_an_error_if_it_is_expected(run: Path) -> None:
    shutil.rmtree(run / "jax")
    assert backendcheck("compare", "run", cwd=run.parent).exit_code == 0
    ended = backendcheck("compare", "run", "--expect-backends", "tensorflow,jax,torch", cwd=run.parent)
    assert ended.exit_code == 3
    assert "jax: its leg is missing" in ended.out


def test_one_leg_alone_is_no_comparison(run: Path) -> None:
    ended = backendcheck("compare", "run/jax", "--out", "alone", cwd=run.parent)
    assert ended.exit_code == 3


def test_a_leg_that_never_ended_is_an_error(run: Path) -> None:
    write_leg(run / "jax", "jax", exit_state="running")
    ended = backendcheck("compare", "run", cwd=run.parent)
    assert ended.exit_code == 3
    assert "jax: its recording was killed or is still running" in ended.out


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"digests": {"x": "other"}}, "were fed different inputs: x"),
        ({"digests": {"x": "same", "weights/kernel": "other"}}, "started from different initial weights: kernel"),
        ({"settings": {"floatx": "float64"}}, "ran under different settings: floatx"),
        ({"file_digest": "other"}, "recorded different versions of"),
    ],
)
def test_what_was_recorded_from_something_else_is_not_compared(run: Path, field: dict[str, object], words: str) -> None:
    same = {"digests": {"x": "same", "weights/kernel": "same"}, "settings": {"floatx": "float32"}, "file_digest": "same"}
    for backend in make.BACKENDS:
        fields = same | (field if backend == "jax" else {})
        one = replace(make.recording("a/1", backend, loss=1.0, run=f"run of {backend}"), **fields)
        digests = {"a/1": write_recording(run / backend, one)}
        write_environment(run / backend, make.environment(backend, ("a/1",), digests=digests))
        for case in CASES[1:]:
            recording_path(run / backend, case).unlink()
    ended = backendcheck("compare", "run", cwd=run.parent)
    assert ended.exit_code == 3
    assert "ERROR a/1" in ended.out
    assert words in ended.out
