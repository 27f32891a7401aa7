"""The recipes in docs/recipes do what they say, in a project that is not ours."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import action_steps
import address
import numpy as np
import pytest
from action_steps import inputs_of_calls
from foreign import RECIPES, ROOT, environment, foreign_project, offline, package_index, run, script
from front_door import Ended, project
from pieces import write_leg, write_shards
from ruamel.yaml import YAML

from backendcheck import __version__
from backendcheck.recordings.files import read_environment

OURS = address.repository() or address.PLACEHOLDER
BACKENDS = ("tensorflow", "jax", "torch")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package_index(tmp_path_factory.mktemp("index") / "wheels")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return foreign_project(tmp_path / "iris-labels")


def recorded(reports: Path) -> None:
    """The leg of torch is there and whole."""
    leg = read_environment(reports / "torch")
    assert (leg.exit_state, [*leg.digests], leg.problems) == ("complete", ["species/hinge"], ())


def judged(ended: Ended, *, whole: bool) -> None:
    """A report of all legs passes. One in which legs are missing is incomplete, and names them."""
    assert ended.exit_code == (0 if whole else 3), ended.words
    assert all((f"leg {backend} is missing" in ended.words or f"{backend}: " in ended.words) for backend in BACKENDS[:2])


def all_legs(reports: Path) -> None:
    shutil.rmtree(reports, ignore_errors=True)
    for backend in BACKENDS:
        write_leg(reports / backend, backend)


def test_tox(folder: Path, index: Path) -> None:
    ended = run(sys.executable, "-m", "tox", "run", "-e", "py,torch,report", cwd=folder, index=index)
    recorded(folder / "reports")
    summary = re.findall(r"^  (\w+): (OK|FAIL code \d+)", ended.out, re.MULTILINE)
    assert summary == [("py", "OK"), ("torch", "OK"), ("report", "FAIL code 3")], ended.words


# --- GitLab ----------------------------------------------------------------------------------------------------------


def pipeline(name: str) -> dict[str, list[str]]:
    """The lines of the script of each job."""
    jobs = YAML(typ="safe").load((RECIPES / name).read_text(encoding="utf-8"))
    return {job: content["script"] for job, content in jobs.items() if "script" in content}


def test_gitlab(folder: Path, index: Path, programs: Path) -> None:
    jobs = pipeline("gitlab-ci.yml")
    ended = run(*script(*jobs["backendcheck record"]), cwd=folder, index=index, path=programs, env={"BACKEND": "torch"})
    assert ended.exit_code == 0, ended.words
    recorded(folder / "reports")
    ended = run(*script(*jobs["backendcheck report"]), cwd=folder, index=index, path=programs)
    judged(ended, whole=False)
    assert (folder / "reports" / "junit.xml").is_file()
    all_legs(folder / "reports")
    ended = run(*script(*jobs["backendcheck report"]), cwd=folder, index=index, path=programs)
    assert ended.exit_code == 0, ended.words


def test_gitlab_in_shards(folder: Path, index: Path, programs: Path) -> None:
    jobs, plain = pipeline("gitlab-ci-shards.yml"), pipeline("gitlab-ci.yml")["backendcheck record"]
    install, record = jobs["backendcheck record"]
    assert [install, record.replace(' --shard "$SHARD" --out "pieces/$CI_JOB_ID"', " --out reports")] == plain
    write_shards(folder / "pieces", of=2, backends=BACKENDS)
    ended = run(*script(*jobs["backendcheck report"]), cwd=folder, index=index, path=programs)
    assert ended.exit_code == 0, ended.words


# --- GitHub ----------------------------------------------------------------------------------------------------------


def test_github(folder: Path, index: Path, programs: Path) -> None:
    """The reusable workflow calls the action with the same inputs: tests/project/test_action.py."""
    recipe, uses = RECIPES / "github-action.yml", f"{OURS}@v{__version__}"
    (record,) = inputs_of_calls(recipe, "record", uses, {"matrix.backend": "torch"})
    env = offline(index)
    (wheel,) = index.glob("backendcheck-*.whl")  # in place of the folder of the action, which takes longer to install
    code, words, _ = action_steps.run("Install", folder, record, programs, env, action=str(wheel))
    assert code == 0, words
    code, words, outputs = action_steps.run("backendcheck", folder, record, programs, env)
    assert (code, outputs) == (0, {"exit-code": "0", "artifact": "backendcheck-torch"}), words
    recorded(folder / "reports")
    (folder / "artifacts").mkdir()
    (folder / "reports").rename(folder / "artifacts" / outputs["artifact"])
    (merge,) = inputs_of_calls(recipe, "report", uses, {})
    code, words, outputs = action_steps.run("backendcheck", folder, merge, programs, env)
    judged(Ended(code, words, ""), whole=False)
    assert outputs == {"exit-code": "3", "artifact": "report", "report": "reports/index.html", "badge": "reports/badge.json"}


# --- Jenkins ---------------------------------------------------------------------------------------------------------


PRETENDED_PYTHON = """#!/bin/bash
# Makes an environment whose programs print how they were called.
[[ $1 == -m && $2 == venv ]] || exit 9
mkdir -p "${@: -1}/bin"
for name in pip backendcheck; do
  printf '#!/bin/bash\\necho "%s $*"\\n' "$name" >"${@: -1}/bin/$name"
  chmod +x "${@: -1}/bin/$name"
