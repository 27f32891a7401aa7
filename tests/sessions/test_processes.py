"""All legs at once: what a run says, how it ends, what it leaves behind, whatever happens to it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from backendcheck.progress.progress import Progress
from backendcheck.progress.terminal import Bars, Lines
from backendcheck.sessions import processes
from backendcheck.sessions.request import RecordingRequest
from backendcheck.vocabulary.leg_names import parse_leg


@pytest.mark.parametrize("name", ["[bold]", "[/]", "a\\[/]b", "{x}", "%s", "x" * 300, "new\nline", "\x1b[31m", "ünï", "\udc80"])
def test_a_case_may_be_called_whatever_it_likes(name: str) -> None:
    stream = io.StringIO()
    with Bars(["jax"], Console(file=stream, force_terminal=True, width=200)) as bars:
        bars.collected("jax", 2)
        bars.started("jax", name)
        bars.finished("jax", 1)
        bars.ended("jax", 2, f"jax: {name}")
    with Lines(["jax"], Console(file=stream, width=200)) as lines:
        lines.collected("jax", 2)
        lines.started("jax", name)
        lines.ended("jax", 3, name)
    shown = stream.getvalue()
    assert name in shown or not name.isprintable() or len(name) > 80
    assert "1/2" in shown
    assert "jax: recorded, incomplete" in shown


# --- ended from outside --------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="signals as processes get them here")
@pytest.mark.parametrize(
    ("code", "exit_code", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT, ""),
        ("import os, sys; print('a word', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)", -signal.SIGKILL, "a word"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
    ],
)
def test_a_traceback_is_told_unless_it_only_says_where_a_signal_came(
    code: str, exit_code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(function: str, *arguments: str, python: str = "", **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code], text=True, stdout=subprocess.PIPE, start_new_session=True, **options
        )  # fmt: skip

    monkeypatch.setattr(processes, "start_python", started)
    request = RecordingRequest(backend=parse_leg("jax"), out=tmp_path / "out")
    end = processes.record_all([request], Progress())["jax"]
    assert (end.exit_code, end.message.splitlines()[-1:]) == (exit_code, [message] if message else [])
    assert ("Traceback" in end.message) == (exit_code > 0)
