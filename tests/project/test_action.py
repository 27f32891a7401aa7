"""The GitHub Action: its scripts run as a runner runs them, and all files for CI systems are what those systems read."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import address
import make
import pytest
from action_steps import ACTION, INPUTS, ROOT, inputs_of_calls, run, step
from front_door import project
from pieces import write_shards
from pygments.lexers.jvm import GroovyLexer
from pygments.token import Token
from ruamel.yaml import YAML

from backendcheck import __version__

ALL = ",".join(make.BACKENDS)
OURS = address.repository() or address.PLACEHOLDER  # in recipes
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
        ({"command": "record", "backends": "jax", "project": ". .[test]"}, ["/action[jax,data]", ".", ".[test]"]),
        ({"command": "merge", "project": "."}, ["/action"]),
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


def test_compiled_programs_are_kept_by_backend_shard_and_versions(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    code, printed, outputs = run(
        "Identify the compiled programs", tmp_path, {"backends": "jax", "shard": "1/2"}, env={"XDG_CACHE_HOME": str(cache)}
    )
    assert code == 0, printed
    assert re.fullmatch("backendcheck-programs-jax-1-of-2-[0-9a-f]{16}", outputs["key"])
    assert {Path(outputs[name]) for name in ("jax", "tensorflow")} <= {*cache.rglob("*")}
    kept = step("Keep the compiled programs")
    assert "steps.programs.outputs.jax" in kept["with"]["path"]
    assert kept["with"]["key"].startswith("${{ steps.programs.outputs.key }}-")


def test_another_command_is_refused(tmp_path: Path, pretended: Path) -> None:
    code, words, outputs = run("backendcheck", tmp_path, {"command": "destroy"}, pretended)
    assert (code, outputs) == (2, {})
    assert words == "::error::backendcheck: command is 'destroy'; expected run, record, merge or compare.\n"


def test_every_input_is_used_and_every_output_made() -> None:
    used = {name for one in ACTION["runs"]["steps"] for name in re.findall(r"inputs\.([\w-]+)", str(one))}
    assert used == {*INPUTS}
    made = {*re.findall(r'echo "([\w-]+)=', step("backendcheck")["run"])}
    assert made == {*ACTION["outputs"]} == {"report", "badge", "exit-code", "artifact"}


# --- for real ----------------------------------------------------------------------------------------------------


def test_merging_what_jobs_have_left(tmp_path: Path) -> None:
    differs = {"labels/case_3": {"loss": 0.7}}
    write_shards(tmp_path / "artifacts", of=2, backends=("tensorflow", "torch"))
    write_shards(tmp_path / "artifacts", of=2, backends=("jax",), values=differs)
    code, words, outputs = run("backendcheck", tmp_path, {"command": "merge"})
    files = {"report": "reports/index.html", "badge": "reports/badge.json"}
    assert (code, outputs) == (1, {"exit-code": "1", "artifact": "backendcheck"} | files), words
    assert json.loads((tmp_path / "reports" / "badge.json").read_text())["message"] == "1 failed"
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


def test_the_action_the_workflows_and_the_hooks_pass_an_audit() -> None:
    """zizmor reads expressions, permissions, injected text and pins. What is ignored has its reason beside it."""
    (program,) = (file.locate() for file in importlib.metadata.files("zizmor") or () if file.name == "zizmor")
    options = ("--offline", "--strict-collection", "--no-progress")
    done = subprocess.run([program, *options, ROOT], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_workflows_give_the_action_inputs_that_it_has() -> None:
    paths = [*(ROOT / ".github" / "workflows").glob("*.yml"), *(ROOT / "docs" / "recipes").glob("github-*.yml")]
    ours = ("./", "./.backendcheck", f"{OURS}@v{__version__}")
    n_calls = 0
    for path in paths:
        workflow = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        for job in workflow["jobs"].values():
            for one in job.get("steps", ()):
                assert "backendcheck" not in one.get("uses", "") or one["uses"] in ours, path
                assert one.get("uses") not in ours or {*one["with"]} <= {*INPUTS}, path
                n_calls += one.get("uses") in ours
    assert n_calls == 6


# --- recipes -------------------------------------------------------------------------------------------------------

RECIPES = ROOT / "docs" / "recipes"
REUSABLE = ROOT / ".github" / "workflows" / "backendcheck.yml"


def test_the_recipes_are_what_their_systems_read() -> None:
    conforms("github-workflows", *RECIPES.glob("github-*.yml"))
    conforms("gitlab-ci", *RECIPES.glob("gitlab-*.yml"))
    assert len([*RECIPES.glob("github-*.yml")]) == len([*RECIPES.glob("gitlab-*.yml")]) == 2


def test_the_hooks_and_their_recipe_are_what_pre_commit_reads() -> None:
    manifest, recipe = ROOT / ".pre-commit-hooks.yaml", RECIPES / "pre-commit-config.yaml"
    for arguments in (("validate-manifest", manifest), ("validate-config", recipe)):
        done = subprocess.run(
            [sys.executable, "-m", "pre_commit", *arguments], capture_output=True, encoding="utf-8", check=False
        )  # fmt: skip
        assert (done.returncode, "WARNING" in done.stdout) == (0, False), done.stdout + done.stderr
    hooks = {hook["id"] for hook in YAML(typ="safe").load(manifest.read_text(encoding="utf-8"))}
    (repository,) = YAML(typ="safe").load(recipe.read_text(encoding="utf-8"))["repos"]
    assert repository["rev"] == f"v{__version__}"
    assert {hook["id"] for hook in repository["hooks"]} == hooks


def test_the_recipe_for_jenkins_is_groovy_with_closed_braces() -> None:
    text = (RECIPES / "Jenkinsfile").read_text(encoding="utf-8")
    tokens = [*GroovyLexer().get_tokens(text)]
    assert [value for kind, value in tokens if kind in Token.Error] == []
    braces = "".join(value for kind, value in tokens if kind in Token.Operator or kind in Token.Punctuation)
    assert braces.count("{") == braces.count("}") > 20
    stashed = set(re.findall(r"values (.*)", text)[0].replace("'", "").split(", "))
    assert {name.removeprefix("backendcheck-") for name in re.findall(r"unstash '(.*)'", text)} == stashed


def test_the_reusable_workflow_calls_the_action_as_the_recipe_with_jobs_of_its_own_does() -> None:
    """That recipe is run in tests/backends/test_recipes.py."""
    workflow = YAML(typ="safe").load(REUSABLE.read_text(encoding="utf-8"))
    inputs = workflow["on"]["workflow_call"]["inputs"]
    (call,) = YAML(typ="safe").load((RECIPES / "github-reusable.yml").read_text(encoding="utf-8"))["jobs"].values()
    assert call["uses"] == f"{OURS}/.github/workflows/{REUSABLE.name}@v{__version__}"
    assert {*call["with"]} <= {*inputs}
    given = {name: value["default"] for name, value in inputs.items()} | call["with"]
    values = {f"inputs.{name}": str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}
    values |= {"matrix.backend": "torch", "matrix.shard": json.loads(given["shards"])[0]}
    values["join(fromJSON(inputs.backends), ',')"] = ",".join(json.loads(given["backends"]))
    for job, differs in (("record", set()), ("report", {"artifact"})):
        (reusable,) = inputs_of_calls(REUSABLE, job, "./.backendcheck", values)
        (own,) = inputs_of_calls(RECIPES / "github-action.yml", job, f"{OURS}@v{__version__}", values)
        assert {name for name in INPUTS if (INPUTS | reusable)[name] != (INPUTS | own)[name]} == differs
    assert all(name in REUSABLE.read_text(encoding="utf-8") for name in (f"inputs.{name}" for name in inputs))


def test_every_recipe_is_in_the_documentation() -> None:
    page = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("ci.md", "farm.md"))
    names = {path.name for path in RECIPES.iterdir()}
    assert set(re.findall(r'^--8<-- "recipes/(.*)"$', page, re.MULTILINE)) == names
    assert set(re.findall(r"\]\(recipes/(.*?)\)", page)) == names


# --- the comment -----------------------------------------------------------------------------------------------------

GH = """#!/bin/bash
# Prints the ids of earlier comments, or keeps its arguments and the text.
if [[ $* == *--jq* ]]; then printf '%s' "$EARLIER"; exit 0; fi
printf '%s\n' "$@" >"$RUNNER_TEMP/arguments"
exit "${CODE:-0}"
"""


@pytest.mark.parametrize(
    ("earlier", "code", "method", "place"),
    [
        ("", "0", "POST", "repos/ada/iris/issues/7/comments"),
        ("41\n42\n", "0", "PATCH", "repos/ada/iris/issues/comments/41"),
        ("", "1", "POST", "repos/ada/iris/issues/7/comments"),
    ],
)
def test_a_pull_request_has_one_comment(tmp_path: Path, earlier: str, code: str, method: str, place: str) -> None:
    project(tmp_path, {"bin/gh": GH, "reports/summary.md": "1 of 2 cases ✗ FAILED\n" + "é" * 70000})
    (tmp_path / "bin" / "gh").chmod(0o755)
    env = {"EARLIER": earlier, "CODE": code, "RUNNER_TEMP": str(tmp_path), "LC_ALL": "C.UTF-8"}
    exit_code, words, _ = run("Comment", tmp_path, {"comment": "true"}, tmp_path / "bin", env)
    assert (exit_code, "::warning::" in words) == (0, code == "1"), words
    comment = tmp_path / "backendcheck-comment.md"
    assert (tmp_path / "arguments").read_text().splitlines() == [
        "api", "--method", method, place, "--field", f"body=@{comment}", "--silent",
    ]  # fmt: skip
    text = comment.read_text(encoding="utf-8")
    assert text.startswith("<!-- backendcheck backendcheck -->\n\n1 of 2 cases ✗ FAILED")
    assert 60000 < len(text) < 65536
