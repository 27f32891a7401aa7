"""A command that is forked ends as one that is started: the same exit code and the same text."""

from __future__ import annotations

import os
from pathlib import Path

import forked
import front_door
import pytest

LEGS = Path(__file__).parents[1] / "recordings" / "first_format"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("compare", "--help"),
        ("compare", "nowhere"),
        ("compare", LEGS, "--out", "out"),
        ("list", "nowhere.py"),
        ("no-such-command",),
        ("labels", "--data", "nowhere.npz", "--loss", "mse"),
    ],
)
@pytest.mark.parametrize("env", [{}, {"COLUMNS": "200", "FORCE_COLOR": "1"}], ids=["plain", "colors"])
def test_forked_as_started(tmp_path: Path, arguments: tuple[object, ...], env: dict[str, str]) -> None:
    ended = []
    for start in (forked.backendcheck, front_door.backendcheck):
        place = tmp_path / start.__module__
        place.mkdir()
        ended.append(start(*arguments, cwd=place, env=env))
    assert ended[0] == ended[1]
    assert ended[0].words


def test_a_forked_command_changes_nothing_here(tmp_path: Path) -> None:
    before = Path.cwd(), dict(os.environ)
    assert forked.backendcheck("list", "nowhere.py", cwd=tmp_path, env={"SOME": "thing"}).exit_code == 2
    assert (Path.cwd(), dict(os.environ)) == before
