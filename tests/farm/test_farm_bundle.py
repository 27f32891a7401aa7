"""Files on their way to a worker: which go, that they arrive whole, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from front_door import project

from backendcheck.case_files import builtin_cases
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.farm import bundle, task
from backendcheck.farm.chunks import chunks_of
from backendcheck.farm.task import Job
from backendcheck.sessions.request import RecordingRequest
from backendcheck.vocabulary.leg_names import parse_leg

FILES = {
    "pyproject.toml": "[tool.pytest.ini_options]\n", "tests/cases/a.py": "def case_a(): return {}\n",
    "tests/cases/data.csv": "1\n", "tests/conftest.py": "", "src/package/code.py": "", ".env": "secret", ".git/config": "",
    "venv/x.py": "", "build/x.py": "", "own/pyvenv.cfg": "", "own/lib.py": "", "reports/latest/jax/environment.json": "{}",
    "out/report.json": "{}",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    return project(tmp_path / "a", FILES)


def test_the_project_goes_without_what_is_hidden_installed_built_or_recorded(folder: Path) -> None:
    files = bundle.project_files(["tests/cases"], [], folder, folder / "out")
    expected = {"pyproject.toml", "tests/cases/a.py", "tests/cases/data.csv", "tests/conftest.py", "src/package/code.py"}
    assert files.keys() == expected


def test_named_files_go_with_the_cases_and_what_configures_them(folder: Path) -> None:
    files = bundle.project_files(["tests/cases/a.py::case_a"], [Path("src")], folder, folder / "out")
    assert files.keys() == {"pyproject.toml", "tests/cases/a.py", "tests/conftest.py", "src/package/code.py"}


def test_the_built_in_cases_need_no_files(folder: Path) -> None:
    assert bundle.project_files([], [], folder, folder / "out") == {}


def test_paths_of_built_in_cases_are_named_and_not_sent(folder: Path) -> None:
    file = builtin_cases() / "outputs" / "several_outputs.py"
    node = f"{file}::case_loss"
    assert bundle.project_files([node, str(builtin_cases())], [], folder, folder / "out") == {}
    request = RecordingRequest(backend=parse_leg("jax"), out=folder / "out", paths=[node, str(builtin_cases())])
    (chunk,) = chunks_of(request, (1, {}), bundle.packed({}))
    sent = RecordingRequest.from_json(Job.from_json(chunk.job).request)
    assert list(sent.paths) == ["built-in cases/outputs/several_outputs.py::case_loss", "built-in cases/."]
    here = task.on_this_machine(sent, folder / "elsewhere")
    assert [Path(path) for path in here.paths] == [Path(node), builtin_cases()]


def test_the_same_files_make_the_same_bytes_and_arrive_as_they_were(tmp_path: Path, folder: Path) -> None:
    first, second = bundle.packed(bundle.files_in(folder)), bundle.packed(bundle.files_in(folder))
    assert (first.content, first.sha256) == (second.content, second.sha256)
    bundle.unpack(first.content, first.sha256, tmp_path / "b")
    assert bundle.packed(bundle.files_in(tmp_path / "b")).digests == first.digests


def test_damage_on_the_way_is_refused_before_anything_is_written(tmp_path: Path, folder: Path) -> None:
    packed = bundle.packed(bundle.files_in(folder))
    with pytest.raises(UnreadableInput, match="damaged on the way"):
        bundle.unpack(packed.content[:-1] + b"?", packed.sha256, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_path_outside_of_the_working_directory_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match="not below the working directory"):
        bundle.project_files([str(tmp_path)], [], folder, folder / "out")


def test_a_conftest_above_is_refused_because_it_would_stay_here(tmp_path: Path, folder: Path) -> None:
    (folder / "pyproject.toml").unlink()
    (tmp_path / "conftest.py").touch()
    with pytest.raises(UsageError, match=r"conftest\.py: configures the tests"):
        bundle.project_files(["tests/cases"], [], folder, folder / "out")


def test_too_much_is_refused_with_the_largest_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_LARGEST", 100)
    project(folder, {"tests/large.bin": "x" * 200})
    with pytest.raises(UsageError, match=r"The largest: tests/large\.bin .* --farm-files"):
        bundle.project_files(["tests/cases"], [], folder, folder / "out")
