"""Packages of a leg: installed once, first on the path of that leg, and told in one line where that is not possible."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from backendcheck.errors import UsageError
from backendcheck.sessions import leg_packages
from backendcheck.sessions.child_processes import session_variables
from backendcheck.sessions.leg_packages import install_packages, package_folders
from backendcheck.vocabulary.leg_names import parse_leg

LEG = parse_leg("jax/keras-3.14.1")


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of pip, which installs an empty package, or nothing of version 9."""
    commands: list[list[str]] = []

    def run(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(list(command))
        if command[-1].endswith("==9"):
            return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution found for keras==9\n")
        (Path(command[command.index("--target") + 1]) / "keras").mkdir()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(leg_packages, "_kept", lambda: tmp_path / "packages")
    monkeypatch.setattr(leg_packages.subprocess, "run", run)
    return commands


def test_a_version_is_installed_once_and_without_its_dependencies(pip: list[list[str]], tmp_path: Path) -> None:
    for _ in range(2):
        install_packages(LEG)
    assert [(command[-1], "--no-deps" in command) for command in pip] == [("keras==3.14.1", True)]
    assert package_folders(LEG) == [tmp_path / "packages" / "keras-3.14.1"]
    assert (package_folders(LEG)[0] / "keras").is_dir()
    assert [path.name for path in (tmp_path / "packages").iterdir()] == ["keras-3.14.1"]


def test_a_version_that_cannot_be_installed_is_refused_by_name(pip: list[list[str]]) -> None:
    complaint = r"leg jax/keras-9: keras==9 could not be installed into .*No matching distribution"
    with pytest.raises(UsageError, match=complaint) as refused:
        install_packages(parse_leg("jax/keras-9"))
    assert len(str(refused.value).splitlines()) == len(pip) == 1


def test_it_is_first_on_the_path_of_that_leg_only(pip: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "mine")
    folder = str(tmp_path / "packages" / "keras-3.14.1")
    assert session_variables(LEG, "cpu", 1)["PYTHONPATH"] == os.pathsep.join([folder, "mine"])
    assert "PYTHONPATH" not in session_variables(parse_leg("jax"), "cpu", 1)
    assert session_variables(LEG, "cpu", 1)["KERAS_BACKEND"] == "jax"
    assert not pip


def test_the_device_of_a_leg_goes_before_that_of_the_run() -> None:
    assert session_variables(parse_leg("jax@cpu"), "auto", 1)["JAX_PLATFORMS"] == "cpu"
    assert "JAX_PLATFORMS" not in session_variables(parse_leg("jax"), "auto", 1)