done
"""


def test_jenkins(folder: Path, index: Path, tmp_path: Path) -> None:
    """Its lines do in an environment of their own what those for GitLab do, which are run above."""
    text = (RECIPES / "Jenkinsfile").read_text(encoding="utf-8")
    project(tmp_path / "bin", {"python": PRETENDED_PYTHON})
    (tmp_path / "bin" / "python").chmod(0o755)
    env = {"BACKEND": "torch", "WORKSPACE_TMP": str(tmp_path / "workspace tmp")}
    called = ""
    for lines in re.findall(r"sh '''\n(.*?)'''", text, re.DOTALL):
        ended = run(*script(lines), cwd=folder, index=index, path=tmp_path / "bin", env=env)
        assert ended.exit_code == 0, ended.words
        called += ended.out
    lines = [line for script_lines in pipeline("gitlab-ci.yml").values() for line in script_lines]
    assert called.splitlines() == [line.replace("$BACKEND", "torch").replace('"', "") for line in lines]


# --- pre-commit ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of backendcheck with one commit and the tag of the recipes."""
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder], cwd=ROOT, check=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    (copy,) = (path for path in folder.iterdir() if path.is_dir())
    git(copy, ["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "all"], ["tag", "v0.1.0"])
    return copy


def git(folder: Path, *commands: Sequence[str]) -> None:
    for arguments in commands:
        user = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *user, *arguments], cwd=folder, check=True, capture_output=True)


def write_data(folder: Path, labels: Sequence[int]) -> None:
    (folder / "data").mkdir(exist_ok=True)
    np.savez(folder / "data" / "train.npz", x=np.array([[5.1], [6.3], [5.8]], "float32"), y=labels)


def test_pre_commit(folder: Path, index: Path, repository: Path, tmp_path: Path) -> None:
    recipe = (RECIPES / "pre-commit-config.yaml").read_text(encoding="utf-8")
    config = recipe.replace(address.HOST + OURS, str(repository))
    (folder / ".pre-commit-config.yaml").write_text(config, encoding="utf-8")
    (folder / "tests" / "cases" / "helpers.py").write_text("N = 1\n", encoding="utf-8")
    write_data(folder, labels=[0, 1, 2])
    git(folder, ["init", "--quiet"], ["add", "--all"])
    command = (sys.executable, "-m", "pre_commit", "run", "--all-files")
    env = {"PRE_COMMIT_HOME": str(tmp_path / "hooks"), "PRE_COMMIT_COLOR": "never"}
    ended = run(*command, cwd=folder, index=index, env=env)
    assert (ended.exit_code, len(re.findall(r"\.Passed$", ended.out, re.MULTILINE))) == (0, 2), ended.words
    with (folder / "tests" / "cases" / "species.py").open("a", encoding="utf-8") as file:
        file.write("\n\ndef case_without_a_claim():\n    return {'v': 1.0}\n")
    write_data(folder, labels=[1, 2, 3])
    ended = run(*command, cwd=folder, index=index, env=env)
    assert (ended.exit_code, len(re.findall(r"\.Failed$", ended.out, re.MULTILINE))) == (1, 2), ended.words
    assert re.search(r"tests/cases/species.py:\d+: case_without_a_claim has no claim", ended.out)
    assert "L104" in ended.out
