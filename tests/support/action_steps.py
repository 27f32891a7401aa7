"""The GitHub Action: its scripts run as a runner runs them, and all files for CI systems are what those systems read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from front_door import variables
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = YAML(typ="safe").load((ROOT / "action.yml").read_text(encoding="utf-8"))
INPUTS = {name: one["default"] for name, one in ACTION["inputs"].items()}


def step(name: str) -> dict[str, Any]:
    (found,) = (one for one in ACTION["runs"]["steps"] if one["name"] == name)
    return found


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with the values of its expressions, which have to be among `values`."""
    return re.sub(r"\$\{\{ (.+?) \}\}", lambda match: values[match[1]], text)


def inputs_of_calls(workflow: Path, job: str, uses: str, values: Mapping[str, str]) -> list[dict[str, str]]:
    """What the steps of a job give to the action that they name as `uses`."""
    steps = YAML(typ="safe").load(workflow.read_text(encoding="utf-8"))["jobs"][job]["steps"]
    calls = [step["with"] for step in steps if step.get("uses") == uses]
    return [{name: filled(str(value), values) for name, value in call.items()} for call in calls]


def run(
    name: str, folder: Path, inputs: Mapping[str, str], path: Path | None = None, env: Mapping[str, str] | None = None,
    action: str = "/action",
) -> tuple[int, str, dict[str, str]]:  # fmt: skip
    """A step as a runner runs it (`shell: bash`), with these inputs: exit code, what it printed, its outputs."""
    one = step(name)
    assert one["shell"] == "bash"
    known = {f"inputs.{key}": value for key, value in (INPUTS | dict(inputs)).items()} | {
        "github.action_path": action, "github.repository": "ada/iris", "github.event.pull_request.number": "7",
    }  # fmt: skip
    env = {key: filled(text, known) for key, text in one["env"].items()} | dict(env or {})
    assert "${{" not in one["run"]  # inputs are variables, never text of a script
    script, output = folder / "step.sh", folder / "output"
    script.write_text(one["run"], encoding="utf-8")
    output.write_text("", encoding="utf-8")
    folders = [str(one) for one in (path, Path(sys.executable).parent) if one]
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", script], cwd=folder, capture_output=True, encoding="utf-8",
        env=variables(env | {"GITHUB_OUTPUT": str(output), "PATH": os.pathsep.join([*folders, os.environ["PATH"]])}),
        timeout=240, check=False,
    )  # fmt: skip
    outputs = dict(line.partition("=")[::2] for line in output.read_text(encoding="utf-8").splitlines())
    return done.returncode, done.stdout + done.stderr, outputs
