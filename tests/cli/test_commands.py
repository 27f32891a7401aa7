"""Every command takes the options that it declares."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from front_door import backendcheck, project

from backendcheck.cli import cli
from backendcheck.cli.saved_model import SavedModelOptions


def commands(group: click.Group = cli) -> Iterator[click.Command]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from commands(command)
        else:
            yield command


@pytest.mark.parametrize("command", list(commands()), ids=lambda command: command.name)
def test_a_function_takes_the_options_of_its_command(command: click.Command) -> None:
    assert command.callback is not None
    values = {str(parameter.name): None for parameter in command.params if parameter.expose_value}
    if hasattr(command.callback, "__wrapped__"):  # `output_options` hands its own over as one value
        values = {name: None for name in values if name not in ("as_json", "quiet", "verbose")} | {"output": None}
    if command.name in ("model", "migrate"):  # likewise `saved_model_options`
        values = {name: None for name in values if name not in SavedModelOptions.__dataclass_fields__} | {"saved": None}
    inspect.signature(command.callback).bind(**values)


def test_there_are_commands() -> None:
    assert {"run", "record", "compare", "show", "locate", "repro"} <= {command.name for command in commands()}


def test_the_style_of_cases_is_checked(tmp_path: Path) -> None:
    project(
        tmp_path,
        {
            "cases/good.py": 'def case_a():\n    """True."""\n\ndef case_b():\n    """Also true."""\n',
            "cases/helpers.py": "N = 1\n",
            "cases/bad.py": "def case_a():\n    pass\n\ndef case_a():\n    '''True.'''\n",
            "cases/broken.py": "def case_a(:\n",
            "cases/more/good.py": 'def case_b():\n    """True."""\n',
        },
    )
    ended = backendcheck("list", "--check", "cases/good.py", "cases/helpers.py", cwd=tmp_path)
    assert (ended.exit_code, ended.out) == (0, "2 cases in 1 file: no problems\n")
    assert backendcheck("list", "--check", "cases/helpers.py", cwd=tmp_path).exit_code == 0
    ended = backendcheck("list", "--check", "cases", cwd=tmp_path)
    assert ended.exit_code == 1
    assert ended.out.splitlines() == [
        "cases/bad.py:4: case_a is defined twice, first in line 1. Rename one; Python keeps only the last.",
        "cases/bad.py:1: case_a has no claim. Add a docstring that says what is right, in one sentence.",
        "cases/broken.py:1: does not parse (invalid syntax (<unknown>, line 1)). Correct it.",
        "cases/more/good.py:1: the id good/b is also that of cases/good.py:4. Rename a file or a case.",
        "3 cases in 4 files: 4 problems",
    ]
    ended = backendcheck("list", "--check", "nowhere", cwd=tmp_path)
    assert ended.exit_code == 2


def test_ctrl_c_while_the_command_is_imported_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    ended = subprocess.run(
        [sys.executable, "-m", "backendcheck", "list"], env={**os.environ, "PYTHONPATH": str(tmp_path)}, cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_no_command_waits_for_a_large_library_to_start() -> None:
    code = "import sys, backendcheck.cli; print(sorted({'numpy', 'pytest', 'execnet', 'keras'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
