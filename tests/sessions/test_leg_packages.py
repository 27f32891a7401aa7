"""Packages of a leg: installed once, first on the path of that leg, and told in one line where that is not possible."""

from __future__ import annotations

import io
import json
import os
import subprocess
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from backendcheck.errors import UsageError
from backendcheck.sessions import leg_packages
from backendcheck.sessions.child_processes import session_variables
from backendcheck.sessions.leg_packages import install_packages, package_folders
from backendcheck.vocabulary.leg_names import parse_leg

LEG = parse_leg("jax/keras-3.14.1")


def size_of(request: urllib.request.Request, **_: object) -> io.BytesIO:
    """The answer of the package index to what it is asked for a size: PyTorch is large, and that of tensorflow is not told."""
    if "tensorflow" in request.full_url:
        raise OSError
    answer = io.BytesIO()
    answer.headers = {"Content-Length": "532000000" if "torch" in request.full_url else "1000"}  # type: ignore[attr-defined]
    return answer


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of pip, which installs an empty package, or nothing of version 9."""
    commands: list[list[str]] = []

    def run(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(list(command))
        if command[-1].endswith("==9"):
            return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution found for keras==9\n")
        if "--dry-run" in command:
            items = [{"download_info": {"url": f"https://x/{what.replace('==', '-')}.whl"}} for what in command if "==" in what]
            Path(command[command.index("--report") + 1]).write_text(json.dumps({"install": items}))
        else:
            (Path(command[command.index("--target") + 1]) / "keras").mkdir(parents=True)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(leg_packages, "_kept", lambda: tmp_path / "packages")
    monkeypatch.setattr(leg_packages.subprocess, "run", run)
    monkeypatch.setattr(leg_packages.urllib.request, "urlopen", size_of)
    return commands


def test_a_version_is_installed_once_and_without_its_dependencies(pip: list[list[str]], tmp_path: Path) -> None:
    for _ in range(2):
        install_packages(LEG)
    assert [(command[-1], "--no-deps" in command) for command in pip if "--dry-run" not in command] == [("keras==3.14.1", True)]
    assert package_folders(LEG) == [tmp_path / "packages" / "keras-3.14.1"]
    assert (package_folders(LEG)[0] / "keras").is_dir()
    assert [path.name for path in (tmp_path / "packages").iterdir()] == ["keras-3.14.1"]


def test_a_version_that_cannot_be_installed_is_refused_by_name(pip: list[list[str]]) -> None:
    complaint = r"leg jax/keras-9: keras==9 could not be installed into .*No matching distribution"
    with pytest.raises(UsageError, match=complaint) as refused:
        install_packages(parse_leg("jax/keras-9"))
    assert len(str(refused.value).splitlines()) == len(pip) == 1


def test_packages_of_one_version_are_installed_together(pip: list[list[str]], tmp_path: Path) -> None:
    install_packages(parse_leg("jax/jax-0.9.2"))
    assert [command[-2:] for command in pip] == [["jax==0.9.2", "jaxlib==0.9.2"]] * 2
    assert [path.name for path in (tmp_path / "packages").iterdir()] == ["jax-0.9.2"]


def test_a_wheel_that_is_too_large_is_not_downloaded(pip: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"torch-2\.12\.0\.whl has 532 MB, more than 400, as builds for CUDA have") as refused:
        install_packages(parse_leg("torch/torch-2.12.0"))
    assert len(str(refused.value).splitlines()) == len(pip) == 1
    assert "BACKENDCHECK_LARGEST_WHEEL_MB=532 allows it" in str(refused.value)
    install_packages(parse_leg("tensorflow/tensorflow-2.20.0"))
    monkeypatch.setenv("BACKENDCHECK_LARGEST_WHEEL_MB", "532")
    install_packages(parse_leg("torch/torch-2.12.0"))
    monkeypatch.setenv("BACKENDCHECK_LARGEST_WHEEL_MB", "a lot")
    with pytest.raises(UsageError, match="BACKENDCHECK_LARGEST_WHEEL_MB=a lot: expected a number of megabytes"):
        install_packages(parse_leg("torch/torch-2.12.1"))


def test_an_interpreter_of_its_own_gets_versions_of_keras_only(pip: list[list[str]]) -> None:
    install_packages(replace(LEG, python="old/bin/python"))
    with pytest.raises(UsageError, match=r"jax-0\.9\.2 may be built for another Python than old/bin/python"):
        install_packages(replace(parse_leg("jax/jax-0.9.2"), python="old/bin/python"))


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
