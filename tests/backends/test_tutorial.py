"""docs/tutorial.md: runs every command in it and compares the output with the page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from front_door import backendcheck

pytestmark = pytest.mark.timeout(900)
TEXT = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")


def steps() -> Iterator[tuple[list[list[str]], list[str]]]:
    """The commands of each block, and the lines that are said to come of them."""
    blocks = re.findall(r"```(sh|text)\n(.*?)```", TEXT, re.DOTALL)
    for (kind, text), (next_kind, next_text) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "sh":
            yield [shlex.split(line) for line in text.splitlines()], next_text.splitlines() if next_kind == "text" else []


def test_every_command_prints_what_the_page_says(tmp_path):
    [case] = re.findall(r"```python\n(# cases/unlabeled\.py\n.*?)```", TEXT, re.DOTALL)
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "unlabeled.py").write_text(case, encoding="utf-8")
    exit_codes = []
    for commands, lines in steps():
        printed = ""
        for name, *arguments in commands:
            assert name == "backendcheck"
            ended = backendcheck(*arguments, cwd=tmp_path, timeout=600)
            exit_codes.append(ended.exit_code)
            printed = ended.out
        for line in lines:
            assert line in printed.splitlines(), f"{commands}: {line!r} is not among what was printed:\n{printed}"
    assert exit_codes == [1, 0, 0, 0, 1, 0, 0]
    page = (tmp_path / "reports" / "latest" / "index.html").read_text(encoding="utf-8")
    assert "Copy script" in page
