"""The GitHub Action: its scripts run as a runner runs them, and all files for CI systems are what those systems read."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import make
import pytest
from action_steps import ACTION, INPUTS, ROOT, run, step
from front_door import project
from pieces import write_shards
from ruamel.yaml import YAML

ALL = ",".join(make.BACKENDS)
USUAL = ("--out", "reports", "--overwrite")


@pytest.fixture
def pretended(tmp_path: Path) -> Path:
    """A folder with a `python` and a `backendcheck` that print their arguments, one in a line."""
    folder = tmp_path / "bin"
    for name in ("python", "backendcheck"):
        project(folder, {name: '#!/bin/bash\nprintf "%s\\n" "$@"\n'})
        (folder / name).chmod(0o755)
    return folder


# --- installing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "arguments"),
    [
        ({"backends": "jax", "command": "record"}, ["/action[jax,data]"]),
        ({}, ["/action[tensorflow,jax,torch,data]"]),
        ({"command": "compare"}, ["/action"]),
        ({"command": "merge", "versions": "keras==3.13.0"}, ["/action", "keras==3.13.0"]),
        (
            {"command": "record", "backends": "torch", "versions": "keras==3.13.0\n  torch==2.13.0\n", "constraints": "my c.txt"},
            ["-c", "my c.txt", "/action[torch,data]", "keras==3.13.0", "torch==2.13.0"],
        ),
    ],
)  # fmt: skip
def test_what_is_installed(tmp_path: Path, pretended: Path, inputs: dict[str, str], arguments: list[str]) -> None:
    code, words, _ = run("Install", tmp_path, inputs, pretended)
    assert (code, words.splitlines()) == (0, ["-m", "pip", "install", *arguments])


# --- the command -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "arguments", "artifact"),
    [
        ({}, ["run", "--backends", ALL, *USUAL, "--"], "backendcheck"),
        (
            {"command": "record", "backends": "jax", "paths": "a.py\nb c/\n", "shard": "2/8", "arguments": "-n 2"},
            ["record", "--backend", "jax", *USUAL, "--shard", "2/8", "-n", "2", "--", "a.py", "b", "c/"],
            "backendcheck-jax-2-of-8",
        ),
        ({"command": "record", "backends": "jax"}, ["record", "--backend", "jax", *USUAL, "--"], "backendcheck-jax"),
        ({"shard": "1/2", "artifact": "x"}, ["run", "--backends", ALL, *USUAL, "--shard", "1/2", "--"], "x-1-of-2"),
        (
            {"command": "merge", "pieces": "one two", "out": "o"},
            ["merge", "--expect-backends", ALL, "--out", "o", "--overwrite", "--", "one", "two"], "backendcheck",
        ),
        ({"command": "compare", "artifact": ""}, ["compare", "--expect-backends", ALL, "--", "reports"], None),
        ({"paths": "-x; $(id) `id` *"}, ["run", "--backends", ALL, *USUAL, "--", "-x;", "$(id)", "`id`", "*"], "backendcheck"),
    ],
)  # fmt: skip
def test_what_is_started(
    tmp_path: Path, pretended: Path, inputs: dict[str, str], arguments: list[str], artifact: str | None
) -> None:
    code, words, outputs = run("backendcheck", tmp_path, inputs, pretended)
    assert (code, words.splitlines()) == (0, arguments)
    assert outputs == {"exit-code": "0"} | ({"artifact": artifact} if artifact else {})


def test_another_command_is_refused(tmp_path: Path, pretended: Path) -> None:
    code, words, outputs = run("backendcheck", tmp_path, {"command": "destroy"}, pretended)
    assert (code, outputs) == (2, {})
    assert words == "::error::backendcheck: command is 'destroy'; expected run, record, merge or compare.\n"


def test_every_input_is_used_and_every_output_made() -> None:
    used = {name for one in ACTION["runs"]["steps"] for name in re.findall(r"inputs\.([\w-]+)", str(one))}
    assert used == {*INPUTS}
    made = {*re.findall(r'echo "([\w-]+)=', step("backendcheck")["run"])}
    assert made == {*ACTION["outputs"]} == {"report", "exit-code", "artifact"}


# --- for real ----------------------------------------------------------------------------------------------------


def test_merging_what_jobs_have_left(tmp_path: Path) -> None:
    differs = {"labels/case_3": {"loss": 0.7}}
    write_shards(tmp_path / "artifacts", of=2, backends=("tensorflow", "torch"))
    write_shards(tmp_path / "artifacts", of=2, backends=("jax",), values=differs)
    code, words, outputs = run("backendcheck", tmp_path, {"command": "merge"})
    assert (code, outputs) == (1, {"exit-code": "1", "report": "reports/index.html", "artifact": "backendcheck"}), words
    assert (tmp_path / "reports" / "index.html").is_file()
    code, words, outputs = run("backendcheck", tmp_path, {"command": "compare"})
    assert (code, outputs["exit-code"]) == (1, "1"), words
    code, _, outputs = run("backendcheck", tmp_path, {"command": "merge", "pieces": "nowhere", "out": "other"})
    assert (code, outputs) == (2, {"exit-code": "2", "artifact": "backendcheck"})


# --- files of CI systems -----------------------------------------------------------------------------------------


def conforms(schema: str, *files: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *files], capture_output=True,
        encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_action_and_the_workflows_are_what_github_reads() -> None:
    conforms("github-actions", ROOT / "action.yml")
    conforms("github-workflows", *(ROOT / ".github" / "workflows").glob("*.yml"))


def test_workflows_give_the_action_inputs_that_it_has() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        workflow = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        for job in workflow["jobs"].values():
            for one in job["steps"]:
                assert one.get("uses") != "./" or {*one["with"]} <= {*INPUTS}, path


def blocks(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_recipes_of_the_documentation_are_what_their_systems_read(tmp_path: Path) -> None:
    found = blocks("ci.md")
    workflows = [text for text in found if text.startswith("jobs:")]
    pipelines = [text for text in found if "script:" in text]
    assert (len(workflows), len(pipelines)) == (2, 2)
    for n, text in enumerate(workflows):
        (tmp_path / f"workflow-{n}.yml").write_text(f"on: push\n{text}", encoding="utf-8")
        for job in YAML(typ="safe").load(text)["jobs"].values():
            for one in job["steps"]:
                assert not one.get("uses", "").startswith("OWNER") or {*one["with"]} <= {*INPUTS}
    for n, text in enumerate(pipelines):
        (tmp_path / f"pipeline-{n}.yml").write_text(text, encoding="utf-8")
    conforms("github-workflows", *tmp_path.glob("workflow-*"))
    conforms("gitlab-ci", *tmp_path.glob("pipeline-*"))
