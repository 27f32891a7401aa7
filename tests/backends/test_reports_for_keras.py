"""The scripts of the reports for Keras print what the page says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from backendcheck.sessions.child_processes import environment_for
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS
from backendcheck.vocabulary.leg_names import parse_leg

PAGE = Path(__file__).parents[2] / "docs" / "reports-for-keras.md"
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
RUN_ALL = """
import contextlib, io, json, sys
for script in json.loads(sys.stdin.read()):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(script, {})
    print("printed", json.dumps(printed.getvalue().strip()))
"""


def reports() -> list[tuple[str, str, dict[str, str]]]:
    """Of each report: its title, its script, and what that prints by backend."""
    found = []
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        script = re.search(r"```python\n(.*?)```", section, re.DOTALL)
        assert script is not None, section
        rows = re.findall(r"^\| ([\w, ]+) \| `?(.*?)`? \|$", section, re.MULTILINE)
        printed = {name: value for names, value in rows for name in names.split(", ") if name != "backend"}
        found.append((section.splitlines()[0], script[1], printed))
    return found


def test_each_report_says_what_each_backend_prints_and_what_is_right() -> None:
    assert len(reports()) == 10
    for title, script, printed in reports():
        assert printed.keys() == {*NAMES.values(), "right"}, title
        assert any(value != printed["right"] for value in printed.values()), title
        assert len(script.splitlines()) <= 20, title


@pytest.mark.parametrize("backend", [backend.value for backend in DEFAULT_BACKENDS])
def test_a_script_prints_what_its_report_says(backend: str) -> None:
    scripts = json.dumps([script for _, script, _ in reports()])
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL], input=scripts, env=environment_for(parse_leg(backend), "cpu", 1), capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = [json.loads(line.removeprefix("printed ")) for line in done.stdout.splitlines() if line.startswith("printed ")]
    assert {title: value for (title, _, _), value in zip(reports(), printed, strict=True)} == {
        title: expected[NAMES[backend]] for title, _, expected in reports()
    }
