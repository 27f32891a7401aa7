"""What the shell completes, asked as the shell asks."""

from __future__ import annotations

from pathlib import Path

import make
import pytest
from click.shell_completion import ShellComplete
from front_door import project

from backendcheck.cli import cli
from backendcheck.recordings.files import write_environment

CASES = ("labels/one_hot", "labels/integer[3]", "outputs/by_name")


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def completed(*words: str) -> list[str]:
    shell = ShellComplete(cli, {}, "backendcheck", "_BACKENDCHECK_COMPLETE")
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize("command", [("show",), ("locate",), ("repro",), ("known", "add")])
def test_ids_of_recorded_cases(command: tuple[str, ...], tmp_path: Path) -> None:
    write_environment(tmp_path / "reports/latest/jax", make.environment("jax", CASES))
    write_environment(tmp_path / "other/jax", make.environment("jax", ("elsewhere/case",)))
    assert completed(*command, "labels/") == ["labels/one_hot", "labels/integer[3]"]
    assert completed(*command, "by_na") == ["outputs/by_name"]
    assert completed(*command, "--run", "other", "") == ["elsewhere/case"]
    assert completed(*command, "--run", "nowhere", "") == []


def test_bisect_takes_cases_of_the_last_run(tmp_path: Path) -> None:
    write_environment(tmp_path / "reports/latest/jax", make.environment("jax", CASES))
    assert completed("bisect", "labels/o") == ["labels/one_hot"]


def test_cases_of_a_file(tmp_path: Path) -> None:
    project(tmp_path, {"a.py": "def case_one(): ...\ndef case_two(): ...\n", "broken.py": "def ("})
    assert completed("run", "a.py::case_t") == ["a.py::case_two"]
    assert completed("list", "a.py::") == ["a.py::case_one", "a.py::case_two"]
    assert completed("run", "broken.py::") == completed("run", "missing.py::") == []


def test_parts_of_lists() -> None:
    assert completed("run", "--backends", "t") == ["tensorflow", "torch"]
    assert completed("run", "--backends", "torch,") == ["torch,tensorflow", "torch,jax", "torch,numpy", "torch,openvino"]
    assert completed("upgrade", "--backends", "t") == ["tensorflow", "torch"]
    assert completed("bisect", "--backends", "t") == ["tensorflow", "torch"]
    assert completed("run", "--oracles", "agreement,r") == ["agreement,reference"]
    assert completed("labels", "--select", "L104,L40")[0].startswith("L104,L40")
    assert completed("labels", "--explain", "l104") == ["L104"]
    assert completed("selftest", "--faults", "labels-rev") == ["labels-reversed"]


def test_commands() -> None:
    assert completed("kn") == ["known"]
    assert {"demo", "run"} <= set(completed(""))
